#!/usr/bin/env bash
# check 24: ten times the capacity for 60 s, server and client on a core each; what is answered, what is refused, and how soon
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cmake --build build/release --target reliability_overload >&2
exec python3 tests/reliability/overload.py build/release/tests/reliability/reliability_overload "$(scripts/fetch.sh minilm)" "$@"
