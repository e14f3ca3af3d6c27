#!/usr/bin/env python3
"""Makes the two files of the WordNet run, train.csv (6,000 glosses) and test.csv (2,000), from WordNet's data.noun.

    scripts/wordnet_csv.py DATA_NOUN OUT_FOLDER

Columns: text (the gloss up to its first ';') and label (the topic: WordNet's lexicographer file, without the prefix 'noun.').
The topic Tops is left out: it holds the 51 roots of the hierarchy. Rows are taken in file order and shuffled with seed 0; of equal texts
the first is kept. The same data.noun gives the same bytes.
"""

import collections
import csv
import io
import os
import random
import sys

# lexnames(5WN): the number of a lexicographer file is the second field of a line of data.noun.
TOPICS = {
    4: "act",
    5: "animal",
    6: "artifact",
    7: "attribute",
    8: "body",
    9: "cognition",
    10: "communication",
    11: "event",
    12: "feeling",
    13: "food",
    14: "group",
    15: "location",
    16: "motive",
    17: "object",
    18: "person",
    19: "phenomenon",
    20: "plant",
    21: "possession",
    22: "process",
    23: "quantity",
    24: "relation",
    25: "shape",
    26: "state",
    27: "substance",
    28: "time",
}
TOPS = 3
NUM_TRAIN, NUM_TEST = 6000, 2000


def read_glosses(path):
    """(text, topic) of each synset, in file order."""
    with open(path, encoding="ascii") as lines:
        for number, line in enumerate(lines, start=1):
            if line.startswith("  "):  # the licence
                continue
            fields, bar, gloss = line.partition("|")
            words = fields.split(" ", 2)
            if not bar or len(words) < 3 or not words[1].isdigit():
                raise ValueError(f"{path}, line {number}: no synset of data.noun")
            topic = int(words[1])
            if topic != TOPS:
                yield gloss.partition(";")[0].strip(), TOPICS[topic]


def write_csv(path, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["text", "label"])
    writer.writerows(rows)
    partial = path + ".partial"
    with open(partial, "w", encoding="utf-8", newline="") as file:
        file.write(text.getvalue())
    os.replace(partial, path)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: wordnet_csv.py DATA_NOUN OUT_FOLDER")
    data_noun, folder = sys.argv[1:]
    rows = list(read_glosses(data_noun))
    random.Random(0).shuffle(rows)
    first = {}
    for text, topic in rows:
        first.setdefault(text, topic)
    rows = list(first.items())
    if len(rows) < NUM_TRAIN + NUM_TEST:
        sys.exit(f"{data_noun}: {len(rows)} distinct glosses; {NUM_TRAIN + NUM_TEST} are needed")
    train, test = rows[:NUM_TRAIN], rows[NUM_TRAIN : NUM_TRAIN + NUM_TEST]
    os.makedirs(folder, exist_ok=True)
    write_csv(os.path.join(folder, "train.csv"), train)
    write_csv(os.path.join(folder, "test.csv"), test)
    label, count = collections.Counter(topic for _, topic in test).most_common(1)[0]
    print(
        f"{len(rows):,} distinct glosses, {len(set(first.values()))} topics; train.csv {len(train):,} rows, test.csv {len(test):,} rows; "
        f"largest class of test.csv: {label}, {count / len(test):.3f}"
    )


if __name__ == "__main__":
    main()
