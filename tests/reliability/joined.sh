#!/usr/bin/env bash
# checks 27 and 40 for what is computed together: 10,000 answers of every task and of adapters, while adapters and their bases come, go and change places
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 tests/reliability/joined.py tests/parity/fixtures "$@"
