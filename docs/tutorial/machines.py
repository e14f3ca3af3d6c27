#!/usr/bin/env python3
"""Writes the data of docs/spans-and-masks.md into a folder: made-up reports about machines, the same on every machine.

    machines.py FOLDER

machines.json, machines_test.json: questions about reports in SQuAD 2.0's format, every fourth without an answer. reports.txt: reports, one a line.
parts.jsonl, parts_test.jsonl: reports with the machines and people in them as spans of characters.
"""

import json
import os
import random
import sys

KINDS = ["pump", "press", "lathe", "boiler", "crane", "mill", "saw", "compressor"]
NAMES = ["Anna Weber", "José Martín", "Lena Fuchs", "Omar Haddad", "Mei Tanaka", "Paul Jansen", "Ruth Olsen", "Ivan Petrov"]
PLACES = ["in hall 3", "beside the north gate", "on the second floor", "behind the paint shop", "in the old foundry", "next to the loading ramp"]
MONTHS = ["January", "March", "April", "June", "August", "October", "December"]
FAULTS = ["a worn bearing", "a leaking valve", "a cracked belt", "a loose cable", "a broken gauge", "too much vibration"]


def report(rng):
    """Sentences about one machine, in any order, and what they say."""
    machine = f"{rng.choice(KINDS)} {rng.choice('KLMNPRT')}{rng.randrange(10, 99)}"
    facts = {
        "name": rng.choice(NAMES),
        "place": rng.choice(PLACES),
        "month": f"{rng.choice(MONTHS)} {rng.randrange(2015, 2026)}",
        "fault": rng.choice(FAULTS),
    }
    sentences = [
        f"The {machine} stands {facts['place']}.",
        f"It was last serviced in {facts['month']}.",
        f"{facts['name']} found {facts['fault']}.",
    ]
    first, rest = sentences[0], sentences[1:]
    rng.shuffle(rest)
    return machine, facts, " ".join([first, *rest])


def questions(machine, facts, text, number):
    def answer(key):
        return {"text": facts[key], "answer_start": text.index(facts[key])}

    asked = [
        (f"Where does the {machine} stand?", "place"),
        (f"When was the {machine} last serviced?", "month"),
        (f"What is wrong with the {machine}?", "fault"),
        (f"How much did the {machine} cost?", None),
    ]
    for index, (question, key) in enumerate(asked):
        yield {"id": f"{number}-{index}", "question": question, "answers": [answer(key)] if key else [], "is_impossible": key is None}


def spans(machine, facts, text):
    found = []
    for label, part in (("MACHINE", machine), ("PERSON", facts["name"])):
        start = text.index(part)
        found.append({"start": start, "end": start + len(part), "label": label})
    return found


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    rng = random.Random(0)
    for name, entities, count in (("machines.json", "parts.jsonl", 160), ("machines_test.json", "parts_test.jsonl", 40)):
        reports = [report(rng) for _ in range(count)]
        paragraphs = [{"context": text, "qas": list(questions(machine, facts, text, number))} for number, (machine, facts, text) in enumerate(reports)]
        with open(os.path.join(sys.argv[1], name), "w", encoding="utf-8") as file:
            json.dump({"version": "v2.0", "data": [{"title": "machines", "paragraphs": paragraphs}]}, file, ensure_ascii=False)
        with open(os.path.join(sys.argv[1], entities), "w", encoding="utf-8") as file:
            for machine, facts, text in reports:
                file.write(json.dumps({"text": text, "entities": spans(machine, facts, text)}, ensure_ascii=False) + "\n")
    with open(os.path.join(sys.argv[1], "reports.txt"), "w", encoding="utf-8") as file:
        for _ in range(600):
            file.write(report(rng)[2] + "\n")


if __name__ == "__main__":
    main()
