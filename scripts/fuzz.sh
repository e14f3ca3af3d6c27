#!/usr/bin/env bash
# dev fuzz [TARGET...]: builds the fuzz targets and runs each for MLAC_FUZZ_SECONDS (60), from the inputs kept under the cache and those of
# tests/fuzz/corpus/TARGET, with the words of tests/fuzz/TARGET.dict. A finding is left in build/fuzz/findings, with the command that repeats
# it. Totals: totals.tsv in the cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh build fuzz
cmake --preset fuzz >&2
cmake --build build/fuzz -j "$(nproc)" >&2

cache=${XDG_CACHE_HOME:-$HOME/.cache}/mlac/fuzz
seconds=${MLAC_FUZZ_SECONDS:-60}
findings=build/fuzz/findings
mkdir -p "$findings" "$cache"
mapfile -t programs < <(find build/fuzz/tests/fuzz -maxdepth 1 -type f -executable -name 'fuzz_*' | sort)
[ ${#programs[@]} -gt 0 ] || { echo "dev fuzz: tests/fuzz builds no program fuzz_*" >&2; exit 1; }

found=0
for program in "${programs[@]}"; do
  target=${program##*/fuzz_}
  [ $# -eq 0 ] || [[ " $* " == *" $target "* ]] || continue
  corpus=("$cache/$target")
  mkdir -p "${corpus[0]}"
  [ ! -d "tests/fuzz/corpus/$target" ] || corpus+=("tests/fuzz/corpus/$target")
  [ ! -f "tests/fuzz/$target.dict" ] || corpus+=("-dict=tests/fuzz/$target.dict")
  log=build/fuzz/$target.log
  printf '%-24s ' "$target"
  status=0
  "$program" -max_total_time="$seconds" -timeout=1 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$findings/$target-" \
    "${corpus[@]}" > "$log" 2>&1 || status=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  printf '%s\t%s\t%s\n' "$target" "$seconds" "${runs:-0}" >> "$cache/totals.tsv"
  total=$(awk -F '\t' -v target="$target" '$1 == target { sum += $3 } END { printf "%.0f", sum }' "$cache/totals.tsv")
  if [ "$status" = 0 ]; then
    printf '%12s runs, %15s in all, no finding\n' "${runs:-0}" "$total"
  else
    found=1
    printf 'FOUND, see %s; repeat: %s %s\n' "$log" "$program" "$(sed -n 's/.*Test unit written to //p' "$log" | head -n 1)"
  fi
done
exit $found
