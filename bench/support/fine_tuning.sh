#!/usr/bin/env bash
# Sourced by the runs that fine-tune MiniLM beside transformers: fine_tune "NAME [OPTIONS...]" MAX_LENGTH SEEDS [--resume] [SEED...] on the
# train.csv and test.csv of build/bench/NAME. SEEDS: those of the run if none is named; --resume: keeps what this
# processor's bench/results/PROCESSOR/NAME.json already has.
fine_tune() {
  local max_length=$2 name options
  local -a seeds
  read -r name options <<< "$1"
  read -r -a seeds <<< "$3"
  shift 3
  if [ "${1:-}" = --resume ]; then options+=" --resume"; shift; fi
  [ $# -eq 0 ] || seeds=("$@")
  # shellcheck disable=SC2086  # the options are words
  exec "$(scripts/venv.sh parity)/bin/python" bench/fine_tuning.py --name "$name" --mlac build/bench/mlac --model "$(scripts/fetch.sh minilm)" \
    --data "build/bench/$name" --max-length "$max_length" --seeds "${seeds[@]}" --threads "$(nproc)" $options
}
