"""train/: twenty steps of fine-tuning a tiny classifier, and of AdamW on one vector, in float64.

model/ is the classifier before the first step (3 labels, no dropout). trajectory.json has the parameters of the run and the order of the
examples. trajectory.safetensors: token_ids [T], offsets, labels, batches [20, 8] (I32), and in float64 losses, gradient_norms (before
clipping) and learning_rates [20], first_gradient/NAME (of step 1, before clipping) and final/NAME (the weights after step 20).

A loss is the mean of its batch. The norm is clipped as torch.nn.utils.clip_grad_norm_ does; the rates are those of transformers'
get_linear_schedule_with_warmup, so that of the first step is 0. Weight decay is not applied to biases and norms.

The gradient of attention.self.key.bias is zero, because a constant added to a row of scores does not change its softmax: what is computed
is rounding, which AdamW enlarges. trajectory.json therefore names these as `not_compared`; no answer depends on them. It also has what the
same run in float32 by the same code differs by (`float32_difference`), which says how close another float32 run can be expected to come.

adamw.safetensors: torch.optim.AdamW on a vector: initial [37] and gradients [10, 37] (F32), learning_rates [10], and after each step
parameter, exp_avg and exp_avg_sq [10, 37].
"""

import os
import shutil

import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast, get_linear_schedule_with_warmup
from transformers.utils import logging as transformers_logging

from fixture_files import FIXTURES, Normals, ragged, save_json, save_tensors
from models_fixtures import randomize, vocabulary

FOLDER = os.path.join(FIXTURES, "train")
LABELS = ["animal", "colour", "time"]
TEXTS = [
    ("the cat", 0),
    ("a small dog is open to people", 0),
    ("what water is it?", 1),
    ("red", 1),
    ("at night", 2),
    ("we have no time", 2),
    ("one large cat and one small dog, in the light", 0),
    ("blue or red, not all of it", 1),
    ("when was the train there", 2),
    ("dogs are not cats", 0),
    ("the light of the night was blue", 1),
    ("it is late: 23:59", 2),
    ("cats!", 0),
    ("a blue light", 1),
    ("you had time for it but I was on the train", 2),
    ("people with a dog", 0),
    ("light red and dark red", 1),
    ("close to 10 at night", 2),
    ("the dog was as large as the cat we have", 0),
    ("was the water red?", 1),
    ("not one night", 2),
    ("small cats on a train", 0),
    ("all blue", 1),
    ("by the time you see this it is night", 2),
]
HYPERPARAMETERS = {
    "num_steps": 20,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "num_warmup_steps": 2,
    "weight_decay": 0.01,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-8,
    "max_grad_norm": 3.0,  # some steps are clipped, some are not
}


def no_decay(name):
    return name.endswith("bias") or "LayerNorm" in name


def optimizer_of(model):
    groups = [
        {
            "params": [p for name, p in model.named_parameters() if no_decay(name) == excluded],
            "weight_decay": 0.0 if excluded else HYPERPARAMETERS["weight_decay"],
        }
        for excluded in (False, True)
    ]
    return torch.optim.AdamW(
        groups,
        lr=HYPERPARAMETERS["learning_rate"],
        betas=(HYPERPARAMETERS["beta1"], HYPERPARAMETERS["beta2"]),
        eps=HYPERPARAMETERS["eps"],
        foreach=False,
    )


def train(folder, dtype, sequences, labels, batches):
    model = BertForSequenceClassification.from_pretrained(folder, attn_implementation="eager").to(dtype).train()
    optimizer = optimizer_of(model)
    schedule = get_linear_schedule_with_warmup(optimizer, HYPERPARAMETERS["num_warmup_steps"], HYPERPARAMETERS["num_steps"])
    losses, norms, rates, first_gradient = [], [], [], None
    for batch in batches.tolist():
        optimizer.zero_grad()
        logits = torch.cat([model(input_ids=torch.tensor([sequences[i]])).logits for i in batch])
        loss = torch.nn.functional.cross_entropy(logits, labels[batch])
        loss.backward()
        if first_gradient is None:
            first_gradient = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), HYPERPARAMETERS["max_grad_norm"], foreach=False))
        rates.append(schedule.get_last_lr()[0])
        losses.append(loss.detach())
        optimizer.step()
        schedule.step()
    final = {name: parameter.detach() for name, parameter in model.named_parameters()}
    return torch.stack(losses), torch.stack(norms), torch.tensor(rates, dtype=torch.float64), first_gradient, final


def write_trajectory():
    vocab = os.path.join(FOLDER, "vocab.txt")
    with open(vocab, "w", encoding="utf-8") as file:
        file.write("\n".join(vocabulary()) + "\n")
    tokenizer = BertTokenizerFast(vocab_file=vocab, model_max_length=32)
    os.remove(vocab)
    config = BertConfig(
        vocab_size=len(vocabulary()),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
    )
    model_folder = os.path.join(FOLDER, "model")
    randomize(BertForSequenceClassification(config), 201).save_pretrained(model_folder)
    tokenizer.save_pretrained(model_folder)

    sequences = [tokenizer(text)["input_ids"] for text, _ in TEXTS]
    labels = torch.tensor([label for _, label in TEXTS])
    shuffles = torch.Generator().manual_seed(202)
    num_steps, batch_size = HYPERPARAMETERS["num_steps"], HYPERPARAMETERS["batch_size"]
    order = torch.cat([torch.randperm(len(TEXTS), generator=shuffles) for _ in range(-(-num_steps * batch_size // len(TEXTS)))])
    batches = order[: num_steps * batch_size].reshape(num_steps, batch_size)

    losses, norms, rates, first_gradient, final = train(model_folder, torch.float64, sequences, labels, batches)
    losses32, norms32, _, gradient32, final32 = train(model_folder, torch.float32, sequences, labels, batches)
    not_compared = [name for name in final if name.endswith("attention.self.key.bias")]

    def difference(found, expected):
        return max((found[name] - expected[name]).abs().max().item() for name in expected if name not in not_compared)

    token_ids, offsets = ragged(sequences)
    save_tensors(
        os.path.join(FOLDER, "trajectory.safetensors"),
        {
            "token_ids": token_ids,
            "offsets": offsets,
            "labels": labels,
            "batches": batches,
            "losses": losses,
            "gradient_norms": norms,
            "learning_rates": rates,
            **{"first_gradient/" + name: gradient for name, gradient in first_gradient.items()},
            **{"final/" + name: weight for name, weight in final.items()},
        },
    )
    save_json(
        os.path.join(FOLDER, "trajectory.json"),
        {
            **HYPERPARAMETERS,
            "texts": [text for text, _ in TEXTS],
            "no_decay": [name for name in final if no_decay(name)],
            "not_compared": not_compared,
            "float32_difference": {
                "losses": (losses32 - losses).abs().max().item(),
                "gradient_norms": (norms32 - norms).abs().max().item(),
                "first_gradient": difference(gradient32, first_gradient),
                "final": difference(final32, final),
            },
        },
    )
    print(f"train: loss {losses[0]:.4f} to {losses[-1]:.4f}, gradient norms {norms.min():.2f} to {norms.max():.2f}")


def write_adamw():
    normals = Normals(203)
    num_steps, size, weight_decay = 10, 37, 0.1
    initial, gradients = normals(size), normals(num_steps, size)
    gradients[:, 0] = 0  # decays only
    gradients[:, 1] *= 1e-6  # near eps
    gradients[:, 2] *= 1e3
    learning_rates = torch.linspace(1e-2, 1e-3, num_steps, dtype=torch.float64)
    parameter = initial.double().requires_grad_()
    optimizer = torch.optim.AdamW([parameter], betas=(0.9, 0.999), eps=1e-8, weight_decay=weight_decay, foreach=False)
    steps = {"parameter": [], "exp_avg": [], "exp_avg_sq": []}
    for gradient, rate in zip(gradients, learning_rates):
        optimizer.param_groups[0]["lr"] = rate.item()
        parameter.grad = gradient.double()
        optimizer.step()
        state = optimizer.state[parameter]
        steps["parameter"].append(parameter.detach().clone())
        steps["exp_avg"].append(state["exp_avg"].clone())
        steps["exp_avg_sq"].append(state["exp_avg_sq"].clone())
    save_tensors(
        os.path.join(FOLDER, "adamw.safetensors"),
        {
            "initial": initial,
            "gradients": gradients,
            "learning_rates": learning_rates,
            **{name: torch.stack(values) for name, values in steps.items()},
        },
    )
    save_json(os.path.join(FOLDER, "adamw.json"), {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": weight_decay})


def write():
    transformers_logging.set_verbosity_error()
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)
    write_trajectory()
    write_adamw()
