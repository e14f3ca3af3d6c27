#!/usr/bin/env bash
# checks 29 and 31: a training run killed, or failed by the system, at each call that touches its files, and resumed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 tests/reliability/training_faults.py "${MLAC_BINARY:-build/release/mlac}" tests/parity/fixtures/models/vocab_only "$@"
