#!/usr/bin/env python3
"""Makes data for sentence embeddings and cross-encoders from WordNet's data.noun: the words of a sense and its gloss belong together.

    scripts/wordnet_pairs.py DATA_NOUN OUT_FOLDER

pairs-train.csv (2,000 rows) and pairs-test.csv (1,000): anchor (the words, apart by commas) and positive (the gloss up to its first ';').
ranking-train.jsonl (1,000 queries) and ranking-test.jsonl (500): query (the words), positive (the gloss) and negatives (the glosses of the four senses that
stand next to it in the file, which are about similar things). Senses are shuffled with seed 0; no words and no gloss stand twice, and none of the tests in
training. The same data.noun gives the same bytes.
"""

import csv
import io
import json
import os
import random
import sys

NUM_TRAIN_PAIRS, NUM_TEST_PAIRS, NUM_TRAIN_QUERIES, NUM_TEST_QUERIES = 2000, 1000, 1000, 500


def read_senses(path):
    """(words, gloss) of each synset, in file order."""
    with open(path, encoding="ascii") as lines:
        for number, line in enumerate(lines, start=1):
            if line.startswith("  "):  # the licence
                continue
            fields, bar, gloss = line.partition("|")
            fields = fields.split(" ")
            if not bar or len(fields) < 5:
                raise ValueError(f"{path}, line {number}: no synset of data.noun")
            # wndb(5WN): offset, lexicographer file, type, number of words in hexadecimal, then each word with its number
            words = [fields[4 + 2 * i].replace("_", " ") for i in range(int(fields[3], 16))]
            yield ", ".join(words), gloss.partition(";")[0].strip()


def write(path, text):
    partial = path + ".partial"
    with open(partial, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.replace(partial, path)


def write_csv(path, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["anchor", "positive"])
    writer.writerows(rows)
    write(path, text.getvalue())


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: wordnet_pairs.py DATA_NOUN OUT_FOLDER")
    data_noun, folder = sys.argv[1:]
    senses, words_seen, glosses_seen = [], set(), set()
    for words, gloss in read_senses(data_noun):
        if words not in words_seen and gloss not in glosses_seen:
            senses.append((words, gloss))
            words_seen.add(words)
            glosses_seen.add(gloss)
    order = list(range(2, len(senses) - 2))
    random.Random(0).shuffle(order)
    rows = iter(order)
    take = lambda count: [next(rows) for _ in range(count)]
    os.makedirs(folder, exist_ok=True)
    for name, count in (("train", NUM_TRAIN_PAIRS), ("test", NUM_TEST_PAIRS)):
        write_csv(os.path.join(folder, f"pairs-{name}.csv"), [senses[i] for i in take(count)])
    for name, count in (("train", NUM_TRAIN_QUERIES), ("test", NUM_TEST_QUERIES)):
        lines = []
        for i in take(count):
            negatives = [senses[i + k][1] for k in (-2, -1, 1, 2)]
            lines.append(json.dumps({"query": senses[i][0], "positive": senses[i][1], "negatives": negatives}) + "\n")
        write(os.path.join(folder, f"ranking-{name}.jsonl"), "".join(lines))
    print(
        f"{len(senses):,} senses with words and a gloss of their own; {NUM_TRAIN_PAIRS:,} pairs to train, {NUM_TEST_PAIRS:,} to test; "
        f"{NUM_TRAIN_QUERIES:,} queries to train, {NUM_TEST_QUERIES:,} to test"
    )


if __name__ == "__main__":
    main()
