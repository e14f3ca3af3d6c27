#!/usr/bin/env bash
# one sentence by a fresh process, time and peak memory, against transformers and onnxruntime: bench/process.sh [--quick]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source bench/support/rivals.sh
models minilm
exec "$python" bench/process.py --models build/bench/data/models --threads "$threads" "$@"
