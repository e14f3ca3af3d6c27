"""Makes the two files of the run on e-mails, train.csv (2,000 messages) and test.csv (the next 1,000), from the fixture `spam-assassin`.

    MLAC_BENCH_EMAILS=FOLDER bench/spam_csv.py OUT_FOLDER

Columns: text (subject and body, without the other headers; white space made single spaces) and label (ham or spam, by the folder of the message).
Messages are taken in the order of their paths and shuffled with seed 0. The same fixture gives the same bytes.
"""

import collections
import csv
import os
import random
import sys

from emails import body, paths, subject

NUM_TRAIN, NUM_TEST = 2000, 1000


def row(path):
    with open(path, "rb") as file:
        raw = file.read()
    label = "spam" if os.path.basename(os.path.dirname(path)).startswith("spam") else "ham"
    return f"{subject(raw)} {body(raw)}".strip(), label


def write_csv(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("text", "label"), *rows])
    shares = ", ".join(f"{count / len(rows):.3f} {label}" for label, count in sorted(collections.Counter(label for _, label in rows).items()))
    print(f"{os.path.basename(path)}: {len(rows):,} rows, {shares}")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: spam_csv.py OUT_FOLDER")
    messages = paths()
    random.Random(0).shuffle(messages)
    os.makedirs(sys.argv[1], exist_ok=True)
    write_csv(os.path.join(sys.argv[1], "train.csv"), [row(path) for path in messages[:NUM_TRAIN]])
    write_csv(os.path.join(sys.argv[1], "test.csv"), [row(path) for path in messages[NUM_TRAIN : NUM_TRAIN + NUM_TEST]])


if __name__ == "__main__":
    main()
