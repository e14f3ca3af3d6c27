"""Encoder forward, ours and the peers in turns: same token ids, same threads, one computing at a time (environment `rivals`).

Before anything is timed, what each one computes for a batch of mixed lengths is compared with torch in f32; who is outside the bound is not timed.
The limit of a row is the longer of two times: its operations at the peak of its dtype, or one read of the layers' weights.
"""

import argparse
import functools
import os
import shutil
import subprocess

import numpy as np
import rig
from emails import cut_emails

MODELS = {
    "minilm": {"title": "MiniLM", "layers": 6, "hidden": 384, "intermediate": 1536},
    "bert-base": {"title": "BERT-base shape", "layers": 12, "hidden": 768, "intermediate": 3072},
    # A BERT of DistilBERT's shape, on both sides: exporters and converters of all peers know BERT.
    "distilbert": {"title": "DistilBERT shape", "layers": 6, "hidden": 768, "intermediate": 3072},
}
SHAPES = ["1x8", "1x16", "1x32", "1x64", "1x128", "1x512", "8x32", "8x128", "32x128", "e-mails"]
QUICK_SHAPES = ["1x8", "1x128", "32x128", "e-mails"]
NUM_EMAILS, QUICK_EMAILS = 64, 16

# library and form by dtype
PEERS = {
    "f32": [("torch", "f32"), ("onnxruntime", "plain"), ("onnxruntime", "fused"), ("openvino", "f32"), ("ctranslate2", "f32")],
    "bf16": [("torch", "bf16"), ("openvino", "bf16"), ("ctranslate2", "bf16")],
    "int8": [("onnxruntime", "int8"), ("openvino", "int8"), ("openvino", "int8-bf16"), ("ctranslate2", "int8")],
}
# What must hold against torch in f32. f32: the greatest absolute difference of a hidden state. Else: the least cosine of a text's mean.
BOUNDS = {"f32": 1e-4, "bf16": 0.99, "int8": 0.95}

# The project's targets, ratio of our time to the fastest peer's: with AMX, and elsewhere.
TARGETS = {
    ("minilm", "f32", "1x8"): (1 / 1.5, 1 / 1.5),
    ("minilm", "f32", "1x128"): (1 / 1.3, 1 / 1.08),
    ("minilm", "f32", "32x128"): (1 / 1.15, 1 / 1.05),
    ("bert-base", "f32", "1x128"): (1 / 1.03, 1 / 1.03),
    ("minilm", "bf16", "1x8"): (1 / 2.4, None),
    ("minilm", "bf16", "1x128"): (1 / 1.8, None),
    ("minilm", "bf16", "32x128"): (1 / 1.45, None),
    ("minilm", "int8", "1x8"): (1 / 2.4, 1 / 1.4),
    ("minilm", "int8", "1x128"): (1 / 1.8, 1 / 1.4),
    ("minilm", "int8", "32x128"): (1 / 1.55, 1 / 1.4),
    ("minilm", "f32", "e-mails"): (1 / 1.8, 1 / 1.8),
    ("minilm", "int8", "e-mails"): (1 / 1.8, 1 / 1.8),
}


def place(row):
    """Where a row stands among the others, of whatever run: by model, then dtype, then shape; behind them what is not measured any more."""
    groups = [f"{model['title']} {dtype}" for model in MODELS.values() for dtype in PEERS]
    shape = "e-mails" if row["row"].endswith("e-mails") else row["row"]
    return tuple(order.index(name) if name in order else len(order) for order, name in ((groups, row["group"]), (SHAPES, shape)))


def sequences_of(shape, emails):
    if shape == "e-mails":
        return emails
    count, length = map(int, shape.split("x"))
    ids = np.random.default_rng(0).integers(1000, 30000, (count, length))
    ids[:, 0], ids[:, -1] = 101, 102
    return ids.tolist()


def limit_seconds(model, dtype, sequences, machine, f32_peak):
    lengths = np.array([len(sequence) for sequence in sequences], np.float64)
    hidden, layers = model["hidden"], model["layers"]
    weights = layers * (4 * hidden * hidden + 2 * hidden * model["intermediate"])
    operations = 2 * weights * lengths.sum() + 4 * layers * hidden * (lengths**2).sum()
    rates = [rate for loop, rate in machine.items() if loop.startswith(dtype)]
    peak = f32_peak if dtype == "f32" else max(rates, default=f32_peak)
    num_bytes = weights * {"f32": 4, "bf16": 2, "int8": 1}[dtype]
    bandwidth = machine["read"][min(machine["read"], key=lambda size: abs(np.log(int(size) / num_bytes)))]
    return max(operations / peak, num_bytes / bandwidth)


@functools.cache
def int8_folder(folder):
    """What `mlac optimize` writes, made anew in each run: the program may have changed."""
    out = os.path.join(folder, "mlac-int8")
    shutil.rmtree(out, ignore_errors=True)
    done = subprocess.run([rig.MLAC, "optimize", os.path.join(folder, "model"), "--int8", "--out", out], capture_output=True, text=True)
    if done.returncode != 0:
        raise rig.WorkerError("mlac optimize: " + (done.stderr.strip().splitlines() or ["failed"])[0])
    return out


def our_folder(folder, dtype):
    return int8_folder(folder) if dtype == "int8" else os.path.join(folder, "model")


def means(hidden_states, sequences):
    bounds = np.cumsum([len(sequence) for sequence in sequences])[:-1]
    return np.stack([part.mean(0) for part in np.split(hidden_states, bounds)])


def compare(found, expected, dtype, sequences):
    """Raises WorkerError unless the outputs agree; returns the difference or the cosine."""
    if found.shape != expected.shape:
        raise rig.WorkerError(f"gives {found.size} values, torch {expected.size}")
    if dtype == "f32":
        difference = float(np.abs(found - expected).max())
        if not difference <= BOUNDS[dtype]:
            raise rig.WorkerError(f"differs from torch by {difference:.2g}, allowed is {BOUNDS[dtype]}: not timed")
        return difference
    a, b = means(found, sequences), means(expected, sequences)
    cosine = float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())
    if not cosine >= BOUNDS[dtype]:
        raise rig.WorkerError(f"has a cosine of {cosine:.4f} to torch in f32, wanted is {BOUNDS[dtype]}: not timed")
    return cosine


class Bench:
    def __init__(self, options):
        self.options = options
        self.workers = {}
        self.failures = {}
        self.rows, self.agreement, self.idle = [], {}, {}
        if options.update:
            earlier = rig.earlier("encoder", options.quick)
            self.rows, self.agreement = earlier["rows"], earlier["agreement"]
        self.ours = rig.ours()
        self.machine = self.ours.ask(op="peaks", threads=options.threads)

    def worker(self, library):
        if library not in self.workers:
            self.workers[library] = rig.peer(library)
        return self.workers[library]

    def contestants(self, name, dtype):
        """{shown name: function(op, further fields) that asks}; ours first."""
        folder = os.path.join(self.options.models, name)
        threads = self.options.threads

        def ask_us(**command):
            ours_dtype = "f32" if dtype == "int8" else dtype
            return self.ours.ask(model=our_folder(folder, dtype), dtype=ours_dtype, threads=threads, **command)

        def ask_peer(library, form):
            return lambda **command: self.worker(library).ask(model=folder, form=form, threads=threads, **command)

        peers = {f"{library} {form}": ask_peer(library, form) for library, form in PEERS[dtype] if library in self.options.peers}
        return {"mlac": ask_us, **peers}

    def output_of(self, ask, sequences):
        path = os.path.join(rig.DATA, "output.f32")
        ask(op="forward", ids=sequences, warmups=0, repeats=1, budget=0, output=path)
        hidden = np.fromfile(path, np.float32)
        return hidden.reshape(sum(map(len, sequences)), -1)

    def agreeing(self, name, dtype, sequences):
        """The contestants whose outputs agree with torch in f32, and why the others are left out."""
        folder = os.path.join(self.options.models, name)
        expected = self.output_of(lambda **command: self.worker("torch").ask(model=folder, form="f32", threads=self.options.threads, **command),
                                  sequences)
        agreed, failures = {}, {}
        for contestant, ask in self.contestants(name, dtype).items():
            try:
                figure = compare(self.output_of(ask, sequences), expected, dtype, sequences)
                self.agreement[f"{name} {dtype} {contestant}"] = figure
                agreed[contestant] = ask
            except rig.WorkerError as error:
                failures[contestant] = str(error)
        return agreed, failures

    def check_idle(self):
        for worker in [self.ours, *self.workers.values()]:
            self.idle[worker.name] = worker.idle_load()
        busy = {name: load for name, load in self.idle.items() if load > 0.05}
        if busy:
            print(f"encoder: keep cores busy while others compute: {busy}", flush=True)

    def run(self, name, dtype, shapes, emails):
        agreed, failures = self.agreeing(name, dtype, sorted(emails, key=len)[: 3 * len(emails) // 5 : len(emails) // 8])
        self.check_idle()
        for shape in shapes:
            sequences = sequences_of(shape, emails)
            peaks = []

            def sample(contestant, ask):
                answer = ask(op="forward", ids=sequences, budget=self.options.budget, **self.options.repeats)
                peaks.extend([answer["peak"]] if contestant == "mlac" else [])
                return answer["seconds"]

            runs = {contestant: lambda c=contestant, a=ask: sample(c, a) for contestant, ask in agreed.items()}
            samples, failed = rig.take_turns(runs, self.options.rounds)
            limit = limit_seconds(MODELS[name], dtype, sequences, self.machine, np.median(peaks)) if peaks else None
            bound = TARGETS.get((name, dtype, shape), (None, None))["bf16 amx" not in self.machine]
            shown = f"{len(emails)} e-mails" if shape == "e-mails" else shape
            line = rig.row(f"{MODELS[name]['title']} {dtype}", shown, samples, {**failures, **failed}, bound=bound, limit=limit)
            if shape != shapes[0]:
                line["failures"] = failed  # said once
            self.rows = [row for row in self.rows if (row["group"], row["row"]) != (line["group"], line["row"])] + [line]
            self.rows.sort(key=place)
            rig.show(line)
            self.save()

    def save(self):
        rig.save("encoder", self.options.quick, self.rows, self.options.threads, self.machine,
                 rig.versions("torch", "transformers", "onnxruntime", "openvino", "nncf", "ctranslate2"), agreement=self.agreement,
                 agreement_bounds=BOUNDS, idle_load=self.idle)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--dtypes", nargs="+", default=list(PEERS), choices=PEERS)
    parser.add_argument("--shapes", nargs="+", default=None)
    parser.add_argument("--update", action="store_true", help="keep the other rows of this processor's last results")
    parser.add_argument("--peers", nargs="+", default=["torch", "onnxruntime", "openvino", "ctranslate2"])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--budget", type=float, help="seconds of each turn")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.budget = options.budget or (0.1 if options.quick else 0.3)
    options.repeats = {"repeats": 1, "warmups": 1}  # a turn; a pass that takes less than the budget is repeated until that is spent

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(os.path.join(options.models, "minilm", "model"))
    emails = tokenizer(cut_emails(tokenizer, QUICK_EMAILS if options.quick else NUM_EMAILS), truncation=True, max_length=512)["input_ids"]
    bench = Bench(options)
    print(f"{rig.processor()}, {options.threads} threads", flush=True)
    for name in options.only:
        for dtype in options.dtypes:
            bench.run(name, dtype, options.shapes or (QUICK_SHAPES if options.quick else SHAPES), emails)
    for worker in [bench.ours, *bench.workers.values()]:
        worker.close()


if __name__ == "__main__":
    main()
