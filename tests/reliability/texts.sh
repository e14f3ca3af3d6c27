#!/usr/bin/env bash
# check 9: hostile texts of 5 and 10 MB for the tokenizer; the ratio of the two times
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cmake --build build/release --target reliability_texts >&2
exec build/release/tests/reliability/reliability_texts "$(scripts/fetch.sh minilm)" "$@"
