#!/usr/bin/env python3
"""Writes the expected values of the parity tests under fixtures/, by PyTorch and transformers alone (see README.md)."""

import importlib
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["MKL_CBWR"] = "COMPATIBLE"  # else MKL's last bit depends on where a matrix lies in memory

import torch

PARTS = ["minilm", "antiberty", "ops", "models", "train", "metrics", "losses", "families", "tasks", "prompts"]  # first those that need a file from outside


def main():
    parts = sys.argv[1:] or PARTS
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        sys.exit(f"usage: make_fixtures.py [{'|'.join(PARTS)}]...; there is no part {unknown[0]!r}")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for part in parts:
        importlib.import_module(part + "_fixtures").write()


if __name__ == "__main__":
    main()
