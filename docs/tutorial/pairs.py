#!/usr/bin/env python3
"""Writes the data of docs/comparing-texts.md into a folder, from messages.csv beside this script: the same on every machine.

    pairs.py FOLDER

nli.csv: each message with two statements about its topic, one that follows from it and one that does not. ranking.jsonl: each message as a query, with two
messages of its topic as what answers it and one of each other topic as what does not.
"""

import csv
import json
import os
import sys


def main():
    folder = sys.argv[1]
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "messages.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    topics = sorted({row["topic"] for row in rows})
    with open(os.path.join(folder, "nli.csv"), "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["premise", "hypothesis", "label"])
        for i, row in enumerate(rows):
            other = topics[(topics.index(row["topic"]) + 1 + i % (len(topics) - 1)) % len(topics)]
            writer.writerow([row["text"], f"This message is about {row['topic']}.", "entailment"])
            writer.writerow([row["text"], f"This message is about {other}.", "not_entailment"])
    texts = {topic: [row["text"] for row in rows if row["topic"] == topic] for topic in topics}
    with open(os.path.join(folder, "ranking.jsonl"), "w", encoding="utf-8") as file:
        for topic in topics:
            own = texts[topic]
            for i, query in enumerate(own):
                negatives = [texts[other][(i + 7 * k) % len(texts[other])] for k, other in enumerate(topics) if other != topic]
                file.write(json.dumps({"query": query, "positive": [own[(i + 1) % len(own)], own[(i + 5) % len(own)]], "negatives": negatives}) + "\n")


if __name__ == "__main__":
    main()
