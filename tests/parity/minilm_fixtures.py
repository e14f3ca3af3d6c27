"""minilm/: the real MiniLM sentence encoder on the texts of texts.json.

expected.safetensors: token_ids [T] and offsets [S + 1] (I32, special tokens included, nothing cut), and in float64 embedding [S, 384],
mean-pooled and normalised, and last_hidden_state of the first three texts. The model's folder is named by MLAC_MINILM.
"""

import json
import os
import sys

import torch
import torch.nn.functional as F
from transformers import AutoModel, AutoTokenizer

from fixture_files import FIXTURES, ragged, save_tensors

NUM_HIDDEN = 3


@torch.no_grad()
def write():
    model_folder = os.environ.get("MLAC_MINILM")
    if not model_folder or not os.path.exists(os.path.join(model_folder, "model.safetensors")):
        sys.exit("MLAC_MINILM: expected the folder of the MiniLM model (./dev fetch minilm prints it)")
    folder = os.path.join(FIXTURES, "minilm")
    with open(os.path.join(folder, "texts.json"), encoding="utf-8") as file:
        texts = json.load(file)

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    sequences = [tokenizer.backend_tokenizer.encode(text).ids for text in texts]
    assert max(map(len, sequences)) <= 256

    model, loading = AutoModel.from_pretrained(model_folder, attn_implementation="eager", output_loading_info=True)
    assert not loading["missing_keys"], loading
    model = model.double().eval()
    hidden = [model(input_ids=torch.tensor([sequence])).last_hidden_state[0] for sequence in sequences]
    token_ids, offsets = ragged(sequences)
    save_tensors(
        os.path.join(folder, "expected.safetensors"),
        {
            "token_ids": token_ids,
            "offsets": offsets,
            "embedding": F.normalize(torch.stack([states.mean(dim=0) for states in hidden]), dim=-1),
            "last_hidden_state": torch.cat(hidden[:NUM_HIDDEN]),
        },
    )
    print(f"minilm: {len(texts)} texts of {sorted(map(len, sequences))} tokens")
