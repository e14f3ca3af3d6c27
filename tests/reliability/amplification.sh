#!/usr/bin/env bash
# check 21: what each body of the fuzz corpus, and each kind of JSON of up to 2 MB on each route, costs the server and its client
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cmake --build build/release --target reliability_amplification reliability_raw_server >&2
exec python3 tests/reliability/amplification.py build/release/tests/reliability tests/parity/fixtures/models "$@"
