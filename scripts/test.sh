#!/usr/bin/env bash
# dev test: every test of the tree. Each part adds its counts; the last line is their sum, and the exit status says whether any failed.
# dev test --arm: the tests of what computes, cross-compiled for 64-bit Arm and run by qemu-user.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case "$*" in "" | --arm) ;; *) echo "dev test: unknown arguments '$*'; --arm is all there is" >&2; exit 2 ;; esac
scripts/setup.sh build fetch test ${1:+arm}

passed=0 failed=0 skipped=0
failures=()
jobs=$(nproc)

section() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }

# step NAME COMMAND...: one test that is a command; its output is shown as it comes. Status 77: it says why it is skipped.
step() {
  local name=$1 status=0
  shift
  section "$name"
  "$@" || status=$?
  case $status in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)) failures+=("$name") ;;
  esac
}

# optional NEEDED NAME COMMAND...: a step, or a skipped one where NEEDED is empty: something that this machine lacks.
optional() {
  if [ -n "$1" ]; then step "${@:2}"; return; fi
  section "$2"
  echo "skipped: what it needs is not here"
  skipped=$((skipped + 1))
}

compile() {  # PRESET [TARGETS...]
  cmake --preset "$1" && cmake --build "build/$1" -j "$jobs" ${2:+--target "${@:2}"}
}

# run_ctest "PRESET [TARGETS...]" [CTEST OPTIONS...]: compiles these targets of the preset (all if none) and adds what its tests gave, as
# JUnit counts them.
run_ctest() {
  local preset targets
  read -r preset targets <<< "$1"
  shift
  local report=$PWD/build/$preset/junit.xml
  # shellcheck disable=SC2086  # the targets are words
  step "compile $preset" compile "$preset" $targets
  [ "${failures[*]: -1}" != "compile $preset" ] || return 0
  section "tests, $preset"
  rm -f "$report"
  # Twice as many at once as there are processors: a test of a server or of a fault waits for most of its time.
  ctest --test-dir "build/$preset" -j "${CTEST_PARALLEL_LEVEL:-$((2 * jobs))}" --output-on-failure --progress --output-junit "$report" "$@" || true
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
  models_as_code || return 1
  [ -z "${MLAC_MINILM:-}" ] || build/example/embed "$MLAC_MINILM" "a cat" "a feline"
}

# Plan, apply, test, promote and compare from C++; then the program finds nothing left to do, and the second time there is nothing to run.
models_as_code() {
  local folder=build/example/project fixtures=$PWD/tests/parity/fixtures
  rm -rf "$folder" && mkdir "$folder" || return 1
  for part in train test; do
    awk -v from="$([ $part = train ] && echo 0 || echo 60)" 'BEGIN { print "text,label"; split("cat red night", own, " "); split("animal colour time", label, " ")
      for (i = from; i < from + 60; ++i) printf "%s the people %d,%s\n", own[i % 3 + 1], i, label[i % 3 + 1] }' > "$folder/$part.csv"
  done
  echo "slices: [{name: all, min_length: 1, min: 0}]" > "$folder/tests.yaml"
  cat > "$folder/mlac.yaml" << YAML
models:
  topics:
    base: $fixtures/models/classifier
    data: {train: train.csv, test: test.csv}
    train: {epochs: 1}
    tests: tests.yaml
    gates: [accuracy >= production - 0.5]
YAML
  build/example/models_as_code "$folder/mlac.yaml" topics > "$folder/first.txt" || { cat "$folder/first.txt"; return 1; }
  grep -q "6 steps to run in 1 model" "$folder/first.txt" && grep -q "^ok    slices: all" "$folder/first.txt" && grep -q "^## topics@" "$folder/first.txt" ||
    { cat "$folder/first.txt"; echo "models_as_code: not what it should print"; return 1; }
  build/example/models_as_code "$folder/mlac.yaml" topics | grep -q "^topics: nothing to do" || { echo "models_as_code: ran again"; return 1; }
  build/ci/mlac plan --file "$folder/mlac.yaml" --exit-code || return 1
  build/ci/mlac show topics@production --store "$folder/.mlac" > /dev/null
}

# libmlac.so as a user gets it: its component alone, its examples in C, C++ and Python, and the answers of the program.
installed_c_library() {
  local fixtures=tests/parity/fixtures library found expected
  rm -rf build/installed-c build/example-c
  cmake --install build/ci --prefix build/installed-c --component c > /dev/null || return 1
  cmake -S examples -B build/example-c -G Ninja -D CMAKE_BUILD_TYPE=Release -D CMAKE_PREFIX_PATH="$PWD/build/installed-c" -D C_ALONE=ON || return 1
  cmake --build build/example-c || return 1
  library=$(echo build/installed-c/lib*/libmlac.so)
  [ -e "$library" ] || library=$(echo build/installed-c/lib/*/libmlac.so)
  found=$(build/example-c/run_task "$fixtures/models/classifier" text-classification '{"inputs": ["a cat", "a dog"], "parameters": {"top_k": 2}}') || return 1
  expected=$(build/ci/mlac run text-classification -m "$fixtures/models/classifier" --json --top-k 2 "a cat" "a dog") || return 1
  [ "$found" = "$expected" ] || { echo "run_task: $found; mlac: $expected"; return 1; }
  if build/example-c/run_task "$fixtures/models/classifier" fill-mask '{}' 2> /dev/null; then echo "run_task did a task that the model does not do"; return 1; fi
  found=$(build/example-c/nearest "$fixtures/models/st_mean" "a cat" "the dog" "a cat") || return 1
  [ "$found" = "1.0000  a cat" ] || { echo "nearest: $found"; return 1; }
  found=$(python3 examples/mlac_ctypes.py "$library" "$fixtures/models/st_mean" "a cat" "the dog" "trees") || return 1
  expected=$(build/ci/mlac run sentence-similarity -m "$fixtures/models/st_mean" "a cat" "the dog" "trees") || return 1
  [ "$(sed -n '2,3p' <<< "$found")" = "$expected" ] || { echo "mlac_ctypes.py: $found; mlac: $expected"; return 1; }
  echo "libmlac.so: C, C++ and Python give the answers of the program"
}

# The tests of what computes, on NEON: the same expected values, the same committed bits (docs/architecture.md, "Equal bits"). What starts the program as a
# process is left out: qemu-user runs one program, and without a change to the system nobody hands it the next. So is a test that computes MiniLM
# on all texts five times, as an emulator takes minutes for one, and one that counts the memory of the process, which is the emulator's.
arm() {
  local folders="base tensor kernels autograd models text data_sets parity train optimize"
  step "libraries for 64-bit Arm" scripts/arm64_libraries.sh
  # shellcheck disable=SC2086  # the folders are words
  # As many at once as there are processors: an emulator never waits.
  [ "$failed" != 0 ] || CTEST_PARALLEL_LEVEL=$jobs run_ctest "arm64 $(printf 'test_%s ' $folders)" -L "^(${folders// /|})\$" -E '^(MiniLm\.GivesTheSameBits|AllocateMemory\.GivesBack)'
}

summary() {
  printf '\n== %d min %d s\n' $((SECONDS / 60)) $((SECONDS % 60))
  [ ${#failures[@]} = 0 ] || printf 'failed: %s\n' "${failures[@]}"
  [ "$skipped" = 0 ] || echo "$skipped skipped: they need what this machine lacks"
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}

section "fixtures"
if MLAC_MINILM=$(scripts/fetch.sh minilm); then export MLAC_MINILM; else echo "no MiniLM: the tests that need it are skipped"; fi
if antiberty=$(scripts/fetch.sh antiberty) && tests/parity/antiberty_folder.py "$antiberty" build/antiberty; then
  export MLAC_ANTIBERTY=$PWD/build/antiberty
else
  echo "no AntiBERTy: the test that needs it is skipped"
fi

if [ "${1:-}" = --arm ]; then
  arm
  summary
  exit
fi

step "lint" scripts/lint.sh
step "references of the documentation" tests/docs/references_test.sh
step "the page of performance" tests/docs/performance_test.py
run_ctest ci
step "names of files that are compiled together" cmake --build build/ci -j "$jobs" --target mlac_folders
step "installed library" installed_library
step "installed C library" installed_c_library
optional "${MLAC_MINILM:-}" "commands of the tutorial" tests/docs/tutorial_test.sh build/ci/mlac
optional "${MLAC_MINILM:-}" "commands of plan-and-apply" tests/docs/tutorial_test.sh build/ci/mlac docs/plan-and-apply.md
optional "${MLAC_MINILM:-}" "commands of the page about serving" tests/docs/tutorial_test.sh build/ci/mlac docs/serving.md
optional "${MLAC_MINILM:-}" "commands of spans-and-masks" tests/docs/tutorial_test.sh build/ci/mlac docs/spans-and-masks.md
optional "${MLAC_MINILM:-}" "commands of the page about comparing texts" tests/docs/tutorial_test.sh build/ci/mlac docs/comparing-texts.md
optional "${MLAC_MINILM:-}" "commands of the page about adapters" tests/docs/tutorial_test.sh build/ci/mlac docs/adapters.md
optional "$(command -v chromium > /dev/null && command -v chromedriver || true)" "the page in Chromium" tests/e2e/page_test.py build/ci/mlac
step "trained folders in transformers" tests/e2e/check_transformers.sh build/ci/mlac
step "adapters in PEFT" tests/e2e/check_adapters.sh build/ci/mlac
optional "${MLAC_CLIENTS_PYTHON:-}" "clients of the server" tests/e2e/clients_test.sh build/ci/mlac
optional "${MLAC_HOOKS_PYTHON:-}" "hooks and files for CI" tests/e2e/hooks_test.sh build/ci/mlac
optional "${MLAC_MLFLOW_PYTHON:-}" "runs tracked by MLflow" tests/e2e/mlflow_test.sh build/ci/mlac
# Without the two that fail allocations in forked children with threads or many files: there the sanitiser waits for itself. And without MiniLM five times
# over: its kernels run in other tests, and the sanitiser makes minutes of this one.
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1} run_ctest asan -LE e2e -E '^(FailingAllocations(OfAServer\.|\.OfAStore)|MiniLm\.GivesTheSameBits)'

summary
