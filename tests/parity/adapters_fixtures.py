#!/usr/bin/env python3
"""adapters/: adapters of PEFT over the tiny models of models/ and families/, and what they answer (environment `five`, see README.md).

adapters.json lists them: the folder of the base, that of the adapter, and the file of the expected answers, which has the tokens of the base's own
file. A and B are random, so that every one of them counts.
"""

import json
import os
import shutil

os.environ["HF_HUB_OFFLINE"] = "1"

import peft
import torch
from peft import LoraConfig, TaskType, get_peft_model
from safetensors.torch import load_file
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from transformers.utils import logging as transformers_logging

from fixture_files import FIXTURES, Normals, save_json, save_tensors

FOLDER = os.path.join(FIXTURES, "adapters")
# name: base, class, LoraConfig's arguments, whether it keeps a new head
CASES = {
    "bert": ("models/classifier", AutoModelForSequenceClassification, {"task_type": TaskType.SEQ_CLS, "r": 4, "lora_alpha": 8}),
    # Of another number of labels than the base has, which nothing but the classifier itself tells.
    "bert_labels": ("models/masked_lm", AutoModelForSequenceClassification, {"task_type": TaskType.SEQ_CLS, "r": 2, "num_labels": 4,
                                                                             "modules_to_save": ["pooler", "classifier"]}),
    "bert_patterns": ("models/classifier", AutoModelForSequenceClassification,
                      {"task_type": TaskType.SEQ_CLS, "r": 4, "lora_alpha": 16, "use_rslora": True, "target_modules": "all-linear",
                       "rank_pattern": {"query": 2, "bert.pooler.dense": 3}, "alpha_pattern": {"layer.1.attention.self.value": 32}}),
    "bert_tokens": ("families/bert_tokens", AutoModelForTokenClassification, {"task_type": TaskType.TOKEN_CLS, "r": 3}),
    "bert_qa": ("families/bert_qa", AutoModelForQuestionAnswering, {"task_type": TaskType.QUESTION_ANS, "target_modules": ["dense"]}),
    "bert_masked_lm": ("models/masked_lm", AutoModelForMaskedLM, {"target_modules": ["query", "key", "value"]}),
    "bert_embedding": ("models/st_mean", AutoModel, {"task_type": TaskType.FEATURE_EXTRACTION}),
    "distilbert": ("families/distilbert_classifier", AutoModelForSequenceClassification,
                   {"task_type": TaskType.SEQ_CLS, "target_modules": ["q_lin", "v_lin", "lin1"], "modules_to_save": ["pre_classifier", "classifier"]}),
    "electra": ("families/electra_nli", AutoModelForSequenceClassification, {"task_type": TaskType.SEQ_CLS, "lora_dropout": 0.1}),
    "mpnet": ("families/mpnet_reranker", AutoModelForSequenceClassification, {"task_type": TaskType.SEQ_CLS, "target_modules": ["q", "v"]}),
}


def randomize(model, seed):
    """A and B, and what modules_to_save keeps, as random numbers of the size that training gives them."""
    normals = Normals(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if ".lora_" in name:
                parameter.copy_(normals(*parameter.shape, scale=0.3))
            elif "modules_to_save" in name:
                parameter.copy_(normals(*parameter.shape, scale=1.4 / parameter.shape[-1] ** 0.5))


def sort_targets(path):
    """PEFT writes a set in the order that Python's hashes have in this process."""
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    config["target_modules"].sort()
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(config, indent=2, sort_keys=True))


@torch.no_grad()
def answers(model, expected):
    model = model.double().eval()
    bounds, parts = expected["offsets"].tolist(), {}
    for begin, end in zip(bounds, bounds[1:]):
        arguments = {"input_ids": expected["token_ids"][begin:end].long().unsqueeze(0)}
        if hasattr(model.config, "type_vocab_size"):
            arguments["token_type_ids"] = expected["token_type_ids"][begin:end].long().unsqueeze(0)
        output = model.base_model(**arguments)  # PeftModelForQuestionAnswering itself leaves out token_type_ids
        if hasattr(output, "last_hidden_state"):
            parts.setdefault("last_hidden_state", []).append(output.last_hidden_state[0])
        elif hasattr(output, "start_logits"):
            parts.setdefault("logits", []).append(torch.stack([output.start_logits[0], output.end_logits[0]], dim=1))
        else:
            parts.setdefault("logits", []).append(output.logits[0] if output.logits.dim() == 3 else output.logits)
    return {name: torch.cat(tensors) for name, tensors in parts.items()}


def write():
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    shutil.rmtree(FOLDER, ignore_errors=True)
    manifest = []
    for seed, (name, (base, model_class, arguments)) in enumerate(CASES.items(), start=301):
        torch.manual_seed(seed)
        loading = {"num_labels": arguments.pop("num_labels")} if "num_labels" in arguments else {}
        model = get_peft_model(model_class.from_pretrained(os.path.join(FIXTURES, base), attn_implementation="eager", **loading), LoraConfig(**arguments))
        randomize(model, seed)
        model.peft_config["default"].base_model_name_or_path = os.path.basename(base)
        folder = os.path.join(FOLDER, name)
        model.save_pretrained(folder)
        os.remove(os.path.join(folder, "README.md"))
        sort_targets(os.path.join(folder, "adapter_config.json"))
        inputs = load_file(os.path.join(FIXTURES, base + ".expected.safetensors"))
        save_tensors(folder + ".expected.safetensors", answers(model, inputs))
        manifest.append({"name": name, "base": base, "expected": name + ".expected.safetensors", "written_by": f"peft {peft.__version__}"})
    save_json(os.path.join(FOLDER, "adapters.json"), manifest)
    print(f"adapters: {len(manifest)} folders")


if __name__ == "__main__":
    torch.set_num_threads(1)
    write()
