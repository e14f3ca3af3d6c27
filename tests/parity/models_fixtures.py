"""models/: tiny random BERT models as their libraries save them, and what they answer.

models.json lists them: {"name", "folder", "expected", "written_by", "about"}. `folder` is in the Hugging Face layout. `expected` is a
safetensors file with the ragged input (token_ids, token_type_ids [T], offsets [S + 1], I32) and the answers in float64, each sequence
computed by itself: last_hidden_state [T, H], and where the folder has them pooler_output [S, H], logits ([S, labels], of a masked
language model [T, vocab]) and embedding [S, D], the sentence-transformers pipeline. inputs.json has the texts behind the token ids.
"""

import json
import os
import shutil

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel, BertTokenizer, BertTokenizerFast
from transformers.utils import logging as transformers_logging

from fixture_files import FIXTURES, Normals, ragged, save_json, save_tensors

FOLDER = os.path.join(FIXTURES, "models")
MAX_POSITION = 64

WORDS = """the a of and to in is it for on with as was at by we you they not be have this that from or one had but what all were when there
cat dog red blue water light time people night small large open close train model word""".split()
PIECES = "s ed ing er ly est tion un re".split()


def vocabulary():
    letters, digits = "abcdefghijklmnopqrstuvwxyz", "0123456789"
    marks = ".,!?'\"-:;()"
    words = [word for word in WORDS if len(word) > 1]
    pieces = [piece for piece in PIECES if len(piece) > 1]
    return (
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        + list(marks)
        + list(digits)
        + list(letters)
        + ["##" + x for x in letters + digits]
        + words
        + ["##" + piece for piece in pieces]
    )


# The lengths in tokens stand around 16 and at 1 and MAX_POSITION; a list is a pair. The last is cut to MAX_POSITION, and given only to
# the folders that `long` names, because answers a token are what takes room.
TEXTS = [
    "cat",
    "The small dog was not there.",
    ["is it red?", "no, it is blue"],
    "We have all of the time: open the light, and close it!",
    "what you see (at night) is a word of water",
    "Trained models are tested; untested ones aren't 24/7 ~ close to the large water model that people have, and they were there when it was "
    "dark and cold in winter, in the large blue light of one small night",
]


def inputs(tokenizer):
    """Token ids and types of TEXTS, and a sequence that is [CLS] alone."""
    sequences, types = [[tokenizer.cls_token_id]], [[0]]
    for text in TEXTS:
        first, second = (text, None) if isinstance(text, str) else text
        encoding = tokenizer(first, second, truncation=True, max_length=MAX_POSITION)
        sequences.append(encoding["input_ids"])
        types.append(encoding["token_type_ids"])
    return sequences, types


def config(hidden_size=32, num_attention_heads=4, num_hidden_layers=1, **others):
    return BertConfig(
        vocab_size=len(vocabulary()),
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        intermediate_size=2 * hidden_size,
        max_position_embeddings=MAX_POSITION,
        attn_implementation="eager",
        **others,
    )


def randomize(model, seed):
    """Weights large enough that every part of the model shows in its answers: BERT's own 0.02 leaves attention uniform and norms idle."""
    normals = Normals(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if name.endswith("LayerNorm.weight"):
                parameter.copy_(normals(*parameter.shape, scale=0.2, mean=1))
            elif name.endswith("bias"):
                parameter.copy_(normals(*parameter.shape, scale=0.2))
            elif "embeddings" in name:
                parameter.copy_(normals(*parameter.shape))
            else:
                parameter.copy_(normals(*parameter.shape, scale=1.4 / parameter.shape[-1] ** 0.5))
    return model.eval()


def encoder_of(model):
    return getattr(model, "bert", model)


@torch.no_grad()
def answers(model, sequences, types):
    """What the model gives for each sequence alone, in float64."""
    model = model.double().eval()
    parts = {}
    for sequence, type_ids in zip(sequences, types):
        arguments = {"input_ids": torch.tensor([sequence]), "token_type_ids": torch.tensor([type_ids])}
        hidden = encoder_of(model)(**arguments)
        parts.setdefault("last_hidden_state", []).append(hidden.last_hidden_state[0])
        if hidden.pooler_output is not None:
            parts.setdefault("pooler_output", []).append(hidden.pooler_output)
        if model is not encoder_of(model):
            logits = model(**arguments).logits
            parts.setdefault("logits", []).append(logits[0] if logits.dim() == 3 else logits)
    return {name: torch.cat(tensors) for name, tensors in parts.items()}


@torch.no_grad()
def embeddings(sentence_transformer, sequences, types):
    sentence_transformer = sentence_transformer.double().eval()
    vectors = []
    for sequence, type_ids in zip(sequences, types):
        features = {
            "input_ids": torch.tensor([sequence]),
            "token_type_ids": torch.tensor([type_ids]),
            "attention_mask": torch.ones(1, len(sequence), dtype=torch.int64),
        }
        vectors.append(sentence_transformer(features)["sentence_embedding"])
    return torch.cat(vectors)


class Models:
    def __init__(self):
        shutil.rmtree(FOLDER, ignore_errors=True)
        os.makedirs(FOLDER)
        self.manifest = []
        vocab = os.path.join(FOLDER, "vocab.txt")
        with open(vocab, "w", encoding="utf-8") as file:
            file.write("\n".join(vocabulary()) + "\n")
        self.tokenizer = BertTokenizerFast(vocab_file=vocab, model_max_length=MAX_POSITION)
        self.slow_tokenizer = BertTokenizer(vocab_file=vocab, model_max_length=MAX_POSITION)
        os.remove(vocab)
        self.sequences, self.types = inputs(self.tokenizer)
        assert (self.sequences, self.types) == inputs(self.slow_tokenizer)
        save_json(os.path.join(FOLDER, "inputs.json"), {"texts": TEXTS, "token_ids": self.sequences, "token_type_ids": self.types})

    def path(self, name):
        return os.path.join(FOLDER, name)

    def save(self, name, model, about, tokenizer=None, long=False, load_options=None, **options):
        model.save_pretrained(self.path(name), **options)
        (tokenizer or self.tokenizer).save_pretrained(self.path(name))
        self.expect(name, answers(self.load(name, type(model), **(load_options or {})), *self.inputs(long)), about)

    def load(self, name, model_class, **options):
        model, loading = model_class.from_pretrained(self.path(name), attn_implementation="eager", output_loading_info=True, **options)
        assert not loading["missing_keys"], (name, loading)  # what is missing would be random
        return model

    def inputs(self, long):
        return (self.sequences, self.types) if long else (self.sequences[:-1], self.types[:-1])

    def expect(self, name, expected, about):
        token_ids, offsets = ragged(self.sequences)
        num_tokens = expected["last_hidden_state"].shape[0]
        num_sequences = offsets.tolist().index(num_tokens)
        save_tensors(
            self.path(name + ".expected.safetensors"),
            {
                "token_ids": token_ids[:num_tokens],
                "token_type_ids": ragged(self.types)[0][:num_tokens],
                "offsets": offsets[: num_sequences + 1],
                **expected,
            },
        )
        self.manifest.append(
            {
                "name": name,
                "folder": name,
                "expected": name + ".expected.safetensors",
                "written_by": "transformers 4.57.6, sentence-transformers 5.7.0",
                "about": about,
            }
        )

    def check_unchanged(self, name, model_class):
        """After files were rewritten: the library still reads the same model from them."""
        expected = load_file(self.path(name + ".expected.safetensors"))
        for key, tensor in answers(self.load(name, model_class), *self.inputs(long=False)).items():
            assert torch.equal(tensor, expected[key]), (name, key)

    def save_sentence_transformer(self, name, encoder, modules, about, long=False):
        """The encoder's folder becomes the first module of a sentence-transformers folder."""
        bare = self.path(name + ".bare")
        encoder.save_pretrained(bare)
        self.tokenizer.save_pretrained(bare)
        transformer = Transformer(bare, model_kwargs={"attn_implementation": "eager"}, max_seq_length=MAX_POSITION)
        SentenceTransformer(modules=[transformer, *modules], device="cpu").save(self.path(name), create_model_card=False)
        shutil.rmtree(bare)
        loaded = SentenceTransformer(self.path(name), device="cpu", model_kwargs={"attn_implementation": "eager"})
        expected = answers(loaded[0].model, *self.inputs(long))
        expected["embedding"] = embeddings(loaded, *self.inputs(long))
        self.expect(name, expected, about)


def dense(size_in, size_out, activation, bias, seed):
    module = Dense(size_in, size_out, bias=bias, activation_function=activation)
    return randomize(module, seed)


def rewrite_json(path, change):
    with open(path, encoding="utf-8") as file:
        value = json.load(file)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(change(value), file, indent=2)
        file.write("\n")


def rewrite_as_version_two(folder):
    """The files of a sentence-transformers folder as version 2 wrote them: old module names, one flag a pooling mode, no inputs named."""

    def rewrite(name, change):
        rewrite_json(os.path.join(folder, name), change)

    rewrite(
        "modules.json",
        lambda modules: [{**module, "type": "sentence_transformers.models." + module["type"].rsplit(".", 1)[1]} for module in modules],
    )
    rewrite(
        "1_Pooling/config.json",
        lambda pooling: {
            "word_embedding_dimension": pooling["embedding_dimension"],
            "pooling_mode_cls_token": pooling["pooling_mode"] == "cls",
            "pooling_mode_mean_tokens": pooling["pooling_mode"] == "mean",
            "pooling_mode_max_tokens": pooling["pooling_mode"] == "max",
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    rewrite(
        "2_Dense/config.json", lambda layer: {key: layer[key] for key in ("in_features", "out_features", "bias", "activation_function")}
    )
    rewrite("sentence_bert_config.json", lambda _: {"max_seq_length": MAX_POSITION, "do_lower_case": False})
    rewrite(
        "config_sentence_transformers.json",
        lambda _: {"__version__": {"sentence_transformers": "2.0.0", "transformers": "4.6.1", "pytorch": "1.8.1"}},
    )


def old_names(tensors):
    """As the first BERT checkpoints: gamma and beta, and the position ids stored as a tensor."""
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    renamed["bert.embeddings.position_ids"] = torch.arange(MAX_POSITION).unsqueeze(0)
    return renamed


def write():
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    models = Models()
    labels = ["negative", "neutral", "positive"]
    classes = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}

    models.save(
        "embedding",
        randomize(BertModel(config(num_hidden_layers=2)), 101),
        "BertModel with its pooler: names without the prefix 'bert.'",
        long=True,
    )
    models.save(
        "embedding_no_pooler",
        randomize(BertModel(config(48, 3, hidden_act="gelu_new"), add_pooling_layer=False), 102),
        "BertModel without a pooler, 3 heads of 16, hidden_act gelu_new",
        long=True,
        load_options={"add_pooling_layer": False},
    )
    models.save(
        "masked_lm", randomize(BertForMaskedLM(config()), 103), "BertForMaskedLM: the decoder is tied to the word embeddings and not stored"
    )
    models.save(
        "masked_lm_untied", randomize(BertForMaskedLM(config(tie_word_embeddings=False)), 104), "BertForMaskedLM with a decoder of its own"
    )
    models.save(
        "classifier",
        randomize(BertForSequenceClassification(config(num_hidden_layers=2, **classes)), 105),
        "BertForSequenceClassification, 3 labels: names with the prefix 'bert.'",
        long=True,
    )
    models.save(
        "classifier_relu",
        randomize(BertForSequenceClassification(config(48, 3, hidden_act="relu", layer_norm_eps=1e-5, **classes)), 106),
        "3 heads of 16, hidden_act relu, layer_norm_eps 1e-5",
        long=True,
    )
    models.save(
        "sharded", randomize(BertModel(config(num_hidden_layers=2)), 107), "weights in several files with an index", max_shard_size="40KB"
    )
    models.save(
        "float16", randomize(BertModel(config()), 108).half(), "weights stored as F16; the answers are of those weights, in float64"
    )
    models.save(
        "bfloat16", randomize(BertModel(config()), 109).bfloat16(), "weights stored as BF16; the answers are of those weights, in float64"
    )
    models.save("vocab_only", randomize(BertModel(config()), 110), "vocab.txt without tokenizer.json", tokenizer=models.slow_tokenizer)

    models.save(
        "old_names",
        randomize(BertForSequenceClassification(config(**classes)), 111),
        "LayerNorm.gamma and .beta, position_ids stored, torch_dtype: as older checkpoints have them",
    )
    weights = os.path.join(models.path("old_names"), "model.safetensors")
    save_file(old_names(load_file(weights)), weights, metadata={"format": "pt"})
    os.chmod(weights, 0o644)
    rewrite_json(
        os.path.join(models.path("old_names"), "config.json"),
        lambda config: {("torch_dtype" if key == "dtype" else key): value for key, value in config.items()},
    )
    models.check_unchanged("old_names", BertForSequenceClassification)

    models.save_sentence_transformer(
        "st_mean", randomize(BertModel(config()), 112), [Pooling(32, "mean"), Normalize()], "mean pooling, normalised", long=True
    )
    models.save_sentence_transformer(
        "st_cls_dense",
        randomize(BertModel(config()), 113),
        [Pooling(32, "cls"), dense(32, 24, torch.nn.Tanh(), True, 114), Normalize()],
        "CLS pooling, dense with tanh, normalised",
    )
    models.save_sentence_transformer(
        "st_max_dense",
        randomize(BertModel(config()), 115),
        [Pooling(32, "max"), dense(32, 40, torch.nn.Identity(), False, 116)],
        "max pooling, dense without activation and bias, not normalised",
    )
    models.save_sentence_transformer(
        "st_version_two",
        randomize(BertModel(config()), 117),
        [Pooling(32, "max"), dense(32, 24, torch.nn.Tanh(), True, 118), Normalize()],
        "max pooling, dense, normalised, in the words of sentence-transformers 2",
    )
    before = embeddings(SentenceTransformer(models.path("st_version_two"), device="cpu"), models.sequences, models.types)
    rewrite_as_version_two(models.path("st_version_two"))
    after = embeddings(SentenceTransformer(models.path("st_version_two"), device="cpu"), models.sequences, models.types)
    assert torch.equal(before, after), "version 2's files mean another model"

    save_json(os.path.join(FOLDER, "models.json"), models.manifest)
    print(f"models: {len(models.manifest)} folders; sequences of {[len(sequence) for sequence in models.sequences]} tokens")
