"""The WordNet run: mlac and transformers fine-tune the same model on the same files with the same threads, in turns, one seed after the other.

Prints accuracy, macro-F1 (over the labels in truth or prediction) and time of each seed and their means, and writes them as JSON. The time of
mlac is that of the whole process, reading, tokenising, evaluating and writing included; that of transformers is its training alone, tokenising
included, without the seconds that Python needs to start.
"""
import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
RECIPE = ["--epochs", "2", "--lr", "1e-4", "--batch-size", "32", "--max-length", "64", "--weight-decay", "0.01", "--warmup", "0.1",
          "--max-grad-norm", "1.0", "--validation-split", "0"]


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def run_mlac(options, seed):
    out = os.path.join(options.data, f"topics-{seed}")
    shutil.rmtree(out, ignore_errors=True)
    command = [options.mlac, "train", "text-classification", "-m", options.model, "--data", os.path.join(options.data, "train.csv"), "--test",
               os.path.join(options.data, "test.csv"), "--out", out, "--seed", str(seed), "--threads", str(options.threads), "--json", *RECIPE]
    begin = time.monotonic()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - begin
    metrics = json.loads(done.stdout)
    return {"accuracy": metrics["accuracy"], "macro_f1": metrics["macro_f1"], "seconds": seconds}


def run_transformers(options, seed):
    command = [sys.executable, os.path.join(FOLDER, "wordnet_reference.py"), "--model", options.model, "--train",
               os.path.join(options.data, "train.csv"), "--test", os.path.join(options.data, "test.csv"), "--seeds", str(seed), "--threads",
               str(options.threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    result = json.loads(done.stdout.splitlines()[-1])
    return {"accuracy": result["accuracy"], "macro_f1": result["macro_f1"], "seconds": result["train_seconds"]}


def mean(rows, name):
    return sum(row[name] for row in rows) / len(rows)


def time_ratio(runs):
    return mean(runs["mlac"], "seconds") / mean(runs["transformers"], "seconds")


def resumed(options):
    """The seeds and their rows that an earlier run on this processor has left."""
    try:
        with open(options.results, encoding="utf-8") as file:
            before = json.load(file)
    except FileNotFoundError:
        return [], {"mlac": [], "transformers": []}
    if (before["processor"], before["threads"]) != (processor(), options.threads):
        sys.exit(f"wordnet.py: {options.results} is of {before['processor']} with {before['threads']} threads: begin anew, without --resume")
    return before["seeds"], before["runs"]


def write(options, seeds, runs):
    """After each seed, so that a run cut short leaves what it has measured."""
    with open(options.results + ".partial", "w", encoding="utf-8") as file:
        json.dump({"processor": processor(), "threads": options.threads, "seeds": seeds, "runs": runs, "time_ratio": time_ratio(runs)}, file, indent=1)
        file.write("\n")
    os.replace(options.results + ".partial", options.results)


def main():
    parser = argparse.ArgumentParser()
    for name in ("mlac", "model", "data", "results"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--resume", action="store_true", help="keep the seeds that the results of this processor already have")
    options = parser.parse_args()
    done, runs = resumed(options) if options.resume else ([], {"mlac": [], "transformers": []})
    print(f"{processor()}, {options.threads} threads", flush=True)
    print(f"{'seed':>5} {'':14} {'accuracy':>9} {'macro-F1':>9} {'seconds':>9}", flush=True)
    for seed in (seed for seed in options.seeds if seed not in done):
        for name, run in (("mlac", run_mlac), ("transformers", run_transformers)):
            row = run(options, seed)
            runs[name].append(row)
            print(f"{seed:>5} {name:14} {row['accuracy']:9.4f} {row['macro_f1']:9.4f} {row['seconds']:9.1f}", flush=True)
        done.append(seed)
        write(options, done, runs)
    for name, rows in runs.items():
        print(f"{'mean':>5} {name:14} {mean(rows, 'accuracy'):9.4f} {mean(rows, 'macro_f1'):9.4f} {mean(rows, 'seconds'):9.1f}")
    print(f"time of mlac / time of transformers: {time_ratio(runs):.2f}")


if __name__ == "__main__":
    main()
