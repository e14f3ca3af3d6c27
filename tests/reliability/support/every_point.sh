#!/usr/bin/env bash
# every_point.sh FILTER WHAT [OPTIONS...]: the tests of test_faults that FILTER names, which `./dev test` runs at a sample of their points, at every one
# of them; adds up the numbers before or behind the word WHAT in their tables. OPTIONS are for the test program.
set -euo pipefail
filter=$1 what=$2
shift 2
scripts/setup.sh test
cmake --preset ci >&2
cmake --build build/ci --target test_faults -j "$(nproc)" >&2
table=$(mktemp)
trap 'rm -f "$table"' EXIT
status=0
MLAC_EVERY_POINT=1 build/ci/tests/test_faults --gtest_brief=1 --gtest_filter="$filter" "$@" | tee "$table" || status=$?
awk -v what="$what" '$0 ~ what { for (i = 2; i <= NF; ++i) if ($i == what) { sum += $(i - 1); break } } END { printf "%d %s in all\n", sum, what }' "$table"
exit "$status"
