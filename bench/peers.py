"""The peers' side of `dev bench`: a long-lived process for one library, with the protocol of bench/worker.cc (environment `rivals`).

    bench/peers.py LIBRARY       LIBRARY: torch, onnxruntime, openvino, ctranslate2 or sentence-transformers

Ops: forward, embed, train, linear; "model" is a folder that bench/models.py made and "form" which of the library's forms is meant. Sequences of
one length make one batch. Mixed lengths are sorted and padded in batches of 32, which is what sentence-transformers does for its users.
"""

import json
import os
import sys
import time

import numpy as np

BATCH_SIZE = 32


def padded_batches(sequences):
    """Yields indices, input_ids and attention_mask, padded to the longest of each batch."""
    order = list(range(len(sequences)))
    size = len(sequences)
    if len({len(sequence) for sequence in sequences}) > 1:
        order.sort(key=lambda i: -len(sequences[i]))
        size = BATCH_SIZE
    for begin in range(0, len(order), size):
        indices = order[begin : begin + size]
        ids = np.zeros((len(indices), max(len(sequences[i]) for i in indices)), np.int64)
        mask = np.zeros_like(ids)
        for row, i in enumerate(indices):
            ids[row, : len(sequences[i])] = sequences[i]
            mask[row, : len(sequences[i])] = 1
        yield indices, ids, mask


def without_padding(sequences, hidden_states):
    """hidden_states: of each batch of padded_batches. All tokens end to end, [tokens, hidden_size], in the order of sequences."""
    rows = [None] * len(sequences)
    for (indices, _, _), batch in zip(padded_batches(sequences), hidden_states):
        for row, i in enumerate(indices):
            rows[i] = np.asarray(batch[row, : len(sequences[i])], np.float32)
    return np.concatenate(rows)


def mean_pooled(hidden_states, mask):
    """[batch, hidden_size], of length 1: what the folder of MiniLM asks for."""
    weights = mask[:, :, None].astype(np.float32)
    means = (hidden_states * weights).sum(1) / weights.sum(1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def timed(command, function):
    for _ in range(command.get("warmups", 2)):
        function()
    seconds, start = [], time.perf_counter()
    while len(seconds) < command.get("repeats", 3) or time.perf_counter() - start < command.get("budget", 0.2):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return seconds


class Torch:
    def __init__(self):
        import torch

        self.torch, self.models = torch, {}

    def model(self, command):
        from transformers import AutoModel

        key = (command["model"], command["form"])
        if key not in self.models:
            model = AutoModel.from_pretrained(os.path.join(command["model"], "model"), add_pooling_layer=False).eval()
            self.models[key] = model.to(self.torch.bfloat16) if command["form"] == "bf16" else model
        self.torch.set_num_threads(command["threads"])
        return self.models[key]

    def hidden_states(self, command, ids, mask):
        model, torch = self.model(command), self.torch
        with torch.inference_mode():
            out = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).last_hidden_state
        return out.float().numpy()

    def linear(self, command):
        """A weight times a batch: the matrix product of torch, whose f32 CPU build calls MKL or oneDNN."""
        torch = self.torch
        torch.set_num_threads(1)
        rows, columns, k = command["rows"], command["columns"], command["k"]
        a = (torch.arange(rows * k) * 7 % 31 / 16 - 1).reshape(rows, k)
        b = (torch.arange(columns * k) * 5 % 29 / 16 - 1).reshape(columns, k)
        bias = torch.full((columns,), 0.5)
        out = None

        def product():
            nonlocal out
            out = torch.nn.functional.linear(a, b, bias)

        with torch.inference_mode():
            seconds = timed(command, product)
        return seconds, out.numpy()

    def train(self, command):
        from transformers import AutoModelForSequenceClassification

        torch = self.torch
        torch.set_num_threads(command["threads"])
        torch.manual_seed(0)
        model = AutoModelForSequenceClassification.from_pretrained(command["model"])
        decays = {"weight_decay": 0.01, "params": [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]}
        others = {"weight_decay": 0.0, "params": [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]}
        optimizer = torch.optim.AdamW([decays, others], lr=1e-5, fused=True)
        (_, ids, mask), = padded_batches(command["ids"])
        inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask), "labels": torch.tensor(command["labels"])}

        def gradients():
            with torch.autocast("cpu", torch.bfloat16, enabled=command["form"] == "bf16"):
                loss = model(**inputs).loss
            loss.backward()
            return loss.item(), torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()

        def step():
            gradients()
            optimizer.step()
            optimizer.zero_grad()

        model.eval()  # without dropout, to compare
        loss, norm = gradients()
        optimizer.zero_grad()
        model.train()
        return {"seconds": timed(command, step), "loss": loss, "norm": norm}


class OnnxRuntime:
    def __init__(self):
        import onnxruntime

        self.onnxruntime, self.sessions = onnxruntime, {}

    def hidden_states(self, command, ids, mask):
        path = os.path.join(command["model"], command["form"] + ".onnx")
        key = (path, command["threads"])
        if key not in self.sessions:
            options = self.onnxruntime.SessionOptions()
            options.intra_op_num_threads = command["threads"]
            self.sessions[key] = self.onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return self.sessions[key].run(None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})[0]


class OpenVino:
    def __init__(self):
        import openvino

        self.core, self.requests = openvino.Core(), {}

    def hidden_states(self, command, ids, mask):
        key = (command["model"], command["form"], command["threads"])
        if key not in self.requests:
            precision = "bf16" if "bf16" in command["form"] else "f32"
            if precision == "bf16" and "BF16" not in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
                raise RuntimeError("OpenVINO finds no bf16 in this CPU")
            file = "openvino-int8.xml" if "int8" in command["form"] else "plain.onnx"
            model = self.core.compile_model(os.path.join(command["model"], file), "CPU",
                                            {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": command["threads"],
                                             "INFERENCE_PRECISION_HINT": precision})
            self.requests[key] = model.create_infer_request()
        return self.requests[key].infer({"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})[0]


class CTranslate2:
    def __init__(self):
        import ctranslate2

        self.ctranslate2, self.encoders = ctranslate2, {}

    def hidden_states(self, command, ids, mask):
        key = (command["model"], command["form"], command["threads"])
        if key not in self.encoders:
            compute = {"f32": "float32", "int8": "int8", "bf16": "bfloat16"}[command["form"]]
            if compute not in self.ctranslate2.get_supported_compute_types("cpu"):
                raise RuntimeError(f"CTranslate2 does not compute in {compute} on this CPU")
            self.encoders[key] = self.ctranslate2.Encoder(os.path.join(command["model"], "ctranslate2"), device="cpu", compute_type=compute,
                                                          inter_threads=1, intra_threads=command["threads"])
        storage = self.ctranslate2.StorageView
        out = self.encoders[key].forward_batch(storage.from_array(ids.astype(np.int32)), storage.from_array(mask.sum(1).astype(np.int32)))
        return np.array(out.last_hidden_state)


class SentenceTransformers:
    """Text in, vectors out, as its users call it."""

    def __init__(self):
        import sentence_transformers

        self.library, self.models = sentence_transformers, {}

    def embed(self, command):
        import torch

        torch.set_num_threads(command["threads"])
        key = command["model"]
        if key not in self.models:
            self.models[key] = self.library.SentenceTransformer(os.path.join(key, "model"), device="cpu")
            self.models[key].max_seq_length = command.get("max_length", 512)
        return self.models[key].encode(command["texts"], batch_size=BATCH_SIZE, normalize_embeddings=True)


LIBRARIES = {"torch": Torch, "onnxruntime": OnnxRuntime, "openvino": OpenVino, "ctranslate2": CTranslate2,
             "sentence-transformers": SentenceTransformers}


class Peer:
    def __init__(self, library):
        self.library, self.tokenizers = LIBRARIES[library](), {}

    def answer(self, command):
        out = None
        if command["op"] == "train":
            return self.library.train(command)
        if command["op"] == "linear":
            seconds, out = self.library.linear(command)
        elif command["op"] == "forward":
            seconds, out = self.forward(command)
        elif command["op"] == "embed":
            seconds, out = self.embed(command)
        else:
            raise ValueError(f"there is no op '{command['op']}'")
        if "output" in command:
            np.ascontiguousarray(out, np.float32).tofile(command["output"])
        return {"seconds": seconds}

    def forward(self, command):
        hidden_states = []

        def forward():
            # The arrays of a batch are made within the time: ours makes its own as well.
            hidden_states[:] = [self.library.hidden_states(command, ids, mask) for _, ids, mask in padded_batches(command["ids"])]

        seconds = timed(command, forward)
        return seconds, without_padding(command["ids"], hidden_states)

    def embed(self, command):
        out = None

        def embed():
            nonlocal out
            if hasattr(self.library, "embed"):
                out = self.library.embed(command)
                return
            encodings = self.tokenizer(command).encode_batch(command["texts"])
            sequences = [encoding.ids for encoding in encodings]
            out = np.empty((len(sequences), 0), np.float32)
            for indices, ids, mask in padded_batches(sequences):
                vectors = mean_pooled(self.library.hidden_states(command, ids, mask), mask)
                if out.shape[1] == 0:
                    out = np.empty((len(sequences), vectors.shape[1]), np.float32)
                out[indices] = vectors

        seconds = timed(command, embed)
        return seconds, out

    def tokenizer(self, command):
        import tokenizers

        path = os.path.join(command["model"], "model", "tokenizer.json")
        if path not in self.tokenizers:
            self.tokenizers[path] = tokenizers.Tokenizer.from_file(path)
            self.tokenizers[path].no_padding()
            self.tokenizers[path].enable_truncation(command.get("max_length", 512))
        return self.tokenizers[path]


def main():
    # Libraries may print; only answers go to the pipe.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    peer = Peer(sys.argv[1])
    for line in sys.stdin:
        try:
            answer = peer.answer(json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
