#!/usr/bin/env python3
"""Saves some folders of fixtures/models again as transformers 5 and sentence-transformers 6 write them (environment `five`, see README.md).

The weights are the same, so the expected values are those that version 4 wrote; here they are only checked, with version 5's own models.
"""

import json
import os
import shutil

os.environ["HF_HUB_OFFLINE"] = "1"

import sentence_transformers
import torch
import transformers
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from fixture_files import FIXTURES, save_json

FOLDER = os.path.join(FIXTURES, "models")
MODELS = {
    "masked_lm": (AutoModelForMaskedLM, {}),
    "classifier": (AutoModelForSequenceClassification, {}),
    "float16": (AutoModel, {}),
    "bfloat16": (AutoModel, {"max_shard_size": "20KB"}),
}
SENTENCE_TRANSFORMERS = ["st_mean", "st_cls_dense"]


def sequences_of(expected):
    bounds = expected["offsets"].tolist()
    for begin, end in zip(bounds, bounds[1:]):
        yield {
            "input_ids": expected["token_ids"][begin:end].long().unsqueeze(0),
            "token_type_ids": expected["token_type_ids"][begin:end].long().unsqueeze(0),
            "attention_mask": torch.ones(1, end - begin, dtype=torch.int64),
        }


def check(found, expected, name):
    difference = (found - expected).abs().max().item()
    assert found.dtype == torch.float64 and difference < 1e-12, f"{name}: version 5 answers otherwise, by {difference}"


@torch.no_grad()
def main():
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(1)
    manifest_path = os.path.join(FOLDER, "models.json")
    with open(manifest_path, encoding="utf-8") as file:
        manifest = [entry for entry in json.load(file) if not entry["name"].endswith("_version_five")]
    by_name = {entry["name"]: entry for entry in manifest}

    for name in [*MODELS, *SENTENCE_TRANSFORMERS]:
        source, target = os.path.join(FOLDER, name), os.path.join(FOLDER, name + "_version_five")
        shutil.rmtree(target, ignore_errors=True)
        expected = load_file(os.path.join(FOLDER, by_name[name]["expected"]))
        if name in MODELS:
            model_class, options = MODELS[name]
            model_class.from_pretrained(source).save_pretrained(target, **options)
            AutoTokenizer.from_pretrained(source).save_pretrained(target)
            model = model_class.from_pretrained(target, attn_implementation="eager").double().eval()
            answers = [model(**sequence) for sequence in sequences_of(expected)]
            if "logits" in expected:
                found = torch.cat([answer.logits.reshape(-1, answer.logits.shape[-1]) for answer in answers])
                check(found, expected["logits"], name)
            else:
                check(torch.cat([answer.last_hidden_state[0] for answer in answers]), expected["last_hidden_state"], name)
        else:
            SentenceTransformer(source, device="cpu").save(target, create_model_card=False)
            model = SentenceTransformer(target, device="cpu", model_kwargs={"attn_implementation": "eager"}).double().eval()
            found = torch.cat([model(sequence)["sentence_embedding"] for sequence in sequences_of(expected)])
            check(found, expected["embedding"], name)
        for path, _, files in os.walk(target):
            for file in files:
                os.chmod(os.path.join(path, file), 0o644)
        manifest.append(
            {
                **by_name[name],
                "name": name + "_version_five",
                "folder": name + "_version_five",
                "written_by": f"transformers {transformers.__version__}, sentence-transformers {sentence_transformers.__version__}",
            }
        )
    save_json(manifest_path, manifest)
    print(f"models: {len(MODELS) + len(SENTENCE_TRANSFORMERS)} folders of version 5")


if __name__ == "__main__":
    main()
