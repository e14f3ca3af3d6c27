#!/usr/bin/env bash
# fine-tuning a topic classifier, mlac and transformers in turns: bench/wordnet.sh [--resume] [SEED...] (0 to 4 if none)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source bench/support/fine_tuning.sh
python3 scripts/wordnet_csv.py "$(scripts/fetch.sh wordnet)/data.noun" build/bench/wordnet
fine_tune wordnet 64 "0 1 2 3 4" "$@"
