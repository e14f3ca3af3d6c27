#!/usr/bin/env bash
# check 22: 10,000 idle connections, and descriptors that run out: memory, CPU time, and how soon the server serves again
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 tests/reliability/idle.py tests/parity/fixtures/models/st_mean "$@"
