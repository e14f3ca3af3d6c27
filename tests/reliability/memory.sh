#!/usr/bin/env bash
# check 32: each allocation fails in turn, in loading, training, planning, writing to a store and at each stage of a request
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec tests/reliability/support/every_point.sh 'FailingAllocations*' points "$@"
