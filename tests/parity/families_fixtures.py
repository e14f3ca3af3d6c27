"""families/: tiny random models of each family with each head, and what they answer.

families.json lists them as models.json does (see models_fixtures.py), and the same texts are their input. The answers of question answering are
`logits` [T, 2]: where an answer starts and where it ends. The folders are whole, tokenizer included: tasks_fixtures.py runs pipelines over them.
"""

import os
import shutil

import torch
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertForTokenClassification,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
    DistilBertModel,
    DistilBertTokenizerFast,
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForQuestionAnswering,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
    ElectraModel,
    ElectraTokenizerFast,
    MPNetConfig,
    MPNetForMaskedLM,
    MPNetForQuestionAnswering,
    MPNetForSequenceClassification,
    MPNetForTokenClassification,
    MPNetModel,
    MPNetTokenizer,
    MPNetTokenizerFast,
    BertTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from fixture_files import FIXTURES, Normals, ragged, save_json, save_tensors
from models_fixtures import MAX_POSITION, TEXTS, vocabulary

FOLDER = os.path.join(FIXTURES, "families")
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
NLI = ["contradiction", "neutral", "entailment"]
TOPICS = ["animal", "weather", "sport"]


def labels(names):
    return {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}


def randomize(model, seed):
    """As models_fixtures.randomize, for the names of all families."""
    normals = Normals(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if name.endswith(("LayerNorm.weight", "layer_norm.weight")):
                parameter.copy_(normals(*parameter.shape, scale=0.2, mean=1))
            elif name.endswith("bias"):
                parameter.copy_(normals(*parameter.shape, scale=0.2))
            elif "embeddings." in name or "relative_attention_bias" in name:
                parameter.copy_(normals(*parameter.shape))
            else:
                parameter.copy_(normals(*parameter.shape, scale=1.4 / parameter.shape[-1] ** 0.5))
    return model.eval()


def bert(**others):
    return BertConfig(vocab_size=len(vocabulary()), hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64,
                      max_position_embeddings=MAX_POSITION, attn_implementation="eager", **others)


def electra(embedding_size=16, **others):
    return ElectraConfig(vocab_size=len(vocabulary()), embedding_size=embedding_size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                         intermediate_size=64, max_position_embeddings=MAX_POSITION, attn_implementation="eager", **others)


def distilbert(**others):
    return DistilBertConfig(vocab_size=len(vocabulary()), dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=MAX_POSITION,
                            attn_implementation="eager", **others)


def mpnet(**others):
    return MPNetConfig(vocab_size=len(mpnet_vocabulary()), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
                       max_position_embeddings=MAX_POSITION + 2, **others)


def mpnet_vocabulary():
    words = [word for word in vocabulary() if not word.startswith("[")]
    return ["<s>", "<pad>", "</s>", "<unk>", "[UNK]"] + words + ["<mask>"]


def tokenizer_of(tokenizer_class, words):
    path = os.path.join(FOLDER, "vocab.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(words) + "\n")
    tokenizer = tokenizer_class(vocab_file=path, model_max_length=MAX_POSITION)
    os.remove(path)
    return tokenizer


@torch.no_grad()
def answers(model, sequences, types):
    """What the model gives for each sequence alone, in float64."""
    model = model.double().eval()
    encoder = getattr(model, model.base_model_prefix, model)
    parts = {}
    for sequence, type_ids in zip(sequences, types):
        arguments = {"input_ids": torch.tensor([sequence])}
        if hasattr(model.config, "type_vocab_size"):
            arguments["token_type_ids"] = torch.tensor([type_ids])
        parts.setdefault("last_hidden_state", []).append(encoder(**arguments).last_hidden_state[0])
        if model is not encoder:
            output = model(**arguments)
            if hasattr(output, "start_logits"):
                logits = torch.stack([output.start_logits[0], output.end_logits[0]], dim=1)
            else:
                logits = output.logits[0] if output.logits.dim() == 3 else output.logits
            parts.setdefault("logits", []).append(logits)
    return {name: torch.cat(tensors) for name, tensors in parts.items()}


class Families:
    def __init__(self):
        shutil.rmtree(FOLDER, ignore_errors=True)
        os.makedirs(FOLDER)
        self.manifest = []

    def save(self, name, model, tokenizer, about, seed):
        folder = os.path.join(FOLDER, name)
        randomize(model, seed).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        loaded, loading = type(model).from_pretrained(folder, attn_implementation="eager", output_loading_info=True)
        assert not [key for key in loading["missing_keys"] if "pooler" not in key], (name, loading)
        sequences, types = self.inputs(tokenizer)
        token_ids, offsets = ragged(sequences)
        save_tensors(folder + ".expected.safetensors", {"token_ids": token_ids, "token_type_ids": ragged(types)[0], "offsets": offsets,
                                                        **answers(loaded, sequences, types)})
        self.manifest.append({"name": name, "folder": name, "expected": name + ".expected.safetensors", "written_by": "transformers 4.57.6",
                              "about": about})

    @staticmethod
    def inputs(tokenizer):
        """The texts of models_fixtures, the first special token alone, and a text of MAX_POSITION tokens: distances above all exact buckets."""
        sequences, types = [[tokenizer.cls_token_id]], [[0]]
        for text in TEXTS:
            first, second = (text, None) if isinstance(text, str) else text
            encoding = tokenizer(first, second, truncation=True, max_length=MAX_POSITION, return_token_type_ids=True)
            sequences.append(encoding["input_ids"])
            types.append(encoding["token_type_ids"])
        return sequences, types


def write():
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    families = Families()
    tokenizer = tokenizer_of(BertTokenizerFast, vocabulary())
    families.save("bert_tokens", BertForTokenClassification(bert(**labels(TAGS))), tokenizer, "BertForTokenClassification, 5 labels", 201)
    families.save("bert_qa", BertForQuestionAnswering(bert()), tokenizer, "BertForQuestionAnswering", 202)

    tokenizer = tokenizer_of(DistilBertTokenizerFast, vocabulary())
    families.save("distilbert", DistilBertModel(distilbert()), tokenizer, "DistilBertModel: names without the prefix", 211)
    families.save("distilbert_classifier", DistilBertForSequenceClassification(distilbert(activation="relu", **labels(TOPICS))), tokenizer,
                  "DistilBertForSequenceClassification, activation relu", 212)
    families.save("distilbert_tokens", DistilBertForTokenClassification(distilbert(**labels(TAGS))), tokenizer, "DistilBertForTokenClassification",
                  213)
    families.save("distilbert_qa", DistilBertForQuestionAnswering(distilbert()), tokenizer, "DistilBertForQuestionAnswering", 214)
    families.save("distilbert_masked_lm", DistilBertForMaskedLM(distilbert()), tokenizer, "DistilBertForMaskedLM, tied", 215)

    tokenizer = tokenizer_of(ElectraTokenizerFast, vocabulary())
    families.save("electra", ElectraModel(electra()), tokenizer, "ElectraModel, embeddings of 16 projected to 32", 221)
    families.save("electra_nli", ElectraForSequenceClassification(electra(32, **labels(NLI))), tokenizer,
                  "ElectraForSequenceClassification, embeddings as wide as the layers, labels of natural language inference", 222)
    families.save("electra_tokens", ElectraForTokenClassification(electra(**labels(TAGS))), tokenizer, "ElectraForTokenClassification", 223)
    families.save("electra_qa", ElectraForQuestionAnswering(electra()), tokenizer, "ElectraForQuestionAnswering", 224)
    families.save("electra_masked_lm", ElectraForMaskedLM(electra()), tokenizer, "ElectraForMaskedLM: the generator, tied", 225)

    tokenizer = tokenizer_of(MPNetTokenizerFast, mpnet_vocabulary())
    families.save("mpnet", MPNetModel(mpnet(), add_pooling_layer=False), tokenizer, "MPNetModel without a pooler", 231)
    families.save("mpnet_reranker", MPNetForSequenceClassification(mpnet(num_labels=1)), tokenizer, "MPNetForSequenceClassification, one label", 232)
    families.save("mpnet_tokens", MPNetForTokenClassification(mpnet(**labels(TAGS))), tokenizer, "MPNetForTokenClassification", 233)
    families.save("mpnet_qa", MPNetForQuestionAnswering(mpnet()), tokenizer, "MPNetForQuestionAnswering", 234)
    families.save("mpnet_masked_lm", MPNetForMaskedLM(mpnet()), tokenizer, "MPNetForMaskedLM, tied", 235)
    families.save("mpnet_vocab_only", MPNetForSequenceClassification(mpnet(problem_type="multi_label_classification", **labels(TOPICS))),
                  tokenizer_of(MPNetTokenizer, mpnet_vocabulary()), "vocab.txt without tokenizer.json; multi-label", 236)

    save_json(os.path.join(FOLDER, "families.json"), families.manifest)
    print(f"families: {len(families.manifest)} folders")


