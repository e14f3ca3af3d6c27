"""What the benchmarks share: workers that compute in turns, statistics, results as JSON and as a table."""

import json
import os
import statistics
import subprocess
import sys
import time
from importlib import metadata

from results import BUILD, FOLDER, ROOT, digits, earlier_result, processor, rounded, write_result

DATA = os.path.join(BUILD, "data")
MLAC = os.path.join(BUILD, "mlac")

# A pause between two turns, in which the threads of the one before come to rest: onnxruntime's spin for some milliseconds.
PAUSE_SECONDS = 0.05


class WorkerError(Exception):
    """A worker could not do what it was asked; the message says why."""


class Worker:
    """A process that answers a JSON command a line, such as bench/worker.cc or bench/peers.py. Its stderr goes to build/bench/data/NAME.log."""

    def __init__(self, name, command, environment=None):
        os.makedirs(DATA, exist_ok=True)
        self.name = name
        self.log = open(os.path.join(DATA, name + ".log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
                                        env={**os.environ, **(environment or {})})

    def ask(self, **command):
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"{self.name} ended (exit status {self.process.wait()}); see {self.log.name}")
        answer = json.loads(line)
        time.sleep(PAUSE_SECONDS)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def idle_load(self, seconds=0.3):
        """The cores that it keeps busy while nobody asks it anything."""

        def ticks():
            with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
                fields = file.read().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        before = ticks()
        time.sleep(seconds)
        return (ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


def ours(**environment):
    return Worker("mlac" + "".join("-" + value for value in environment.values()), [os.path.join(BUILD, "bench", "bench_worker")], environment)


def peer(library, **environment):
    return Worker(library + "".join("-" + value for value in environment.values()), [sys.executable, os.path.join(FOLDER, "peers.py"), library],
                  environment)


def versions(*packages):
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def summary(samples):
    """Median and quartiles, of seconds or of whatever the samples are."""
    if len(samples) < 2:
        return {"median": samples[0], "q1": samples[0], "q3": samples[0], "samples": len(samples)}
    q1, median, q3 = statistics.quantiles(samples, n=4, method="inclusive")
    return {"median": median, "q1": q1, "q3": q3, "samples": len(samples)}


def take_turns(contestants, rounds):
    """contestants: {name: function that returns samples}. Runs them one after the other, `rounds` times; only one computes at any time.

    Returns ({name: samples}, {name: why it could not run}).
    """
    samples, failures = {}, {}
    for _ in range(rounds):
        for name, run in contestants.items():
            if name in failures:
                continue
            try:
                samples.setdefault(name, []).extend(run())
            except WorkerError as error:
                failures[name] = str(error)
                samples.pop(name, None)
    return samples, failures


def row(group, name, samples, failures, us="mlac", bound=None, higher_is_better=False, limit=None, unit="s", **more):
    """One line of a result. bound: the greatest allowed ratio of our time to the fastest peer's (of rates: the smallest of ours to theirs).

    limit: the least time that the machine's peaks allow, in the unit of the samples.
    """
    results = {contestant: summary(values) for contestant, values in samples.items()}
    line = {"group": group, "row": name, "unit": unit, "ours": results.pop(us, None), "peers": results, "failures": failures, **more}
    best = max if higher_is_better else min
    line["higher_is_better"] = higher_is_better
    line["best_peer"] = best(results, key=lambda peer_name: results[peer_name]["median"]) if results else None
    line["ratio"] = line["ours"]["median"] / results[line["best_peer"]]["median"] if results and line["ours"] else None
    line["bound"] = bound
    if bound is not None and line["ratio"] is not None:
        line["reached"] = line["ratio"] >= bound if higher_is_better else line["ratio"] <= bound
    if limit and line["ours"]:
        line["share_of_limit"] = limit / line["ours"]["median"]
    return line


def show_value(value, unit):
    if unit == "s":
        return f"{digits(value * 1e3)} ms" if value < 10 else f"{value:.1f} s"
    return f"{digits(value)} {unit}"


def show(line):
    """The line of a table that a reader sees while it runs."""
    mine = show_value(line["ours"]["median"], line["unit"]) if line["ours"] else "-"
    parts = [f"{line['group']:<22} {line['row']:<14} {mine:>11}"]
    if line["best_peer"]:
        parts.append(f"{show_value(line['peers'][line['best_peer']]['median'], line['unit']):>11} {line['best_peer']:<22}")
    if line["ratio"] is not None:
        parts.append(f"ratio {line['ratio']:5.2f}")
    if line.get("share_of_limit"):
        parts.append(f"{line['share_of_limit'] * 100:3.0f} % of the limit")
    bounds = {"bound": line["bound"], "wanted": line.get("wanted"), "share wanted": line.get("wanted_share")}
    for kind, value in bounds.items():
        if value is not None:
            parts.append(f"{kind} {value:.2g}: {'reached' if line.get('reached') else 'not reached'}")
    print("  ".join(parts), flush=True)
    for name, why in line["failures"].items():
        print(f"{'':38} {name}: {why}", flush=True)


def warn_if_busy(seconds=3):
    """Others' work makes every figure worse, and not by the same factor. Returns the cores that are busy while this program sleeps."""

    def ticks():
        with open("/proc/stat", encoding="utf-8") as file:
            fields = [int(field) for field in file.readline().split()[1:9]]
        return sum(fields) - fields[3] - fields[4]  # idle, and waiting for a disk

    before = ticks()
    time.sleep(seconds)
    busy = (ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds
    if busy > 0.3:
        print(f"dev bench: others keep {busy:.1f} cores busy: do not trust the figures", file=sys.stderr)
    return busy


BUSY_BEFORE = warn_if_busy()


def by_groups(rows):
    """The rows with those of a group together, groups in the order in which they came: as a table shows them."""
    groups = [line["group"] for line in rows]
    return sorted(rows, key=lambda line: groups.index(line["group"]))


def save(name, quick, rows, threads, machine=None, used=None, **more):
    """Writes bench/results/PROCESSOR/NAME.json, from which bench/report.py makes docs/performance.md. A quick run goes beside the build instead."""
    result = {"benchmark": name, "processor": processor(), "threads": threads, "busy_before": BUSY_BEFORE, "versions": used or {},
              "machine": machine or {}, **more, "rows": by_groups(rows)}
    write_result(name, rounded(result), quick)


def earlier(name, quick):
    """What the last run on this processor has saved; no rows if there is none."""
    return earlier_result(name, quick) or {"rows": [], "agreement": {}}
