#!/usr/bin/env bash
# dev test: every test of the tree. Each part adds its counts; the last line is their sum, and the exit status says whether any failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh build fetch test

passed=0 failed=0 skipped=0
failures=()
jobs=$(nproc)

section() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }

# step NAME COMMAND...: one test that is a command; its output is shown as it comes.
step() {
  local name=$1
  shift
  section "$name"
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); failures+=("$name"); fi
}

compile() {  # PRESET
  cmake --preset "$1" && cmake --build "build/$1" -j "$jobs"
}

# run_ctest PRESET [CTEST OPTIONS...]: compiles the preset and adds what its tests gave, as JUnit counts them.
run_ctest() {
  local preset=$1
  shift
  local report=$PWD/build/$preset/junit.xml
  step "compile $preset" compile "$preset"
  [ "${failures[*]: -1}" != "compile $preset" ] || return 0
  section "tests, $preset"
  rm -f "$report"
  ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure --progress --output-junit "$report" "$@" || true
  [ -s "$report" ] || { failed=$((failed + 1)); failures+=("ctest $preset gave no report"); return 0; }
  local counts
  read -r -a counts < <(awk '/<testsuite / { header = 1 }
    header && match($0, /tests="[0-9]+"/) { tests = substr($0, RSTART + 7, RLENGTH - 8) }
    header && match($0, /failures="[0-9]+"/) { bad = substr($0, RSTART + 10, RLENGTH - 11) }
    header && match($0, /disabled="[0-9]+"/) { off = substr($0, RSTART + 10, RLENGTH - 11) }
    header && match($0, /skipped="[0-9]+"/) { skip = substr($0, RSTART + 9, RLENGTH - 10) }
    header && />/ { print tests - bad - off - skip, bad, off + skip; exit }' "$report")
  passed=$((passed + counts[0])) failed=$((failed + counts[1])) skipped=$((skipped + counts[2]))
  [ "${counts[1]}" = 0 ] || failures+=("${counts[1]} of ctest, preset $preset")
}

# The library as a user gets it: installed, found by find_package, and used by the example.
installed_library() {
  rm -rf build/installed build/example
  cmake --install build/ci --prefix build/installed > /dev/null || return 1
  build/installed/bin/mlac --version || return 1
  cmake -S examples -B build/example -G Ninja -D CMAKE_BUILD_TYPE=Release -D CMAKE_PREFIX_PATH="$PWD/build/installed" || return 1
  cmake --build build/example || return 1
  [ -z "${MLAC_MINILM:-}" ] || build/example/embed "$MLAC_MINILM" "a cat" "a feline"
}

section "fixtures"
if MLAC_MINILM=$(scripts/fetch.sh minilm); then export MLAC_MINILM; else echo "no MiniLM: the tests that need it are skipped"; fi

step "lint" scripts/lint.sh
step "references of the documentation" tests/docs/references_test.sh
run_ctest ci
step "installed library" installed_library
[ -z "${MLAC_MINILM:-}" ] || step "commands of the tutorial" tests/docs/tutorial_test.sh build/ci/mlac
[ -z "${MLAC_MINILM:-}" ] || step "commands of plan-and-apply" tests/docs/tutorial_test.sh build/ci/mlac docs/plan-and-apply.md
[ -z "${MLAC_MINILM:-}" ] || step "commands of the page about serving" tests/docs/tutorial_test.sh build/ci/mlac docs/serving.md
[ -z "${MLAC_MINILM:-}" ] || step "commands of spans-and-masks" tests/docs/tutorial_test.sh build/ci/mlac docs/spans-and-masks.md
[ -z "${MLAC_MINILM:-}" ] || step "commands of the page about adapters" tests/docs/tutorial_test.sh build/ci/mlac docs/adapters.md
[ -z "${MLAC_CLIENTS_PYTHON:-}" ] || step "clients of the server" tests/e2e/clients_test.sh build/ci/mlac
[ -z "${MLAC_MLFLOW_PYTHON:-}" ] || step "runs tracked by MLflow" tests/e2e/mlflow_test.sh build/ci/mlac
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1} run_ctest asan -LE e2e

printf '\n== %d min %d s\n' $((SECONDS / 60)) $((SECONDS % 60))
[ ${#failures[@]} = 0 ] || printf 'failed: %s\n' "${failures[@]}"
if [ "$skipped" = 0 ]; then echo "$passed passed, $failed failed"; else echo "$passed passed, $failed failed, $skipped skipped"; fi
[ "$failed" = 0 ]
