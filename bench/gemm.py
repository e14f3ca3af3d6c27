"""Matrix products of MiniLM's and BERT-base's shapes in f32 on one thread, weights packed: share of a loop of fused multiply-adds timed right beside.

With the widest instruction set of this CPU, and with MLAC_ISA=avx2. torch (MKL or oneDNN, held to the same instruction set) is timed in turns
with it where it is there; its weights are not packed beforehand.
"""

import argparse
import os

import numpy as np
import rig

# columns, k, title
SHAPES = [(384, 384, "MiniLM"), (1152, 384, "MiniLM"), (1536, 384, "MiniLM"), (384, 1536, "MiniLM"), (768, 768, "BERT-base"),
          (2304, 768, "BERT-base"), (3072, 768, "BERT-base"), (768, 3072, "BERT-base")]
ROWS = [1, 8, 16, 31, 64, 128, 512]
QUICK_SHAPES, QUICK_ROWS = [SHAPES[2], SHAPES[7]], [1, 16, 128]


def target(isa, title, columns, k, rows):
    """The share that the project wants; None where it names none."""
    feed_forward = title == "BERT-base" and columns * k == 768 * 3072
    if isa == "avx512":
        return 0.93 if rows >= 64 else 0.85 if rows >= 16 else None
    if rows >= 64:
        return 0.92 if title == "MiniLM" else 0.88 if feed_forward else None
    if rows >= 16:
        return 0.75 if feed_forward else 0.85
    return None


class Product:
    """One shape on one instruction set: what its turns have brought so far."""

    def __init__(self, isa, columns, k, title, rows):
        self.isa, self.columns, self.k, self.title, self.rows = isa, columns, k, title, rows
        self.samples, self.failures, self.shares = {}, {}, []

    def take_turn(self, workers, budget):
        found = {}

        def run(name, worker, op):
            path = os.path.join(rig.DATA, "product.f32")
            answer = worker.ask(op=op, budget=budget, output=path, rows=self.rows, columns=self.columns, k=self.k)
            found[name] = np.fromfile(path, np.float32)
            self.shares.extend(answer.get("share", []))
            if "mlac" not in found:
                raise rig.WorkerError("there is no product of ours to compare with: not timed")
            if not np.allclose(found[name], found["mlac"], rtol=1e-4, atol=1e-2):
                raise rig.WorkerError("its product is another: not timed")
            return answer["seconds"]

        contestants = {"mlac": lambda: run("mlac", workers[0], "gemm"), "torch f32": lambda: run("torch f32", workers[1], "linear")}
        samples, failures = rig.take_turns({name: ask for name, ask in contestants.items() if name not in self.failures}, 1)
        self.failures.update(failures)
        for name, values in samples.items():
            self.samples.setdefault(name, []).extend(values)

    def line(self):
        samples = {name: values for name, values in self.samples.items() if name not in self.failures}
        wanted = target(self.isa, self.title, self.columns, self.k, self.rows)
        line = rig.row(f"GEMM f32 {self.isa} M={self.rows}", f"{self.columns}x{self.k}", samples, self.failures, title=self.title, wanted_share=wanted)
        line["share"] = rig.summary(self.shares) if self.shares else None
        line["share_of_limit"] = line["share"]["median"] if self.shares else None
        if wanted and self.shares:
            line["reached"] = line["share_of_limit"] >= wanted
        return line


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    budget, passes = (0.06, 1) if options.quick else (0.1, 5)
    probe = rig.ours()
    machine = probe.ask(op="peaks", threads=1)
    probe.close()
    print(f"{rig.processor()}, 1 thread", flush=True)
    isas = [name for name in ("avx512", "avx2", "neon") if "f32 " + name in machine]
    workers = {isa: (rig.ours(**({} if isa == "neon" else {"MLAC_ISA": isa})),
                     rig.peer("torch", ONEDNN_MAX_CPU_ISA=isa.upper(), MKL_ENABLE_INSTRUCTIONS=isa.upper())) for isa in isas}
    products = [Product(isa, *shape, rows) for isa in isas for shape in (QUICK_SHAPES if options.quick else SHAPES)
                for rows in (QUICK_ROWS if options.quick else ROWS)]
    # Pass by pass, so that the turns of a product lie minutes apart: a machine that others share may be slow for seconds.
    for number in range(1, passes + 1):
        for product in products:
            product.take_turn(workers[product.isa], budget)
            if number == passes:
                rig.show(product.line())
        if number < passes:
            print(f"pass {number} of {passes}", flush=True)
    for pair in workers.values():
        for worker in pair:
            worker.close()
    rig.save("gemm", options.quick, [product.line() for product in products], 1, machine, rig.versions("torch"))


if __name__ == "__main__":
    main()
