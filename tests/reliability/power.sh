#!/usr/bin/env bash
# check 30: the power fails behind each call that changes a file of a store, a training, an apply, and what was not synced is lost
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec tests/reliability/support/every_point.sh 'PowerLoss*' states "$@"
