#!/usr/bin/env python3
"""Asks a running `mlac serve` with huggingface_hub's InferenceClient (environment `clients`) and compares with what `mlac run` printed.

    hub_client.py URL TASK TEXTS.json EXPECTED.json

URL: of the server or of one model, http://127.0.0.1:8080/models/NAME. TEXTS.json: a list of texts. EXPECTED.json: what `mlac run TASK --json`
printed for them (text-classification: with `--top-k all`; question-answering: the texts are contexts, --question the first of them;
zero-shot-classification: --labels cats,dogs). Values must have the bits of EXPECTED.json (compared as float32), for one text and, where the
client takes several, for two. Exit status 1 if anything differs; each difference is a line on stderr.
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


def expect_same_fields(found, expected, what):
    """found: the client's element. Fields that expected lacks are None in it."""
    for name, value in expected.items():
        if name == "score":
            expect_same_bits([found.score], [value], f"{what}: score")
        else:
            expect(getattr(found, name) == value, f"{what}: {name} is {getattr(found, name)!r}, not {value!r}")


def check_token_classification(client, texts, expected):
    for text, entities in zip(texts, expected):
        found = client.token_classification(text)
        expect(len(found) == len(entities), f"{text!r}: {len(found)} entities, {len(entities)} are expected")
        for element, entity in zip(found, entities):
            del entity["index"]  # which the client does not know
            expect_same_fields(element, entity, text)


def check_question_answering(client, texts, expected):
    for context, answer in zip(texts, expected):
        expect_same_fields(client.question_answering(question=texts[0], context=context), answer, context)
    several = client.question_answering(question=texts[0], context=texts[1], top_k=2)
    expect(isinstance(several, list) and len(several) <= 2, f"top_k=2 gives {several}")


def check_fill_mask(client, texts, expected):
    for text, words in zip(texts, expected):
        found = client.fill_mask(text)
        expect(len(found) == len(words), f"{text!r}: {len(found)} words, {len(words)} are expected")
        for element, word in zip(found, words):
            expect_same_fields(element, word, text)


def check_zero_shot_classification(client, texts, expected):
    for text, answer in zip(texts, expected):
        found = client.zero_shot_classification(text, candidate_labels=["cats", "dogs"])
        expect([element.label for element in found] == answer["labels"], f"{text!r}: the labels are {found}")
        expect_same_bits([element.score for element in found], answer["scores"], f"{text!r}: scores")


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
        "token-classification": check_token_classification,
        "question-answering": check_question_answering,
        "fill-mask": check_fill_mask,
        "zero-shot-classification": check_zero_shot_classification,
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
