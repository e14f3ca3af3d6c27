#!/usr/bin/env bash
# check 17: every raw request of tests/http through nginx in front: what nginx passes on is what mlac answers, one answer to one message
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cmake --build build/release --target reliability_raw_server >&2
exec python3 tests/reliability/proxy.py build/release/tests/reliability/reliability_raw_server "$@"
