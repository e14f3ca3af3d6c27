#!/usr/bin/env bash
# check 2: the time of checking a model's safetensors file, as a share of the time of loading the model, weights packed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cmake --build build/release --target reliability_loading >&2
exec build/release/tests/reliability/reliability_loading "$(scripts/fetch.sh minilm)" "$@"
