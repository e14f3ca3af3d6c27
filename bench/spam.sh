#!/usr/bin/env bash
# fine-tuning a filter of e-mails, long texts, mlac and transformers in turns: bench/spam.sh [--resume] [SEED...] (0 to 2 if none)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source bench/support/fine_tuning.sh
MLAC_BENCH_EMAILS=$(scripts/fetch.sh spam-assassin)
export MLAC_BENCH_EMAILS
python3 bench/spam_csv.py build/bench/spam
fine_tune "spam --untimed" 256 "0 1 2" "$@"
