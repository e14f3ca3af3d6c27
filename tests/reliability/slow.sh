#!/usr/bin/env bash
# check 16: 1,000 clients that send a head, a body, or take an answer a byte at a time, beside eight normal ones
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 tests/reliability/slow.py "$(scripts/fetch.sh minilm)" "$@"
