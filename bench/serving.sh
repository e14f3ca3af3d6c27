#!/usr/bin/env bash
# /v1/embeddings at 1, 8 and 64 connections against FastAPI over onnxruntime and llama-cpp-python's server: bench/serving.sh [--quick]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source bench/support/rivals.sh
models minilm
llama=$(scripts/venv.sh llama)/bin/python || llama="scripts/venv.sh llama failed; it compiles llama.cpp"
exec "$python" bench/serving.py --models build/bench/data/models --llama "$llama" --threads "$threads" "$@"
