#!/usr/bin/env python3
"""Opens a folder that `mlac train` made in transformers, and compares what it says with what mlac said.

    check_trained_folder.py FOLDER LOGITS.json TEXTS.json

TEXTS.json: a list of strings. LOGITS.json: one entry a text, in one of three forms: a list of logits in the order of id2label; what
`mlac run text-classification --json` prints, {"label": L, "score": S}; or a list of those, one a label. The largest difference is printed;
the exit status is 1 if it is above 1e-4, if a label differs, or if the folder is not what transformers expects: weights missing, left over
or of another shape, or id2label and label2id that do not fit.
"""

import json
import math
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

TOLERANCE = 1e-4


def read_list(path):
    with open(path, encoding="utf-8") as file:
        value = json.load(file)
    if not isinstance(value, list) or not value:
        sys.exit(f"{path}: expected a list with at least one entry")
    return value


def open_folder(folder):
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True, attn_implementation="eager", output_loading_info=True
    )
    for what, found in loading.items():  # missing_keys, unexpected_keys, mismatched_keys, error_msgs
        if found:
            sys.exit(f"{folder}: {what}: {sorted(map(str, found))}")
    config = model.config
    if sorted(config.id2label) != list(range(config.num_labels)) or model.classifier.out_features != config.num_labels:
        sys.exit(
            f"{folder}: config.json: id2label has the ids {sorted(config.id2label)}; the classifier has {model.classifier.out_features} rows"
        )
    inverse = {label: index for index, label in config.id2label.items()}
    if config.label2id != inverse or len(inverse) != config.num_labels:
        sys.exit(f"{folder}: config.json: label2id is not the inverse of id2label")
    return model.double().eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True)


@torch.no_grad()
def logits_of(model, tokenizer, text):
    """Alone, as mlac computes it, and cut to the tokenizer's model_max_length."""
    return model(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0]


def difference(found, logits, id2label):
    """The largest difference between one entry of LOGITS.json and the reference, and a label that differs or None."""
    labels = [id2label[index] for index in range(len(logits))]
    if isinstance(found, list) and all(isinstance(x, (int, float)) for x in found):
        if len(found) != len(labels):
            sys.exit(f"expected {len(labels)} logits a text, found {len(found)}")
        found = torch.tensor(found, dtype=torch.float64)
        return (found - logits).abs().max().item(), None if found.argmax() == logits.argmax() else labels[found.argmax()]
    scores = dict(zip(labels, torch.softmax(logits, dim=-1).tolist()))
    entries = [found] if isinstance(found, dict) else found
    if isinstance(found, list) and len(found) != len(labels):
        sys.exit(f"expected {len(labels)} scores a text, found {len(found)}")
    for entry in entries:
        if entry["label"] not in scores:
            sys.exit(f"the label {entry['label']!r} is not in id2label, which has {labels}")
    best = max(entries, key=lambda entry: entry["score"])["label"]
    return max(abs(entry["score"] - scores[entry["label"]]) for entry in entries), None if best == labels[logits.argmax()] else best


def main():
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    folder, logits_path, texts_path = sys.argv[1:]
    texts, found = read_list(texts_path), read_list(logits_path)
    if len(texts) != len(found):
        sys.exit(f"{texts_path} has {len(texts)} texts, {logits_path} {len(found)} entries")
    model, tokenizer = open_folder(folder)
    largest, num_other_labels = 0.0, 0
    for text, entry in zip(texts, found):
        logits = logits_of(model, tokenizer, text)
        by, other_label = difference(entry, logits, model.config.id2label)
        if by > largest or math.isnan(by):  # NaN stays: nothing is greater
            largest = by
        if other_label is not None and not by <= TOLERANCE:
            num_other_labels += 1
            print(f"{text!r}: {other_label!r}, by transformers {model.config.id2label[int(logits.argmax())]!r}", file=sys.stderr)
    print(f"{len(texts)} texts, {model.config.num_labels} labels: largest difference {largest:.3g}, other labels {num_other_labels}")
    sys.exit(0 if largest <= TOLERANCE and num_other_labels == 0 else 1)


if __name__ == "__main__":
    main()
