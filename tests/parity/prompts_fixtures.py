"""prompts/prompts.json: what sentence-transformers makes of texts behind prompts, over models/st_mean with other settings, in float64.

A list of {"pooling", "include_prompt", "prompts", "default_prompt_name", "given", "texts", "embeddings"}. The first four are what
1_Pooling/config.json and config_sentence_transformers.json say; given: the arguments of encode(), {"prompt"} or {"prompt_name"} or none.

prompts/ranking.json: the same of a cross-encoder, families/mpnet_reranker. A list of {"has_modules", "config", "query", "texts", "logits"}:
whether the folder has modules.json, and config_sentence_transformers.json.
"""

import json
import os
import shutil
import tempfile

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers.utils import logging as transformers_logging

from fixture_files import FIXTURES, save_json
from models_fixtures import TEXTS

BASE = os.path.join(FIXTURES, "models", "st_mean")
CROSS_ENCODER = os.path.join(FIXTURES, "families", "mpnet_reranker")
PROMPTS = {"query": "what is the ", "document": ""}
CASES = [  # default_prompt_name, the arguments of encode()
    (None, {}),
    ("query", {}),
    ("document", {}),
    ("query", {"prompt_name": "document"}),
    ("query", {"prompt": ""}),
    (None, {"prompt_name": "query"}),
    (None, {"prompt": "Open: the light, "}),
]


def write():
    transformers_logging.set_verbosity_error()
    texts = [text for text in TEXTS if isinstance(text, str)]  # the last is cut
    cases = []
    for pooling in ("mean", "cls", "max"):
        for include_prompt in (True, False):
            for default, given in CASES:
                if pooling != "mean" and (include_prompt or given or default != "query"):
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    shutil.copytree(BASE, folder, dirs_exist_ok=True)
                    change(folder, "1_Pooling/config.json", {"pooling_mode": pooling, "include_prompt": include_prompt})
                    change(folder, "config_sentence_transformers.json", {"prompts": PROMPTS, "default_prompt_name": default})
                    model = SentenceTransformer(folder, device="cpu", model_kwargs={"attn_implementation": "eager"}).double().eval()
                    embeddings = [model.encode(text, **given).tolist() for text in texts]
                cases.append(
                    {
                        "pooling": pooling,
                        "include_prompt": include_prompt,
                        "prompts": PROMPTS,
                        "default_prompt_name": default,
                        "given": given,
                        "texts": texts,
                        "embeddings": embeddings,
                    }
                )
    save_json(os.path.join(FIXTURES, "prompts", "prompts.json"), cases)
    write_ranking()


def write_ranking():
    query, texts = "cat", [text for text in TEXTS if isinstance(text, str)]
    cases = []
    for has_modules, model_type, default in [
        (True, "CrossEncoder", "query"),
        (True, "CrossEncoder", None),
        (True, "CrossEncoder", "document"),
        (False, "CrossEncoder", "query"),
        (True, "SentenceTransformer", "query"),
        (False, "SentenceTransformer", "query"),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            CrossEncoder(CROSS_ENCODER, device="cpu").save_pretrained(folder)
            config = {"model_type": model_type, "prompts": PROMPTS, "default_prompt_name": default}
            change(folder, "config_sentence_transformers.json", config)
            if not has_modules:
                os.remove(os.path.join(folder, "modules.json"))
            model = CrossEncoder(folder, device="cpu", model_kwargs={"attn_implementation": "eager"})
            model.double().eval()
            pairs = [(query, text) for text in texts]
            logits = model.predict(pairs, activation_fn=torch.nn.Identity(), convert_to_tensor=True).tolist()
        cases.append({"has_modules": has_modules, "config": config, "query": query, "texts": texts, "logits": logits})
    save_json(os.path.join(FIXTURES, "prompts", "ranking.json"), cases)


def change(folder, name, values):
    path = os.path.join(folder, name)
    with open(path, encoding="utf-8") as file:
        value = json.load(file)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**value, **values}, file)
