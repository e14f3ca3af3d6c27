#!/usr/bin/env bash
# texts to vectors, tokenising included: mixed e-mails against sentence-transformers, and single texts of DistilBERT's shape: bench/texts.sh [--quick]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source bench/support/rivals.sh
case " $* " in *" --quick "*) models minilm ;; *) models minilm distilbert ;; esac
exec "$python" bench/texts.py --models build/bench/data/models --threads "$threads" "$@"
