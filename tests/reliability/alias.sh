#!/usr/bin/env bash
# check 27 for a swap by alias: 10,000 requests while production is promoted to and fro; none is lost, each answer is of the revision its header names
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 tests/reliability/alias.py tests/parity/fixtures/models/st_mean tests/parity/fixtures/models/st_cls_dense "$@"
