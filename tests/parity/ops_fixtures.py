"""ops/: each differentiable operator by itself, forward and backward, by PyTorch in float64.

ops.json lists the cases: {"op", "case", "file", "attributes"}. The tensors of a case are named CASE/NAME. Inputs are F32 (I32 for ids,
labels and offsets), expected values F64. `gradient_y` is the gradient that comes in; `gradient_NAME` that of the input NAME.
"""

import os

import torch
import torch.nn.functional as F

from fixture_files import FIXTURES, Normals, save_json, save_tensors

ACTIVATIONS = {  # by the names that config.json uses in hidden_act
    "none": lambda x: x,
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "tanh": torch.tanh,
}


class Cases:
    def __init__(self):
        self.manifest, self.tensors = [], {}

    def add(self, op, case, attributes, inputs, forward, gradient_y=None, constants=None):
        """forward(inputs as float64, constants) gives a tensor y or a dict of tensors; gradient_y None: no backward."""
        doubles = {name: tensor.double().requires_grad_(gradient_y is not None) for name, tensor in inputs.items()}
        constants = constants or {}
        outputs = forward(**doubles, **constants)
        if torch.is_tensor(outputs):
            outputs = {"y": outputs}
        stored = {**inputs, **constants, **outputs}
        if gradient_y is not None:
            stored["gradient_y"] = gradient_y
            gradients = torch.autograd.grad(outputs["y"], list(doubles.values()), gradient_y.double().reshape(outputs["y"].shape))
            stored.update({"gradient_" + name: gradient for name, gradient in zip(doubles, gradients)})
        self.manifest.append({"op": op, "case": case, "file": op + ".safetensors", "attributes": attributes})
        self.tensors.setdefault(op, {}).update({f"{case}/{name}": tensor for name, tensor in stored.items()})

    def save(self):
        folder = os.path.join(FIXTURES, "ops")
        for op, tensors in self.tensors.items():
            save_tensors(os.path.join(folder, op + ".safetensors"), tensors)
        save_json(os.path.join(folder, "ops.json"), self.manifest)


def add_linear(cases):
    """y = f(x weight^T + bias): x [T, in], weight [out, in], bias [out] or absent."""
    normals = Normals(1)
    for num_rows, size_in, size_out in [(1, 16, 48), (5, 48, 40), (17, 40, 16), (33, 20, 33)]:
        for activation, function in ACTIVATIONS.items():
            inputs = {
                "x": normals(num_rows, size_in),
                "weight": normals(size_out, size_in, scale=1.5 / size_in**0.5),
                "bias": normals(size_out, scale=0.5),
            }
            cases.add(
                "linear",
                f"{num_rows}x{size_in}_to_{size_out}_{activation}",
                {"activation": activation, "bias": True},
                inputs,
                lambda x, weight, bias, function=function: function(F.linear(x, weight, bias)),
                normals(num_rows, size_out),
            )
    inputs = {"x": normals(17, 16), "weight": normals(17, 16, scale=0.3)}
    cases.add(
        "linear",
        "17x16_to_17_none_no_bias",
        {"activation": "none", "bias": False},
        inputs,
        lambda x, weight: F.linear(x, weight),
        normals(17, 17),
    )


def add_activation(cases):
    """y = f(x) on a fine grid, far into the tails, and at 0."""
    grid = torch.linspace(-14, 14, 449, dtype=torch.float32)
    tiny = torch.tensor([0.0, 1e-30, -1e-30, 1e-8, -1e-8, 1e-4, -1e-4, 30.0, -30.0, 1e4, -1e4], dtype=torch.float32)
    x = torch.cat([grid, tiny])
    for activation, function in ACTIVATIONS.items():
        if activation == "none":
            continue
        cases.add(
            "activation", activation, {"activation": activation}, {"x": x}, lambda x, function=function: function(x), torch.ones_like(x)
        )


def add_layer_norm(cases):
    """y = LayerNorm(x + residual): x, residual [T, H], gamma, beta [H]."""
    normals = Normals(2)
    for num_rows, size, eps, with_residual, mean in [
        (1, 16, 1e-12, False, 0.0),
        (5, 48, 1e-12, True, 0.0),
        (17, 40, 1e-5, True, 0.5),
        (33, 33, 1e-12, False, 10.0),
        (5, 15, 1e-5, True, 0.0),
    ]:
        inputs = {
            "x": normals(num_rows, size, scale=2, mean=mean),
            "gamma": normals(size, scale=0.3, mean=1),
            "beta": normals(size, scale=0.3),
        }
        if with_residual:
            inputs["residual"] = normals(num_rows, size)
        cases.add(
            "layer_norm",
            f"{num_rows}x{size}_eps_{eps:.0e}" + ("_residual" if with_residual else ""),
            {"eps": eps, "residual": with_residual},
            inputs,
            lambda x, gamma, beta, residual=None, eps=eps: F.layer_norm(
                x if residual is None else x + residual, gamma.shape, gamma, beta, eps
            ),
            normals(num_rows, size),
        )


def add_embedding_sum(cases):
    """y[t] = word[token_ids[t]] + token_type[token_type_ids[t]] + position[p]: p counts from 0 in every sequence. y [T, H]."""
    normals = Normals(3)
    for size, offsets in [(16, [0, 1, 8, 25]), (40, [0, 5]), (33, [0, 1, 2, 35])]:
        num_tokens = offsets[-1]
        constants = {
            "token_ids": normals.integers(20, num_tokens),  # 20 words, so that some repeat and some never occur
            "token_type_ids": normals.integers(2, num_tokens),
            "offsets": torch.tensor(offsets),
        }
        positions = torch.cat([torch.arange(end - begin) for begin, end in zip(offsets, offsets[1:])])

        def forward(word, token_type, position, token_ids, token_type_ids, offsets, positions=positions):
            return F.embedding(token_ids, word) + F.embedding(token_type_ids, token_type) + F.embedding(positions, position)

        cases.add(
            "embedding_sum",
            f"{num_tokens}x{size}",
            {},
            {"word": normals(24, size), "token_type": normals(2, size), "position": normals(36, size)},
            forward,
            normals(num_tokens, size),
            constants,
        )


def add_attention(cases):
    """Multi-head attention of each sequence over itself: q, k, v, y [T, num_heads * head_dim], scale 1 / sqrt(head_dim)."""
    normals = Normals(4)
    for offsets, num_heads, head_dim, scale in [
        ([0, 1, 8, 25], 2, 8, 1),
        ([0, 1, 8, 25], 3, 16, 1),
        ([0, 16, 33], 2, 32, 1),
        ([0, 5], 3, 8, 1),
        ([0, 17, 18], 1, 20, 1),
        ([0, 9, 12], 2, 8, 12),
        ([0, 515], 1, 8, 1),
    ]:
        shape = (offsets[-1], num_heads * head_dim)

        def forward(q, k, v, offsets, num_heads=num_heads, head_dim=head_dim):
            bounds = offsets.tolist()
            parts = []
            for begin, end in zip(bounds, bounds[1:]):
                heads = [x[begin:end].view(end - begin, num_heads, head_dim).transpose(0, 1) for x in (q, k, v)]
                probabilities = torch.softmax(heads[0] @ heads[1].transpose(1, 2) / head_dim**0.5, dim=-1)
                parts.append((probabilities @ heads[2]).transpose(0, 1).reshape(end - begin, num_heads * head_dim))
            return torch.cat(parts)

        name = f"{offsets[-1]}_tokens_{num_heads}x{head_dim}" + ("_large_scores" if scale > 1 else "")
        cases.add(
            "attention",
            name,
            {"num_heads": num_heads, "head_dim": head_dim},
            {"q": normals(*shape, scale=scale), "k": normals(*shape, scale=scale), "v": normals(*shape)},
            forward,
            normals(*shape),
            {"offsets": torch.tensor(offsets)},
        )


def add_cross_entropy(cases):
    """loss of logits [N, C] with labels [N]: `losses` one a row without class weights; y is their sum, or their mean: with class
    weights sum(weight[label] loss) / sum(weight[label]). gradient_y is one number."""
    normals = Normals(5)
    for num_rows, num_classes, weighted, reduction, scale in [
        (1, 2, False, "mean", 1),
        (5, 3, False, "sum", 1),
        (17, 25, False, "mean", 3),
        (17, 25, True, "mean", 3),
        (33, 17, True, "sum", 1),
        (5, 16, False, "mean", 60),
    ]:
        constants = {"labels": normals.integers(num_classes, num_rows)}
        if weighted:
            constants["class_weights"] = normals(num_classes).abs() + 0.25

        def forward(logits, labels, class_weights=None, reduction=reduction):
            weights = None if class_weights is None else class_weights.double()
            return {
                "y": F.cross_entropy(logits, labels, weight=weights, reduction=reduction).reshape(1),
                "losses": F.cross_entropy(logits, labels, reduction="none"),
                "probabilities": torch.softmax(logits, dim=-1),
            }

        name = f"{num_rows}x{num_classes}_{reduction}" + ("_weighted" if weighted else "") + ("_large_logits" if scale > 10 else "")
        cases.add(
            "cross_entropy",
            name,
            {"reduction": reduction, "class_weights": weighted},
            {"logits": normals(num_rows, num_classes, scale=scale)},
            forward,
            torch.tensor([0.5 if reduction == "sum" else 1.0]),
            constants,
        )


def add_add(cases):
    normals = Normals(6)
    for shape in [(1, 16), (17, 33)]:
        cases.add("add", f"{shape[0]}x{shape[1]}", {}, {"a": normals(*shape), "b": normals(*shape)}, lambda a, b: a + b, normals(*shape))


def add_pooling(cases):
    """One vector a sequence: x [T, H] to y [S, H]. No two values of a column are equal, so the maximum is at one place."""
    normals = Normals(7)
    modes = {"mean": lambda x: x.mean(dim=0), "cls": lambda x: x[0], "max": lambda x: x.max(dim=0).values}
    for offsets, size in [([0, 1, 8, 25], 16), ([0, 33, 34], 40), ([0, 5], 17)]:
        for mode, function in modes.items():

            def forward(x, offsets, function=function):
                bounds = offsets.tolist()
                return torch.stack([function(x[begin:end]) for begin, end in zip(bounds, bounds[1:])])

            cases.add(
                "pooling",
                f"{offsets[-1]}x{size}_{mode}",
                {"mode": mode},
                {"x": normals(offsets[-1], size)},
                forward,
                normals(len(offsets) - 1, size),
                {"offsets": torch.tensor(offsets)},
            )


def add_l2_normalize(cases):
    """y = x / max(|x|, 1e-12), row by row. The row of zeros has no backward."""
    normals = Normals(8)
    for shape in [(1, 16), (5, 40), (17, 33)]:
        cases.add("l2_normalize", f"{shape[0]}x{shape[1]}", {}, {"x": normals(*shape)}, lambda x: F.normalize(x, dim=-1), normals(*shape))
    x = normals(3, 17)
    x[1] = 0
    cases.add("l2_normalize", "3x17_row_of_zeros", {}, {"x": x}, lambda x: F.normalize(x, dim=-1))


def write():
    cases = Cases()
    for add in (
        add_linear,
        add_activation,
        add_layer_norm,
        add_embedding_sum,
        add_attention,
        add_cross_entropy,
        add_add,
        add_pooling,
        add_l2_normalize,
    ):
        add(cases)
    cases.save()
    print(f"ops: {len(cases.manifest)} cases")
