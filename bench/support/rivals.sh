#!/usr/bin/env bash
# Sourced by the benchmarks that need peers: $python of the environment `rivals`, $threads, $minilm, the e-mails, and `models NAME...`.
python="$(scripts/venv.sh rivals)/bin/python"
threads=$(nproc)
MLAC_BENCH_EMAILS=$(scripts/fetch.sh spam-assassin)
export MLAC_BENCH_EMAILS HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=true
minilm=$(scripts/fetch.sh minilm)

models() {
  local log=build/bench/data/models.log
  mkdir -p build/bench/data
  "$python" bench/models.py --out build/bench/data/models --minilm "$minilm" "$@" > "$log" 2>&1 || { tail -n 5 "$log" >&2; return 1; }
}
