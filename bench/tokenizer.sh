#!/usr/bin/env bash
# WordPiece on one thread against tokenizers 0.22.2 and 1.0.0rc3, ids compared: bench/tokenizer.sh [--quick]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source bench/support/rivals.sh
candidate=$(scripts/venv.sh tokenizers-rc)/bin/python || candidate="scripts/venv.sh tokenizers-rc failed"
exec taskset -c 0 "$python" bench/tokenizer.py --model "$minilm" --stable "$python" --candidate "$candidate" "$@"
