#!/usr/bin/env bash
# check 29 for mlac apply: killed at 200 random moments; bombs of YAML; plans of 1,000 and 10,000 models
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 tests/reliability/apply_faults.py "${MLAC_BINARY:-build/release/mlac}" tests/parity/fixtures/models/classifier "$@"
