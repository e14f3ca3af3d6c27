#!/usr/bin/env python3
"""Kills a training run, or makes a system call of it fail, at each point where it touches its files; then resumes it.

    training_faults.py MLAC MODEL [--every N] [--offset K] [--kinds kill,write,read,space]

MLAC: the binary. MODEL: a folder of a tiny model. Each point is one call of an unbroken run that strace saw touch the model, the data or
the output: the n-th of its kind. --every N tries each N-th point alone, beginning at the K-th.

kill   SIGKILL as the call begins (write, fsync, rename, mkdir, link, unlink ...). Resuming gives the bytes of the unbroken run.
write  the call fails: ENOSPC, EIO or, once, EINTR. The run ends with status 1, one line and no temporary left, or it could go on; in both
       cases resuming gives the bytes of the unbroken run.
read   likewise for what is read: model, data, a checkpoint.
space  the output stands on a file system that is full after so many KiB (needs root): short writes, then ENOSPC, at any place.

Prints a table of the points tried and passed; the exit status is 1 if one failed, 77 if strace may not trace here.
"""

import argparse
import collections
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile

CHANGING = ["write", "fsync", "rename", "renameat2", "mkdir", "link", "linkat", "unlink", "unlinkat", "rmdir", "fchmod"]
READING = ["openat", "openat2", "read", "pread64", "mmap", "fstat", "newfstatat"]
REMOVING = {"unlink", "unlinkat", "rmdir"}  # if these fail, what they should have removed stays

ERRORS = {"write": ["ENOSPC", "EIO", "EINTR"], "fsync": ["EIO", "ENOSPC", "EINTR"], "rename": ["EIO", "ENOSPC"], "renameat2": ["EIO", "ENOSPC"],
          "mkdir": ["ENOSPC", "EACCES"], "link": ["EIO", "EMLINK"], "linkat": ["EIO", "EMLINK"], "unlink": ["EIO"], "unlinkat": ["EIO"],
          "rmdir": ["EIO"], "fchmod": ["EIO"], "openat": ["EIO", "EMFILE", "EINTR"], "openat2": ["EIO", "EMFILE"], "read": ["EIO", "EINTR"],
          "pread64": ["EIO", "EINTR"], "mmap": ["ENOMEM"], "fstat": ["EIO"], "newfstatat": ["EIO"]}


class Training:
    def __init__(self, mlac, model, folder):
        self.mlac, self.folder = mlac, folder
        self.model, self.data = os.path.join(folder, "model"), os.path.join(folder, "train.csv")
        self.out = os.path.join(folder, "place", "out")
        shutil.copytree(model, self.model)
        with open(self.data, "w", encoding="utf-8") as file:
            file.write("text,label\n")
            for i in range(24):
                file.write(f"{'cat dog red'.split()[i % 3]} the {'people water night train'.split()[i % 4]} {i},{'abc'[i % 3]}\n")
        self.clear()
        result = self.run([])
        if result.returncode != 0:
            sys.exit(f"the unbroken run failed: {result.stderr}")
        self.expected = os.path.join(folder, "expected")
        os.rename(self.out, self.expected)

    def command(self):
        # 18 texts to train: 3 steps an epoch, 9 in all, checkpoints after 2, 4, 6 and 8; validation keeps a best epoch.
        return [self.mlac, "train", "text-classification", "--model", self.model, "--data", self.data, "--out", self.out, "--validation-split", "0.25",
                "--epochs", "3", "--batch-size", "8", "--lr", "0.005", "--save-steps", "2", "--threads", "1", "--patience", "0"]

    def clear(self):
        shutil.rmtree(os.path.dirname(self.out), ignore_errors=True)
        os.makedirs(os.path.dirname(self.out))

    def run(self, before, more=()):
        return subprocess.run(before + self.command() + list(more), capture_output=True, text=True, timeout=120)

    def traced(self, arguments, more=()):
        return self.run(["strace", "-f", "-o", "/dev/null"] + arguments, more)

    def leftovers(self):
        return [name for _, folders, files in os.walk(os.path.dirname(self.out)) for name in folders + files if ".partial-" in name]

    def is_expected(self):
        names = sorted(os.listdir(self.expected))
        if not os.path.isdir(self.out) or sorted(os.listdir(self.out)) != names:
            return False
        return filecmp.cmpfiles(self.out, self.expected, names, shallow=False)[0] == names

    def points(self, calls, more=()):
        """(call, n) of the n-th call of that name, for those that touch the files of this run."""
        log = os.path.join(self.folder, "strace.log")
        self.run(["strace", "-f", "-y", "-o", log, "-e", "trace=" + ",".join("?" + call for call in calls)], more)
        seen, points = collections.Counter(), []
        with open(log, encoding="utf-8", errors="replace") as file:
            for line in file:
                match = re.match(r"\d+ +(\w+)\(", line)
                if match is None:
                    continue
                seen[match[1]] += 1
                if self.folder in line and not re.match(r"\d+ +write\([12]<", line):  # what it prints names files as well
                    points.append((match[1], seen[match[1]]))
        return points

    def resume(self):
        """None if resuming gives the bytes of the unbroken run, else why not."""
        result = self.run([], ["--resume"])
        if result.returncode != 0:
            return f"--resume ended with {result.returncode}: {result.stderr.splitlines()[-2:]}"
        if not self.is_expected():
            return "--resume gave other bytes"
        return f"--resume left {self.leftovers()}" if self.leftovers() else None

    def refused(self, result):
        """None if the run ended as a failing one should, else why not."""
        if result.returncode != 1:
            return f"status {result.returncode}: {result.stderr.splitlines()[-2:]}"
        lines = [line for line in result.stderr.splitlines() if line.startswith("mlac: ")]
        if len(lines) != 1 or "a fault of mlac" in lines[0]:
            return f"not one clear line: {lines}"
        return None


def check_kill(training, call, n):
    training.traced(["-e", f"inject={call}:signal=KILL:when={n}"])
    return training.resume()


def check_error(training, call, n, error, more=()):
    before = training.leftovers()  # of a run that was killed
    result = training.traced(["-e", f"inject={call}:error={error}:when={n}"], more)
    if result.returncode == 0:
        return None if training.is_expected() else "ended well with other bytes"
    why = training.refused(result)
    if why is None and error == "EINTR":
        why = f"an interrupted call ended the run: {result.stderr.splitlines()[-1:]}"
    left = [name for name in training.leftovers() if name not in before]
    if why is None and call not in REMOVING and left and not any(name in result.stderr for name in left):  # one that cannot be removed is named
        why = f"left {left}"
    return why or training.resume()


def check_space(training, kib):
    place = os.path.dirname(training.out)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", place], check=True)
    try:
        # A disk that does not say how much is free, so that the training begins and finds out while it writes.
        result = training.traced(["-e", "inject=statfs:error=ENOSYS"])
        if result.returncode == 0:
            return "enough", None if training.is_expected() else "ended well with other bytes"
        why = training.refused(result)
        if why is None and not any("No space left on device" in line for line in result.stderr.splitlines()):
            why = f"does not name the cause: {result.stderr.splitlines()[-2:]}"
        if why is None and training.leftovers():
            why = f"left {training.leftovers()}"
        if why is None:
            subprocess.run(["mount", "-o", "remount,size=64m", place], check=True)
            why = training.resume()
        return "full", why
    finally:
        subprocess.run(["umount", place], check=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mlac")
    parser.add_argument("model")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--kinds", default="kill,write,read,space")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode != 0:
        print("skipped: strace may not trace processes here")
        sys.exit(77)
    table, failures = [], []

    def record(kind, what, outcomes):
        failed = [outcome for outcome in outcomes if outcome is not None]
        table.append((kind, what, len(outcomes), len(outcomes) - len(failed)))
        failures.extend(f"{kind} {what}: {outcome}" for outcome in failed)
        print(f"{kind:6} {what:28} {len(outcomes):6} tried {len(outcomes) - len(failed):6} passed", flush=True)

    with tempfile.TemporaryDirectory(prefix="mlac-faults-") as folder:
        training = Training(os.path.abspath(options.mlac), options.model, os.path.realpath(folder))

        def chosen(points):
            by_call = collections.defaultdict(list)
            for call, n in points[options.offset % options.every :: options.every]:
                by_call[call].append(n)
            return by_call.items()

        def tried(check, call, numbers, *rest):
            outcomes = []
            for n in numbers:
                training.clear()
                why = check(training, call, n, *rest)
                outcomes.append(None if why is None else f"{call} number {n}: {why}")
            return outcomes

        def on_resume(training, call, n, error):
            training.run(["strace", "-f", "-o", "/dev/null", "-e", "inject=renameat2:signal=KILL:when=3"])  # two checkpoints are there
            return check_error(training, call, n, error, ["--resume"])

        training.clear()
        changing = training.points(CHANGING)
        if "kill" in kinds:
            for call, numbers in chosen(changing):
                record("kill", call, tried(check_kill, call, numbers))
        if "write" in kinds:
            for call, numbers in chosen(changing):
                for error in ERRORS[call]:
                    record("write", f"{call} {error}", tried(check_error, call, numbers, error))
        if "read" in kinds:
            training.clear()
            for call, numbers in chosen(training.points(READING)):
                for error in ERRORS[call]:
                    record("read", f"{call} {error}", tried(check_error, call, numbers, error))
            training.clear()
            training.run(["strace", "-f", "-o", "/dev/null", "-e", "inject=renameat2:signal=KILL:when=3"])
            for call, numbers in chosen(training.points(READING, ["--resume"])):
                for error in ERRORS[call]:
                    record("read", f"resuming, {call} {error}", tried(on_resume, call, numbers, error))
        if "space" in kinds and os.geteuid() == 0:
            outcomes = []
            for kib in range(8 + 4 * (options.offset % options.every), 4096, 4 * options.every):
                training.clear()
                try:
                    state, why = check_space(training, kib)
                except subprocess.CalledProcessError:
                    print("space: skipped, file systems cannot be mounted here")
                    break
                outcomes.append(None if why is None else f"{kib} KiB: {why}")
                if state == "enough":
                    break
            record("space", "tmpfs, short writes", outcomes)
    for failure in failures:
        print("FAILED", failure)
    total, passed = sum(row[2] for row in table), sum(row[3] for row in table)
    print(f"{total} points tried, {passed} passed")
    sys.exit(0 if total == passed and total > 0 else 1)


if __name__ == "__main__":
    main()
