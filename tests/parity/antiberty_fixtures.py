"""antiberty/: AntiBERTy, a BERT of 8 layers for the sequences of antibodies, with its published weights, on two domains of trastuzumab.

expected.safetensors: token_ids [T] and offsets [S + 1] (I32), in float64 logits [T, vocab_size] of the masked LM, and last_hidden_state of the first
sequence. Sequence 0 is a part of the heavy chain; 1 and 2 are the whole domains, heavy and light, some of their residues masked. The fixture's
folder is named by MLAC_ANTIBERTY_FIXTURE. What is computed comes from its pytorch_model.bin as PyTorch reads it.
"""

import json
import os
import sys

import torch
from transformers import BertConfig, BertForMaskedLM, BertTokenizer

from antiberty_folder import MODEL
from fixture_files import FIXTURES, ragged, save_tensors

HEAVY = ("EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS")
LIGHT = "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTFGQGTKVEIK"
MASK_EVERY = 9


def open_model(fixture):
    folder = os.path.join(fixture, MODEL)
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        model = BertForMaskedLM(BertConfig.from_dict(json.load(file), attn_implementation="eager"))
    weights = torch.load(os.path.join(folder, "pytorch_model.bin"), map_location="cpu", weights_only=True)
    loading = model.load_state_dict(weights, strict=False)
    assert not loading.missing_keys, loading
    return model.double().eval()


def masked(sequence, mask):
    return [mask if i % MASK_EVERY == MASK_EVERY // 2 else residue for i, residue in enumerate(sequence)]


@torch.no_grad()
def write():
    fixture = os.environ.get("MLAC_ANTIBERTY_FIXTURE")
    if not fixture or not os.path.isdir(fixture):
        sys.exit("MLAC_ANTIBERTY_FIXTURE: expected the folder of the fixture (./dev fetch antiberty prints it)")
    tokenizer = BertTokenizer(os.path.join(fixture, "vocab.txt"), do_lower_case=False)
    model = open_model(fixture)
    texts = [list(HEAVY[90:112]), masked(HEAVY, tokenizer.mask_token), masked(LIGHT, tokenizer.mask_token)]
    sequences = [tokenizer.encode(" ".join(text)) for text in texts]
    assert all(tokenizer.unk_token_id not in sequence for sequence in sequences)
    outputs = [model(torch.tensor([sequence]), output_hidden_states=True) for sequence in sequences]
    logits = torch.cat([output.logits[0] for output in outputs])
    token_ids, offsets = ragged(sequences)

    # Weights that were not read right would guess one residue in twenty.
    truth = token_ids.clone()
    for sequence, begin in zip((HEAVY, LIGHT), offsets[1:3].tolist()):
        truth[begin + 1 : begin + 1 + len(sequence)] = torch.tensor(tokenizer.convert_tokens_to_ids(list(sequence)))
    hidden = token_ids == tokenizer.mask_token_id
    right = (logits.argmax(dim=-1) == truth)[hidden].sum().item()
    assert right > 0.6 * hidden.sum(), right

    save_tensors(
        os.path.join(FIXTURES, "antiberty", "expected.safetensors"),
        {"token_ids": token_ids, "offsets": offsets, "last_hidden_state": outputs[0].hidden_states[-1][0], "logits": logits},
    )
    print(f"antiberty: {len(token_ids)} tokens, {right} of {hidden.sum()} masked residues right")
