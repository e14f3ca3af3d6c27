#!/usr/bin/env bash
# encoder forward in f32, bf16 and int8 against torch, onnxruntime, openvino and ctranslate2: bench/encoder.sh [--quick] [--only MODEL...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source bench/support/rivals.sh
case " $* " in *" --quick "*) models minilm; set -- --only minilm "$@" ;; *) models minilm bert-base distilbert ;; esac
exec "$python" bench/encoder.py --models build/bench/data/models --threads "$threads" "$@"
