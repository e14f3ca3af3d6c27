#!/usr/bin/env python3
"""compressed/: the classifier of fixtures/models as compressed-tensors saves it in int8, and what it answers (environment `compressed`, see README.md).

model/ is in format "int-quantized": a scale a row for the weights of all linear layers of the encoder, activations dynamic by token around zero. Head
and embeddings are F32. expected.safetensors has the ragged input as in fixtures/models, and the answers of compressed-tensors' own forward pass in
float64, each sequence by itself: last_hidden_state [T, H] and logits [S, labels] with rounded activations; weight_only.last_hidden_state and
weight_only.logits of the same weights with activations as they are.
"""

import json
import os
import shutil

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationConfig, QuantizationScheme, QuantizationStatus, apply_quantization_config
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors.torch import load_file
from transformers import BertForSequenceClassification

from fixture_files import FIXTURES, save_tensors

SOURCE = os.path.join(FIXTURES, "models", "classifier")
FOLDER = os.path.join(FIXTURES, "compressed")
NUM_SEQUENCES = 4  # enough to see; the longer ones take room


def quantized_modules(model):
    return [module for module in model.modules() if getattr(module, "quantization_scheme", None) is not None]


def quantize(model):
    weights = QuantizationArgs(num_bits=8, strategy="channel", symmetric=True)
    activations = QuantizationArgs(num_bits=8, strategy="token", symmetric=True, dynamic=True)
    group = QuantizationScheme(targets=["Linear"], weights=weights, input_activations=activations)
    ignore = ["classifier", "re:.*pooler.*"]
    apply_quantization_config(model, QuantizationConfig(config_groups={"group_0": group}, format="int-quantized", ignore=ignore))
    for module in quantized_modules(model):
        weight = module.weight.data
        scale, _ = calculate_qparams(weight.amin(1, keepdim=True), weight.amax(1, keepdim=True), weights)
        module.weight_scale.data = scale
        module.quantization_status = QuantizationStatus.FROZEN


@torch.no_grad()
def answers(model, sequences, types, prefix=""):
    hidden, logits = [], []
    for sequence, type_ids in zip(sequences, types):
        arguments = {"input_ids": torch.tensor([sequence]), "token_type_ids": torch.tensor([type_ids])}
        hidden.append(model.bert(**arguments).last_hidden_state[0])
        logits.append(model(**arguments).logits)
    found = {prefix + "last_hidden_state": torch.cat(hidden), prefix + "logits": torch.cat(logits)}
    assert all(tensor.dtype == torch.float64 for tensor in found.values())
    return found


def main():
    torch.set_num_threads(1)
    shutil.rmtree(FOLDER, ignore_errors=True)
    folder = os.path.join(FOLDER, "model")
    model = BertForSequenceClassification.from_pretrained(SOURCE, attn_implementation="eager").eval()
    quantize(model)

    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    model.save_pretrained(folder)
    compressor.update_config(folder)
    for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"]:
        shutil.copy(os.path.join(SOURCE, name), folder)
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o644)

    model = BertForSequenceClassification.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    compressor.decompress_model(model)
    model = model.double()
    given = load_file(os.path.join(FIXTURES, "models", "classifier.expected.safetensors"))
    bounds = given["offsets"].tolist()[: NUM_SEQUENCES + 1]
    sequences = [given["token_ids"][begin:end].tolist() for begin, end in zip(bounds, bounds[1:])]
    types = [given["token_type_ids"][begin:end].tolist() for begin, end in zip(bounds, bounds[1:])]
    expected = answers(model, sequences, types)
    for module in quantized_modules(model):
        module.quantization_scheme.input_activations = None
    expected |= answers(model, sequences, types, "weight_only.")
    save_tensors(
        os.path.join(FOLDER, "expected.safetensors"),
        {
            "token_ids": given["token_ids"][: bounds[-1]],
            "token_type_ids": given["token_type_ids"][: bounds[-1]],
            "offsets": given["offsets"][: NUM_SEQUENCES + 1],
            **expected,
        },
    )
    difference = (expected["last_hidden_state"] - expected["weight_only.last_hidden_state"]).abs().max().item()
    assert difference > 1e-3, "activations were not rounded"
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        print(f"compressed: {json.load(file)['quantization_config']['format']}; rounding activations changes hidden states by {difference:.4f}")


if __name__ == "__main__":
    main()
