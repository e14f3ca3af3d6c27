#!/usr/bin/env bash
# check 23: 10,000 clients that half-close, reset or leave at any point; descriptors and memory of the server before and after
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 tests/reliability/clients.py tests/parity/fixtures/models/st_mean "$@"
