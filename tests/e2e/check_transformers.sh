#!/usr/bin/env bash
# Trains MiniLM on 200 WordNet glosses with mlac, opens the folder in transformers and compares what both say of 50 other texts.
#
#   tests/e2e/check_transformers.sh [MLAC]      the binary; build/release/mlac if not given
#
# MLAC_TRANSFORMERS_PYTHON names a Python that has transformers (`scripts/venv.sh parity` makes one), MLAC_MINILM the folder; without them the test is
# skipped (status 77).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mlac=${1:-build/release/mlac} python=${MLAC_TRANSFORMERS_PYTHON:-} model=${MLAC_MINILM:-}
[ -n "$python" ] || { echo "skipped: MLAC_TRANSFORMERS_PYTHON is not set"; exit 77; }
[ -n "$model" ] || { echo "skipped: MLAC_MINILM is not set"; exit 77; }
wordnet=$(scripts/fetch.sh wordnet) || { echo "skipped: no WordNet"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 scripts/wordnet_csv.py "$wordnet/data.noun" "$work"
head -n 201 "$work/train.csv" > "$work/train200.csv"
"$mlac" train text-classification --model "$model" --data "$work/train200.csv" --out "$work/topics" --epochs 1 --lr 1e-4 --max-length 64
python3 - "$work/test.csv" "$work" << 'END'
import csv, json, sys
with open(sys.argv[1], encoding="utf-8", newline="") as file:
    texts = [row["text"] for row in csv.DictReader(file)][:50]
json.dump(texts, open(sys.argv[2] + "/texts.json", "w", encoding="utf-8"))
open(sys.argv[2] + "/texts.jsonl", "w", encoding="utf-8").writelines(json.dumps({"text": text}) + "\n" for text in texts)
END
"$mlac" run text-classification --model "$work/topics" --file "$work/texts.jsonl" --truncate --top-k all --json > "$work/scores.json"
"$python" tests/parity/check_trained_folder.py "$work/topics" "$work/scores.json" "$work/texts.json"

# Scores near 0 hide differences of logits: compare those, less their mean, which is what scores determine of them.
"$python" - "$work/topics" "$work/scores.json" "$work/texts.json" << 'END'
import json, math, sys
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
folder, scores, texts = sys.argv[1:]
model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder).double().eval(), AutoTokenizer.from_pretrained(folder)
largest = 0.0
for text, entries in zip(json.load(open(texts)), json.load(open(scores)), strict=True):
    with torch.no_grad():
        logits = model(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0]
    found = torch.tensor([math.log(entry["score"]) for entry in sorted(entries, key=lambda entry: model.config.label2id[entry["label"]])], dtype=torch.float64)
    largest = max(largest, ((found - found.mean()) - (logits - logits.mean())).abs().max().item())
print(f"largest difference of logits (less their mean): {largest:.3g}")
sys.exit(0 if largest <= 1e-4 else 1)
END
