#!/usr/bin/env bash
# dev fuzz [TARGET...]: builds the fuzz targets and runs each for MLAC_FUZZ_SECONDS (60), from the inputs kept under the cache and those of
# tests/fuzz/corpus/TARGET, with the words of tests/fuzz/TARGET.dict. A finding is left in build/fuzz/findings, with the command that repeats
# it. Totals: totals.tsv in the cache.
# dev fuzz --coverage [TARGET...]: runs those inputs once and prints the share of lines of each reader (the files that tests/fuzz/TARGET_fuzz.cc
# names) that they reach; build/coverage/TARGET.txt shows the lines that they do not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
preset=fuzz
[ "${1:-}" != --coverage ] || { preset=coverage; shift; }
scripts/setup.sh build fuzz
cmake --preset "$preset" >&2
cmake --build "build/$preset" -j "$(nproc)" >&2

cache=${XDG_CACHE_HOME:-$HOME/.cache}/mlac/fuzz
mkdir -p "$cache"
mapfile -t programs < <(find "build/$preset/tests/fuzz" -maxdepth 1 -type f -executable -name 'fuzz_*' | sort)
[ ${#programs[@]} -gt 0 ] || { echo "dev fuzz: tests/fuzz builds no program fuzz_*" >&2; exit 1; }

# inputs TARGET: where its inputs are, new ones first.
inputs() {
  mkdir -p "$cache/$1"
  echo "$cache/$1"
  [ ! -d "tests/fuzz/corpus/$1" ] || echo "tests/fuzz/corpus/$1"
}

# coverage PROGRAM TARGET: the share of each of its reader's files, by clang's source-based coverage.
coverage() {
  local profile=build/coverage/$2 folders readers
  mapfile -t folders < <(inputs "$2")
  read -r -a readers < <(sed -n 's|^// Reader: ||p' "tests/fuzz/$2_fuzz.cc")
  [ ${#readers[@]} -gt 0 ] || return 0
  LLVM_PROFILE_FILE=$profile.profraw "$1" -runs=0 -rss_limit_mb=0 "${folders[@]}" > "$profile.log" 2>&1 || { cat "$profile.log" >&2; return 1; }
  llvm-profdata-16 merge -sparse "$profile.profraw" -o "$profile.profdata"
  llvm-cov-16 show "$1" -instr-profile="$profile.profdata" -show-regions=false "${readers[@]}" | grep -E '^ +[0-9]+\| +0\||^/' > "$profile.txt" || true
  llvm-cov-16 report "$1" -instr-profile="$profile.profdata" "${readers[@]}" |  # columns 8 to 10: lines, missed, share
    awk -v target="$2" '/\.cc / { printf "%-16s %-28s %5d of %5d lines  %s\n", target, $1, $8 - $9, $8, $10 }'
}

seconds=${MLAC_FUZZ_SECONDS:-60}
findings=build/fuzz/findings
mkdir -p "$findings"
found=0
for program in "${programs[@]}"; do
  target=${program##*/fuzz_}
  [ $# -eq 0 ] || [[ " $* " == *" $target "* ]] || continue
  if [ "$preset" = coverage ]; then
    coverage "$program" "$target"
    continue
  fi
  mapfile -t corpus < <(inputs "$target")
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
