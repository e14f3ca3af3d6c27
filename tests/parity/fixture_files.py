"""Files of the fixtures: safetensors with what mlac takes (F32, I32) beside what is expected of it (F64), and JSON."""

import json
import os
import re

import torch
from safetensors.torch import save_file

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")


def save_tensors(path, tensors):
    """Inputs are given as float32 or integers, expected values as float64: each is stored as it is, integers as I32."""
    stored = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().clone()
        if not tensor.is_floating_point():
            tensor = tensor.to(torch.int32)
        assert torch.isfinite(tensor).all(), name
        stored[name] = tensor.contiguous()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    save_file(stored, path)
    os.chmod(path, 0o644)


def save_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    text = json.dumps(value, ensure_ascii=False, indent=1)
    text = re.sub(r"\[[-+.\de,\s]+\]", lambda numbers: " ".join(numbers[0].split()), text)  # a list of numbers on one line
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def ragged(sequences):
    """token_ids [T] and offsets [S + 1] of a list of lists."""
    offsets = [0]
    for sequence in sequences:
        offsets.append(offsets[-1] + len(sequence))
    return torch.tensor([token for sequence in sequences for token in sequence]), torch.tensor(offsets)


class Normals:
    """Random numbers as float32, a stream for each seed."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape, scale=1.0, mean=0.0):
        return torch.randn(shape, generator=self.generator, dtype=torch.float32) * scale + mean

    def integers(self, bound, *shape):
        return torch.randint(bound, shape, generator=self.generator)
