#!/usr/bin/env bash
# check 28: minutes of mixed traffic: resident memory, descriptors, errors; --tsan: the same under the thread sanitiser, and its reports
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [[ " $* " == *" --tsan "* ]]; then
  cmake --preset tsan >&2
  cmake --build build/tsan --target mlac >&2
  export MLAC_BINARY=build/tsan/mlac
fi
exec python3 tests/reliability/soak.py tests/parity/fixtures "$(scripts/fetch.sh minilm)" "$@"
