#!/usr/bin/env bash
# a training step of MiniLM and of BERT-base's shape against torch: bench/train.sh [--quick]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source bench/support/rivals.sh
case " $* " in *" --quick "*) models minilm ;; *) models minilm bert-base ;; esac
exec "$python" bench/train.py --models build/bench/data/models --threads "$threads" "$@"
