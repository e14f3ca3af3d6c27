"""A run of fine-tuning: mlac and transformers train a classifier of the same model on the same files with the same threads, in turns, one seed after
the other.

Prints accuracy, macro-F1 (over the labels in truth or prediction) and time of each seed and their means, and writes them as JSON. The time of
mlac is that of the whole process, reading, tokenising, evaluating and writing included; that of transformers is its training alone, tokenising
included, without the seconds that Python needs to start. --untimed leaves times out: what is learnt does not depend on what else the machine does.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time

from results import FOLDER, earlier_result, processor, write_result

RECIPE = ["--epochs", "2", "--lr", "1e-4", "--batch-size", "32", "--weight-decay", "0.01", "--warmup", "0.1", "--max-grad-norm", "1.0",
          "--validation-split", "0"]


def run_mlac(options, seed):
    out = os.path.join(options.data, f"model-{seed}")
    shutil.rmtree(out, ignore_errors=True)
    command = [options.mlac, "train", "text-classification", "-m", options.model, "--data", os.path.join(options.data, "train.csv"), "--test",
               os.path.join(options.data, "test.csv"), "--out", out, "--seed", str(seed), "--threads", str(options.threads),
               "--max-length", str(options.max_length), "--json", *RECIPE]
    begin = time.monotonic()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - begin
    metrics = json.loads(done.stdout)
    return {"accuracy": metrics["accuracy"], "macro_f1": metrics["macro_f1"], "seconds": seconds}


def run_transformers(options, seed):
    command = [sys.executable, os.path.join(FOLDER, "fine_tuning_reference.py"), "--model", options.model, "--train",
               os.path.join(options.data, "train.csv"), "--test", os.path.join(options.data, "test.csv"), "--seeds", str(seed), "--threads",
               str(options.threads), "--max-length", str(options.max_length)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    result = json.loads(done.stdout.splitlines()[-1])
    return {"accuracy": result["accuracy"], "macro_f1": result["macro_f1"], "seconds": result["train_seconds"]}


PROGRAMS = {"mlac": run_mlac, "transformers": run_transformers}


def mean(rows, name):
    return sum(row[name] for row in rows) / len(rows)


def compared(runs):
    """Of each program the rows of the seeds that both have."""
    count = min(map(len, runs.values()))
    return {name: rows[:count] for name, rows in runs.items()}


def figures(options, runs):
    pairs = compared(runs)
    if not pairs["mlac"]:
        return {}
    found = {"macro_f1_difference": mean(pairs["mlac"], "macro_f1") - mean(pairs["transformers"], "macro_f1")}
    if not options.untimed:
        found["time_ratio"] = mean(pairs["mlac"], "seconds") / mean(pairs["transformers"], "seconds")
    return found


def resumed(options):
    """The seeds and their rows that an earlier run on this processor has left."""
    before = earlier_result(options.name)
    if not before:
        return [], {name: [] for name in PROGRAMS}
    if before["threads"] != options.threads:
        sys.exit(f"fine_tuning.py: the last run of {options.name} had {before['threads']} threads, not {options.threads}: begin anew, without --resume")
    return before["seeds"], before["runs"]


def write(options, seeds, runs):
    """After each training, so that a run cut short leaves what it has measured."""
    write_result(options.name, {"processor": processor(), "threads": options.threads, "seeds": seeds, "runs": runs, **figures(options, runs)})


def show(label, name, accuracy, macro_f1, seconds):
    print(f"{label:>5} {name:14} {accuracy:9.4f} {macro_f1:9.4f}" + (f" {seconds:9.1f}" if seconds is not None else ""), flush=True)


def main():
    parser = argparse.ArgumentParser()
    for name in ("name", "mlac", "model", "data"):
        parser.add_argument("--" + name, required=True)  # name: of the results
    parser.add_argument("--max-length", type=int, required=True, help="in tokens; longer texts are cut")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--untimed", action="store_true", help="leave times out")
    parser.add_argument("--resume", action="store_true", help="keep what this processor's results already have")
    options = parser.parse_args()
    before, runs = resumed(options) if options.resume else ([], {name: [] for name in PROGRAMS})
    seeds = list(dict.fromkeys([*before, *options.seeds]))
    print(f"{processor()}, {options.threads} threads", flush=True)
    print(f"{'seed':>5} {'':14} {'accuracy':>9} {'macro-F1':>9}" + ("" if options.untimed else f" {'seconds':>9}"), flush=True)
    for number, seed in enumerate(seeds, start=1):
        for name, run in PROGRAMS.items():
            if len(runs[name]) >= number:
                continue
            row = run(options, seed)
            if options.untimed:
                del row["seconds"]
            runs[name].append(row)
            show(seed, name, row["accuracy"], row["macro_f1"], row.get("seconds"))
            write(options, seeds[:number], runs)
    for name, rows in compared(runs).items():
        show("mean", name, mean(rows, "accuracy"), mean(rows, "macro_f1"), None if options.untimed else mean(rows, "seconds"))
    found = figures(options, runs)
    print(f"macro-F1 of mlac less that of transformers: {found['macro_f1_difference']:+.4f}")
    if not options.untimed:
        print(f"time of mlac / time of transformers: {found['time_ratio']:.2f}")


if __name__ == "__main__":
    main()
