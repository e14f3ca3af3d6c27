#!/usr/bin/env python3
"""Opens a folder that `mlac train` made in sentence-transformers, and compares what it says with what mlac said.

    check_sentence_folder.py FOLDER VECTORS.json TEXTS.json
    check_sentence_folder.py --query QUERY FOLDER SCORES.json TEXTS.json

TEXTS.json: a list of strings. VECTORS.json: what `mlac run feature-extraction --json` prints of them. SCORES.json: what `mlac run text-ranking --json`
prints of them for QUERY. The largest difference is printed; the exit status is 1 if it is above 1e-5.
"""

import argparse
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer

TOLERANCE = 1e-5


def read_list(path):
    with open(path, encoding="utf-8") as file:
        value = json.load(file)
    if not isinstance(value, list) or not value:
        sys.exit(f"{path}: expected a list with at least one entry")
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--query")
    parser.add_argument("folder")
    parser.add_argument("answers")
    parser.add_argument("texts")
    arguments = parser.parse_args()
    texts, answers = read_list(arguments.texts), read_list(arguments.answers)
    if len(texts) != len(answers):
        sys.exit(f"{arguments.texts} has {len(texts)} texts, {arguments.answers} {len(answers)} entries")
    if arguments.query is None:
        model = SentenceTransformer(arguments.folder, device="cpu", local_files_only=True).double()
        found, expected = torch.tensor(answers, dtype=torch.float64), model.encode(texts, batch_size=1, convert_to_tensor=True).double()
    else:
        model = CrossEncoder(arguments.folder, device="cpu", local_files_only=True)
        model.model.double()
        by_index = {entry["index"]: entry["score"] for entry in answers}
        found = torch.tensor([by_index[i] for i in range(len(texts))], dtype=torch.float64)
        expected = model.predict([(arguments.query, text) for text in texts], batch_size=1, convert_to_tensor=True).double()
    largest = (found - expected).abs().max().item()
    print(f"{type(model).__name__}: {len(texts)} texts: largest difference {largest:.3g}")
    sys.exit(0 if largest <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
