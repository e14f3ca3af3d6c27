"""A training step, forward, backward, clipping and AdamW, of a classifier of 25 labels: mlac and torch in turns (environment `rivals`).

Before that, the first loss and the length of its gradient are compared, without dropout; the timed steps have it.
"""

import argparse
import os

import numpy as np
import rig

CASES = [("minilm", "MiniLM", 16, 64), ("minilm", "MiniLM", 16, 128), ("bert-base", "BERT-base shape", 16, 64)]
# The project's targets by dtype, shape: ratio of our time to that of torch in f32. bf16: where there is AMX.
TARGETS = {("minilm", "f32"): 1 / 1.6, ("minilm", "bf16"): 1 / 3, ("bert-base", "f32"): 1 / 1.35}
TOLERANCE = {"f32": 1e-3, "bf16": 0.05}  # relative, of loss and gradient length


def batch(count, length, seed):
    random = np.random.default_rng(seed)
    ids = random.integers(1000, 30000, (count, length))
    ids[:, 0], ids[:, -1] = 101, 102
    return {"ids": ids.tolist(), "labels": random.integers(0, 25, count).tolist()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    us, torch = rig.ours(), rig.peer("torch")
    machine = us.ask(op="peaks", threads=options.threads)
    rows = []
    print(f"{rig.processor()}, {options.threads} threads", flush=True)
    for name, title, count, length in CASES[:1] if options.quick else CASES:
        inputs = batch(count, length, seed=1)
        folder = os.path.join(options.models, name, "classifier")
        for dtype in ("f32", "bf16"):
            first, peaks = {}, []

            def run(contestant, worker, form):
                answer = worker.ask(op="train", model=folder, dtype=form, form=form, threads=options.threads, budget=0.5 if options.quick else 1.5,
                                    repeats=2, warmups=1, **inputs)
                first[contestant] = (answer["loss"], answer["norm"])
                peaks.extend([answer["peak"]] if "peak" in answer else [])
                expected = first.get("torch f32")
                if expected and not np.allclose(first[contestant], expected, rtol=TOLERANCE[form]):
                    raise rig.WorkerError(f"loss and gradient {first[contestant]} are not torch's {expected}")
                return answer["seconds"]

            contestants = {"torch f32": lambda: run("torch f32", torch, "f32"), "mlac": lambda: run("mlac", us, dtype)}
            if dtype == "bf16" and "bf16 amx" in machine:
                contestants["torch bf16"] = lambda: run("torch bf16", torch, "bf16")
            samples, failures = rig.take_turns(contestants, 2 if options.quick else 6)
            bound = TARGETS.get((name, dtype))
            line = rig.row(f"train {title} {dtype}", f"{count}x{length}", samples, failures, first=first,
                           bound=bound if dtype == "f32" or "bf16 amx" in machine else None)
            if line["ours"] and line["bound"] and dtype == "bf16":  # the target compares with f32
                line["ratio_to_torch_f32"] = line["ours"]["median"] / line["peers"]["torch f32"]["median"]
                line["reached"] = line["ratio_to_torch_f32"] <= bound
            rows.append(line)
            rig.show(line)
            rig.save("train", options.quick, rows, options.threads, machine, rig.versions("torch", "transformers"))
    us.close()
    torch.close()


if __name__ == "__main__":
    main()
