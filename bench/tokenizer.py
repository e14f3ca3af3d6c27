"""WordPiece, text to ids, on one thread: mlac and two versions of `tokenizers` in turns. The ids are compared before the rates are shown."""

import argparse
import os

import rig
from emails import all_lines

TARGET = 2.0  # our rate to that of the release candidate


def texts_file(num_messages):
    path = os.path.join(rig.DATA, "lines.txt")
    os.makedirs(rig.DATA, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in all_lines(num_messages))
    return path


def main():
    parser = argparse.ArgumentParser()
    for name in ("model", "stable", "candidate"):
        parser.add_argument("--" + name, required=True)  # stable, candidate: the Python of each environment, or why there is none
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    file = texts_file(1500 if options.quick else 6000)
    workers, failures = {"mlac": rig.ours()}, {}
    for name, python in (("tokenizers 0.22.2", options.stable), ("tokenizers 1.0.0rc3", options.candidate)):
        if os.path.exists(python):
            workers[name] = rig.Worker(name.replace(" ", "-"), [python, os.path.join(rig.FOLDER, "tokenizer_peer.py")])
        else:
            failures[name] = python
    ids, num_bytes = {}, {}

    def run(name, worker):
        output = os.path.join(rig.DATA, "output.ids")
        answer = worker.ask(op="tokenize", model=options.model, file=file, repeats=1, warmups=0, budget=0, output=output)
        with open(output, "rb") as found:
            ids[name] = found.read()
        num_bytes[name] = answer["bytes"]
        if ids[name] != ids["mlac"] or num_bytes[name] != num_bytes["mlac"]:
            raise rig.WorkerError("gives other ids than mlac: not timed")
        return [answer["bytes"] / seconds / 1e6 for seconds in answer["seconds"]]

    contestants = {name: lambda n=name, w=worker: run(n, w) for name, worker in workers.items()}
    for contestant in list(contestants):  # ids, and caches filled
        try:
            contestants[contestant]()
        except rig.WorkerError as error:
            failures[contestant] = str(error)
            del contestants[contestant]
    samples, failed = rig.take_turns(contestants, 3 if options.quick else 9)
    bound = TARGET if "tokenizers 1.0.0rc3" in samples else None
    line = rig.row("WordPiece, 1 thread", f"{num_bytes['mlac'] / 1e6:.1f} MB", samples, {**failures, **failed}, bound=bound,
                   higher_is_better=True, unit="MB/s", tokens=len(ids["mlac"]) // 4)
    rig.show(line)
    rig.save("tokenizer", options.quick, [line], 1, used=rig.versions("tokenizers"))
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    main()
