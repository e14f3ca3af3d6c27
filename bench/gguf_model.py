"""Writes a BERT folder as GGUF in f32, for llama.cpp (environment `llama`): bench/gguf_model.py FOLDER OUT.gguf

Names and keys: those of llama.cpp's architecture "bert"; its word pieces mark the beginning of a word instead of its continuation.
"""

import json
import os
import sys

import gguf
import numpy as np

TENSORS = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
WORD_BEGIN = "\u2581"


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        start = file.tell()
        for name, entry in header.items():
            if name == "__metadata__" or entry["dtype"] != "F32":
                continue
            begin, end = entry["data_offsets"]
            file.seek(start + begin)
            yield name, np.frombuffer(file.read(end - begin), np.float32).reshape(entry["shape"])


def gguf_name(name):
    """None for what llama.cpp does not take: the pooler."""
    module, _, kind = name.removeprefix("bert.").rpartition(".")
    prefix = ""
    if module.startswith("encoder.layer."):
        number, _, module = module.removeprefix("encoder.layer.").partition(".")
        prefix = f"blk.{number}."
    return f"{prefix}{TENSORS[module]}.{kind}" if module in TENSORS else None


def main(folder, out):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    with open(os.path.join(folder, "vocab.txt"), encoding="utf-8") as file:
        vocabulary = file.read().split("\n")[: config["vocab_size"]]
    writer = gguf.GGUFWriter(out, "bert")
    writer.add_name(os.path.basename(folder))
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    special = [token.startswith("[") and token.endswith("]") and len(token) > 2 for token in vocabulary]
    pieces = [token if control else token[2:] if token.startswith("##") else WORD_BEGIN + token for token, control in zip(vocabulary, special)]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("jina-v2-en")  # lower-case WordPiece
    writer.add_token_type_count(config["type_vocab_size"])
    writer.add_token_list(pieces)
    writer.add_token_types([gguf.TokenType.CONTROL if control else gguf.TokenType.NORMAL for control in special])
    for add, token in ((writer.add_unk_token_id, "[UNK]"), (writer.add_sep_token_id, "[SEP]"), (writer.add_pad_token_id, "[PAD]"),
                       (writer.add_mask_token_id, "[MASK]"), (writer.add_bos_token_id, "[CLS]"),
                       (writer.add_eos_token_id, "[SEP]")):
        add(vocabulary.index(token))
    for name, values in read_safetensors(os.path.join(folder, "model.safetensors")):
        if gguf_name(name):
            writer.add_tensor(gguf_name(name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
