#!/usr/bin/env bash
# fine-tuning a topic classifier, mlac and transformers in turns: bench/wordnet.sh [--resume] [SEED...] (0 to 4 if none)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
resume=()
if [ "${1:-}" = --resume ]; then resume=(--resume); shift; fi
[ $# -gt 0 ] || set -- 0 1 2 3 4
model=$(scripts/fetch.sh minilm)
data=$(scripts/fetch.sh wordnet)
python="$(scripts/venv.sh parity)/bin/python"
mkdir -p build/bench/wordnet bench/results
python3 scripts/wordnet_csv.py "$data/data.noun" build/bench/wordnet
exec "$python" bench/wordnet.py --mlac build/bench/mlac --model "$model" --data build/bench/wordnet --seeds "$@" --threads "$(nproc)" \
  --results bench/results/wordnet.json "${resume[@]}"
