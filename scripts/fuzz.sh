#!/usr/bin/env bash
# dev fuzz [TARGET...]: builds the fuzz targets and runs each for MLAC_FUZZ_SECONDS (60), from the inputs kept under the cache and those of
# tests/fuzz/corpus/TARGET, with the words of tests/fuzz/TARGET.dict. A finding is left in build/fuzz/findings, with the command that repeats
# it. Totals, in CPU-seconds: totals.tsv in the cache.
# dev fuzz --coverage [TARGET...]: runs those inputs once and prints the share of lines of each reader (the files that tests/fuzz/TARGET_fuzz.cc
# names) that they reach; fails if one is below 95 %. build/coverage/TARGET.txt shows the lines that they do not reach.
# dev fuzz --totals: prints the totals.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mlac/fuzz
mkdir -p "$cache"

# totals [TARGET]: its runs and CPU-seconds, or those of all targets.
totals() {
  [ -f "$cache/totals.tsv" ] || return 0
  awk -F '\t' -v only="${1:-}" '
    only == "" || $1 == only { seconds[$1] += $2; runs[$1] += $3 }
    END { for (target in runs) printf "%-16s %12.0f runs in %7.0f CPU-seconds\n", target, runs[target], seconds[target] }' "$cache/totals.tsv" | sort
}
if [ "${1:-}" = --totals ]; then totals; exit 0; fi

preset=fuzz
[ "${1:-}" != --coverage ] || { preset=coverage; shift; }
scripts/setup.sh build fuzz
targets=()
for source in tests/fuzz/*_fuzz.cc; do
  name=$(basename "$source" _fuzz.cc)
  [ $# -gt 0 ] && [[ " $* " != *" $name "* ]] || targets+=("$name")
done
for name in "$@"; do
  [ -f "tests/fuzz/${name}_fuzz.cc" ] || { echo "dev fuzz: there is no target '$name' (tests/fuzz/${name}_fuzz.cc)" >&2; exit 2; }
done
cmake --preset "$preset" >&2
cmake --build "build/$preset" -j "$(nproc)" --target "${targets[@]/#/fuzz_}" >&2

# inputs TARGET: where its inputs are, new ones first.
inputs() {
  mkdir -p "$cache/$1"
  echo "$cache/$1"
  [ ! -d "tests/fuzz/corpus/$1" ] || echo "tests/fuzz/corpus/$1"
}

# coverage PROGRAM TARGET: the share of each of its reader's files, by clang's source-based coverage. Fails if one is below 95 %.
coverage() {
  local profile=build/coverage/$2 folders readers
  mapfile -t folders < <(inputs "$2")
  read -r -a readers < <(sed -n 's|^// Reader: ||p' "tests/fuzz/$2_fuzz.cc") || return 0  # it names none
  rm -f "$profile.profraw"
  LLVM_PROFILE_FILE=$profile.profraw "$1" -runs=0 -rss_limit_mb=0 "${folders[@]}" > "$profile.log" 2>&1 || { cat "$profile.log" >&2; return 1; }
  llvm-profdata-16 merge -sparse "$profile.profraw" -o "$profile.profdata"
  llvm-cov-16 show "$1" -instr-profile="$profile.profdata" -show-instantiations=false "${readers[@]}" |
    grep -E '^ +[0-9]+\| +0\||^/' > "$profile.txt" || true
  local file
  for file in "${readers[@]}"; do
    llvm-cov-16 report "$1" -instr-profile="$profile.profdata" "$file" |  # columns 8 and 9: lines, and those that are missed
      awk -v target="$2" -v file="$file" -v name="$(basename "$file")" '
        $1 ~ "(^|/)" name "$" { lines = $8; reached = $8 - $9 }
        END {
          if (!lines) { print target " does not hold " file > "/dev/stderr"; exit 1 }
          share = 100 * reached / lines
          printf "%-16s %-32s %4d of %4d lines %6.2f %%%s\n", target, file, reached, lines, share, share < 95 ? " <" : ""
          exit share < 95
        }' || status=1
  done
}

seconds=${MLAC_FUZZ_SECONDS:-60}
findings=build/fuzz/findings
mkdir -p "$findings"
status=0
for target in "${targets[@]}"; do
  program=build/$preset/tests/fuzz/fuzz_$target
  if [ "$preset" = coverage ]; then
    coverage "$program" "$target"
    continue
  fi
  mapfile -t corpus < <(inputs "$target")
  [ ! -f "tests/fuzz/$target.dict" ] || corpus+=("-dict=tests/fuzz/$target.dict")
  log=build/fuzz/$target.log
  failed=0
  TIMEFORMAT='%U %S'
  cpu=$( { time "$program" -max_total_time="$seconds" -timeout=1 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$findings/$target-" \
    "${corpus[@]}" > "$log" 2>&1 || echo failed; } 2>&1)
  [[ $cpu != *failed* ]] || failed=1
  cpu=$(awk 'NF == 2 { print $1 + $2 }' <<< "$cpu")
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  printf '%s\t%s\t%s\n' "$target" "$cpu" "${runs:-0}" >> "$cache/totals.tsv"
  if [ "$failed" = 0 ]; then
    printf '%-16s %12s runs in %7.0f CPU-seconds, no finding; in all %s\n' "$target" "${runs:-0}" "$cpu" "$(totals "$target" | cut -c 18- | tr -s ' ')"
  else
    status=1
    printf '%-16s FOUND, see %s; repeat: %s %s\n' "$target" "$log" "$program" "$(sed -n 's/.*Test unit written to //p' "$log" | head -n 1)"
  fi
done
exit $status
