#!/usr/bin/env python3
"""Asks a running `mlac serve` with huggingface_hub's InferenceClient (environment `clients`) and compares with what `mlac run` printed.

    hub_client.py URL TASK TEXTS.json EXPECTED.json

URL: of the server or of one model, http://127.0.0.1:8080/models/NAME. TASK: feature-extraction, sentence-similarity or text-classification.
TEXTS.json: a list of texts. EXPECTED.json: what `mlac run TASK --json` printed for them (text-classification: with `--top-k all`). Values must
have the bits of EXPECTED.json (compared as float32), for one text and for two. Exit status 1 if anything differs; each difference is a line
on stderr.
"""

import json
import sys

import huggingface_hub
import numpy

differences = 0


def expect_same_bits(found, expected, what):
    global differences
    found, expected = numpy.asarray(found, dtype=numpy.float32), numpy.asarray(expected, dtype=numpy.float32)
    if found.shape != expected.shape or not numpy.array_equal(found.view(numpy.uint32), expected.view(numpy.uint32)):
        differences += 1
        print(f"{what}: {found.tolist()} is not {expected.tolist()}", file=sys.stderr)


def expect(holds, message):
    global differences
    if not holds:
        differences += 1
        print(message, file=sys.stderr)


def check_feature_extraction(client, texts, expected):
    for text, vector in zip(texts, expected):
        expect_same_bits(client.feature_extraction(text), [vector], f"{text!r} alone")
    expect_same_bits(client.feature_extraction(texts[:2]), expected[:2], "two texts")
    lengths = numpy.linalg.norm(client.feature_extraction(texts[:2], normalize=True), axis=1)
    expect(numpy.allclose(lengths, 1, atol=1e-6), f"normalize=True gives vectors of the lengths {lengths}")


def check_sentence_similarity(client, texts, expected):
    expect_same_bits(client.sentence_similarity(texts[0], other_sentences=texts[1:2]), expected[:1], "one sentence")
    expect_same_bits(client.sentence_similarity(texts[0], other_sentences=texts[1:]), expected, "all sentences")


def check_text_classification(client, texts, expected):
    for text, answer in zip(texts, expected):
        found = client.text_classification(text)
        expect([entry.label for entry in found] == [entry["label"] for entry in answer], f"{text!r}: the labels are {found}")
        expect_same_bits([entry.score for entry in found], [entry["score"] for entry in answer], f"{text!r}: scores")
        best = client.text_classification(text, top_k=1)
        expect(len(best) == 1 and best[0].label == answer[0]["label"], f"{text!r}, top_k=1: {best}")
        raw = client.text_classification(text, function_to_apply="none")
        expect([entry.label for entry in raw] == [entry["label"] for entry in answer], f"{text!r}: the labels by logits are {raw}")


def main():
    if len(sys.argv) != 5:
        sys.exit("usage: " + __doc__.split("\n\n")[1].strip())
    url, task, texts_path, expected_path = sys.argv[1:]
    with open(texts_path, encoding="utf-8") as file:
        texts = json.load(file)
    with open(expected_path, encoding="utf-8") as file:
        expected = json.load(file)
    client = huggingface_hub.InferenceClient(model=url, timeout=60)
    check = {
        "feature-extraction": check_feature_extraction,
        "sentence-similarity": check_sentence_similarity,
        "text-classification": check_text_classification,
    }[task]
    check(client, texts, expected)
    try:
        client.feature_extraction([])
        expect(False, "an empty list is answered; an error is expected")
    except huggingface_hub.errors.HfHubHTTPError as error:
        expect(error.response.status_code in (400, 422), f"an empty list gives the status {error.response.status_code}")
    print(f"{task}, huggingface_hub {huggingface_hub.__version__}: {'0 bits different' if differences == 0 else f'{differences} differences'}")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
