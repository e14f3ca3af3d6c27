#!/usr/bin/env bash
# Trains adapters with mlac, opens them in PEFT over the same base, and compares the logits of both: within 1e-4, less their mean, which is what scores
# determine of them. A classifier over each tiny family, and over MiniLM where it is there, with adapters in queries and values and in every linear layer.
#
#   tests/e2e/check_adapters.sh [MLAC]      the binary; build/release/mlac if not given
#
# MLAC_PEFT_PYTHON names a Python that has PEFT (`scripts/venv.sh five` makes one); without it the test is skipped (status 77).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mlac=${1:-build/release/mlac} python=${MLAC_PEFT_PYTHON:-} minilm=${MLAC_MINILM:-}
[ -n "$python" ] || { echo "skipped: MLAC_PEFT_PYTHON is not set"; exit 77; }
fixtures=tests/parity/fixtures
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 - "$work" << 'END'
import json, random, sys
random.seed(1)
words = "the people small large open train model word not this".split()
rows = []
for i in range(200):
    kind = ("cat", "red", "night")[i % 3]
    rows.append({"text": " ".join([kind] + random.choices(words, k=random.randrange(2, 9)) + [str(i)]), "label": {"cat": "animal", "red": "colour", "night": "time"}[kind]})
for name, part in (("train", rows[:150]), ("texts", rows[150:])):
    with open(f"{sys.argv[1]}/{name}.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in part)
END
for base in ${minilm:+"$minilm"} $fixtures/models/classifier $fixtures/models/masked_lm $fixtures/families/distilbert $fixtures/families/electra $fixtures/families/mpnet; do
  for targets in "" all-linear; do
    "$mlac" train text-classification -m "$base" --data "$work/train.jsonl" --out "$work/adapter" --overwrite --epochs 2 --lr 0.005 --lora 4 --max-length 32 \
      ${targets:+--lora-targets $targets} 2> "$work/log" > /dev/null || { cat "$work/log" >&2; exit 1; }
    "$mlac" run text-classification -m "$base" --adapter "$work/adapter" --file "$work/texts.jsonl" --truncate --top-k all --json > "$work/scores.json"
    printf '%s, %s: ' "$(basename "$base")" "${targets:-queries and values}"
    "$python" - "$base" "$work" << 'END'
import json, math, os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging
logging.set_verbosity_error()
base, work = sys.argv[1:]
adapter = work + "/adapter"
labels = json.load(open(adapter + "/config.json"))["label2id"]
model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(labels), ignore_mismatched_sizes=True)
model = PeftModel.from_pretrained(model, adapter).double().eval()
num_loaded = sum(".lora_B." in name and parameter.abs().sum().item() > 0 for name, parameter in model.named_parameters())
tokenizer = AutoTokenizer.from_pretrained(adapter)
largest = 0.0
for line, entries in zip(open(work + "/texts.jsonl"), json.load(open(work + "/scores.json")), strict=True):
    with torch.no_grad():
        logits = model(**tokenizer(json.loads(line)["text"], truncation=True, return_tensors="pt")).logits[0]
    found = torch.tensor([math.log(entry["score"]) for entry in sorted(entries, key=lambda entry: labels[entry["label"]])], dtype=torch.float64)
    largest = max(largest, ((found - found.mean()) - (logits - logits.mean())).abs().max().item())
print(f"{num_loaded} adapted layers, largest difference of logits {largest:.2g}")
sys.exit(0 if largest <= 1e-4 and num_loaded > 0 else 1)
END
  done
done
