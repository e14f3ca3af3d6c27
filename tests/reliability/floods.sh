#!/usr/bin/env bash
# checks 18 and 19: heads and bodies without end, 10^6 fields, chunks of one byte; memory and CPU time of the server
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 tests/reliability/floods.py "$(scripts/fetch.sh minilm)" "$@"
