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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    budget = 0.06 if options.quick else 0.2
    rows_of_result = []
    probe = rig.ours()
    machine = probe.ask(op="peaks", threads=1)
    probe.close()
    print(f"{rig.processor()}, 1 thread", flush=True)
    for isa in [name for name in ("avx512", "avx2", "neon") if "f32 " + name in machine]:
        environment = {} if isa == "neon" else {"MLAC_ISA": isa}
        us = rig.ours(**environment)
        torch = rig.peer("torch", ONEDNN_MAX_CPU_ISA=isa, MKL_ENABLE_INSTRUCTIONS=isa)
        for columns, k, title in QUICK_SHAPES if options.quick else SHAPES:
            for rows in QUICK_ROWS if options.quick else ROWS:
                shape = {"rows": rows, "columns": columns, "k": k}
                shares, outputs = [], {}

                def run(name, worker, op):
                    path = os.path.join(rig.DATA, "product.f32")
                    answer = worker.ask(op=op, budget=budget, output=path, **shape)
                    outputs[name] = np.fromfile(path, np.float32)
                    shares.extend(answer.get("share", []))
                    if not np.allclose(outputs[name], outputs["mlac"], rtol=1e-4, atol=1e-2):
                        raise rig.WorkerError("its product is another: not timed")
                    return answer["seconds"]

                contestants = {"mlac": lambda: run("mlac", us, "gemm"), "torch f32": lambda: run("torch f32", torch, "linear")}
                samples, failures = rig.take_turns(contestants, 1 if options.quick else 2)
                wanted = target(isa, title, columns, k, rows)
                line = rig.row(f"GEMM f32 {isa} M={rows}", f"{columns}x{k}", samples, failures, title=title, wanted_share=wanted)
                line["share_of_limit"] = rig.summary(shares)["median"] if shares else None
                line["share"] = rig.summary(shares) if shares else None
                if wanted and shares:
                    line["reached"] = line["share_of_limit"] >= wanted
                rows_of_result.append(line)
                rig.show(line)
        us.close()
        torch.close()
    rig.save("gemm", options.quick, rows_of_result, 1, machine, rig.versions("torch"))


if __name__ == "__main__":
    main()
