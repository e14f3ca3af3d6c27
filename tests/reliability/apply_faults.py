#!/usr/bin/env python3
"""What mlac apply leaves when it is killed, and what plans cost.

    apply_faults.py MLAC MODEL [KILLS [SEED]]

A project of two models (data steps, int8, tests, gates) is applied undisturbed; then KILLS (200) times from nothing, killed after a random share of
that time, and applied once more. Revisions, manifests, blobs and aliases must be those of the undisturbed one, byte for byte, and reports must be there of all that
was published. Then: hostile files, and
plans of many models, with time and the most resident memory. Ends with status 1 if anything is not as it must be.
"""
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

mlac = os.path.realpath(sys.argv[1])
model = os.path.realpath(sys.argv[2])
kills = int(sys.argv[3]) if len(sys.argv) > 3 else 200
seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
environment = {**os.environ, "OMP_NUM_THREADS": "1"}
failures = 0


def rows(count, offset):
    words = ["the", "people", "small", "large", "open", "train", "model", "word", "not", "this"]
    own = {"animal": "cat", "colour": "red", "time": "night"}
    pick = random.Random(offset)
    lines = ["text,label"]
    for i in range(count):
        label = list(own)[i % 3]
        lines.append(f"{own[label]} {' '.join(pick.choice(words) for _ in range(pick.randint(2, 7)))} {offset + i},{label}")
    return "\n".join(lines) + "\n"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def project(folder):
    write(f"{folder}/a.csv", rows(60, 1000))
    write(f"{folder}/b.csv", rows(30, 2000))
    write(f"{folder}/test.csv", rows(30, 3000))
    write(f"{folder}/tests.yaml", "invariances: [{change: case, min: 0}]\nslices: [{name: cats, matches: cat, min: 0}]\n")
    write(f"{folder}/mlac.yaml", f"""
models:
  one: {{base: {model}, data: {{train: a.csv, test: test.csv}}, train: {{epochs: 3, lr: 1e-3, batch_size: 8}}, tests: tests.yaml,
        optimize: {{int8: true, max_drop: 100%}}, gates: [accuracy >= 0, accuracy >= production - 1]}}
  two: {{base: {model}, data: {{train: [a.csv, b.csv], dedupe: true, split: {{test: 20%}}}}, train: {{epochs: 1}}}}
""")


def run(folder, *arguments, **options):
    return subprocess.run([mlac, *arguments], cwd=folder, env=environment, capture_output=True, text=True, **options)


def artefacts(folder):
    """All of the store that must not depend on time: name to content."""
    found = {}
    for part in ("blobs", "manifests", "revisions"):
        for top, _, names in os.walk(f"{folder}/.mlac/{part}"):
            for name in names:
                path = os.path.join(top, name)
                if ".partial-" in name:  # what a kill leaves beside its place; mlac gc removes it
                    continue
                with open(path, "rb") as file:
                    found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    found["reports"] = sorted(name for name in os.listdir(f"{folder}/.mlac/reports") if ".partial-" not in name)
    found["status"] = [line for line in run(folder, "status").stdout.splitlines() if line.startswith(("one:", "two:"))]
    found["aliases"] = [line.split()[1] for line in run(folder, "status").stdout.splitlines() if line.strip().startswith("latest")]
    return found


def check(what, good, detail=""):
    global failures
    failures += not good
    print(f"{'ok  ' if good else 'FAIL'}  {what}{': ' + detail if detail else ''}", flush=True)


def killed_at_random(scratch):
    undisturbed = f"{scratch}/undisturbed"
    project(undisturbed)
    begin = time.monotonic()
    result = run(undisturbed, "apply")
    whole = time.monotonic() - begin
    if result.returncode != 0:
        sys.exit("the undisturbed apply failed: " + result.stderr)
    expected = artefacts(undisturbed)
    pick = random.Random(seed)
    different, unverified, not_reached = [], 0, 0
    for n in range(kills):
        folder = f"{scratch}/killed"
        shutil.rmtree(folder, ignore_errors=True)
        project(folder)
        moment = pick.uniform(0, whole)
        child = subprocess.Popen([mlac, "apply"], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            child.wait(timeout=moment)
            not_reached += 1
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
        again = run(folder, "apply")
        if again.returncode != 0 or artefacts(folder) != expected:
            different.append(f"{moment:.3f} s: {again.stderr.strip().splitlines()[-1:] or 'other artefacts'}")
        unverified += run(folder, "verify").returncode != 0
    check(f"{kills} kills in {whole:.2f} s, {not_reached} after the end", not different and not unverified,
          f"{len(different)} end otherwise, {unverified} stores are damaged" + "".join("\n      " + each for each in different[:5]))


def measured(folder, *arguments):
    """Status, seconds, peak MiB."""
    script = "import resource, subprocess, sys\nr = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)\n" \
             "print(r.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, r.stderr.decode().replace(chr(10), ' '))"
    begin = time.monotonic()
    out = subprocess.run([sys.executable, "-c", script, mlac, *arguments], cwd=folder, env=environment, capture_output=True, text=True).stdout
    seconds = time.monotonic() - begin
    status, peak, message = out.split(" ", 2)
    return int(status), seconds, int(peak) / 1024, message.strip()


def hostile(scratch):
    folder = f"{scratch}/hostile"
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 40))
    files = {
        "aliases": bomb, "merge keys": "a: &a {k: v}\n" + "".join(f"b{i}: &b{i} {{<<: [{', '.join(['*a'] * 1000)}]}}\n" for i in range(1000)),
        "a cycle": "models: &a {x: *a}\n", "brackets": "[" * 8_000_000, "braces": "{a: " * 2_000_000, "dashes": "- " * 4_000_000,
        "a long flow": "a: [" + "1,\n" * 2_600_000, "open quote": "a: \"" + "x" * 8_000_000, "too large": "# " + "x" * 9_000_000 + "\n",
        "question marks": "? " * 4_000_000, "a long key": "k" * 8_000_000 + ": v", "tags": "!!a " * 2_000_000, "anchors": "&a " * 2_000_000,
        "a long list": "definitions:\n" + "  - a\n" * 1_000_100,
    }
    for name, text in files.items():
        write(f"{folder}/mlac.yaml", text)
        status, seconds, peak, message = measured(folder, "plan")
        check(f"hostile: {name}", status == 1 and seconds < 1.2 and peak < 64, f"status {status}, {seconds:.2f} s, {peak:.0f} MiB: {message[:90]}")


def large(scratch):
    folder = f"{scratch}/large"
    write(f"{folder}/train.csv", rows(30, 1))
    write(f"{folder}/test.csv", rows(30, 2))
    entry = "  m{}: {{base: {}, data: {{train: train.csv, test: test.csv}}, train: {{epochs: 2, seed: {}}}, gates: [accuracy >= 0.1]}}\n"
    write(f"{folder}/mlac.yaml", "models:\n" + "".join(entry.format(i, model, i) for i in range(10_000)))
    status, seconds, peak, message = measured(folder, "plan")
    check("a plan of 10,000 models", status == 0 and seconds < 10 and peak < 512, f"{seconds:.2f} s, {peak:.0f} MiB {message[:90]}")
    folder = f"{scratch}/unchanged"
    models = 1000
    for i in range(models):  # 1,000,000 rows in all, of which each model trains on few: filter leaves those that are short
        write(f"{folder}/data/{i}.csv", rows(1000, i * 1000))
    write(f"{folder}/test.csv", rows(12, 2))
    entry = "  m{0}: {{base: {1}, data: {{train: data/{0}.csv, test: test.csv, filter: [{{max_length: 22}}]}}, train: {{epochs: 1, validation_split: 0, freeze: true}}}}\n"
    write(f"{folder}/mlac.yaml", "models:\n" + "".join(entry.format(i, model) for i in range(models)))
    begin = time.monotonic()
    result = run(folder, "apply", "--no-report")
    if result.returncode != 0:
        check("apply of 1,000 models", False, result.stderr.strip().splitlines()[-1])
        return
    print(f"      apply of {models} models took {time.monotonic() - begin:.0f} s", flush=True)
    for turn in ("first", "second"):
        status, seconds, peak, message = measured(folder, "plan", "--exit-code")
        check(f"the {turn} plan over 1,000 models and 1,000,000 rows, nothing changed", status == 0 and seconds < 2, f"{seconds:.2f} s, {peak:.0f} MiB {message[:90]}")


scratch = tempfile.mkdtemp()
try:
    parts = {"kills": killed_at_random, "hostile": hostile, "large": large}
    for name in (sys.argv[5:] or parts):
        parts[name](scratch)
finally:
    shutil.rmtree(scratch)
sys.exit(failures != 0)
