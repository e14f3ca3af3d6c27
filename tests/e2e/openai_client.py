#!/usr/bin/env python3
"""Asks a running `mlac serve` with the official openai package (environment `clients`) and compares with what `mlac run` printed.

    openai_client.py BASE_URL TEXTS EXPECTED.json [--out VECTORS.json] [--api-key KEY] [--model NAME]

BASE_URL: as a user gives it to the client, http://127.0.0.1:8080/v1. TEXTS: one text a line, or a .json list. EXPECTED.json: what
`mlac run feature-extraction --json` printed for them, [[...], ...]. The vectors must have the bits of EXPECTED.json (compared as float32),
in base64 (the client's default) and as decimals, all texts in one request and each alone. --out writes the vectors that came, as decimals
that read back as the same float32. --model: which one of several. Also checked: models.list, the counts of tokens, and that an empty input
raises BadRequestError. Exit status 1 if anything differs; each difference is a line on stderr.
"""

import argparse
import json
import sys

import numpy
import openai

differences = 0


def expect(holds, message):
    global differences
    if not holds:
        differences += 1
        print(message, file=sys.stderr)


def read_texts(path):
    with open(path, encoding="utf-8", newline="") as file:
        if path.endswith(".json"):
            return json.load(file)
        lines = file.read().split("\n")
        return lines[:-1] if lines[-1] == "" else lines


def expect_same_bits(found, expected, what):
    """found, expected: [S, D]."""
    found, expected = numpy.asarray(found, dtype=numpy.float32), numpy.asarray(expected, dtype=numpy.float32)
    if found.shape != expected.shape:
        expect(False, f"{what}: the vectors have the shape {list(found.shape)}; {list(expected.shape)} is expected")
        return
    different = numpy.argwhere(found.view(numpy.uint32) != expected.view(numpy.uint32))
    if len(different):
        text, index = different[0]
        expect(
            False,
            f"{what}: {len(different)} of {found.size} values differ; the first is [{text}][{index}]: {found[text, index]!r}, "
            f"expected {expected[text, index]!r}",
        )


def vectors_of(response, num_texts, what):
    expect([entry.index for entry in response.data] == list(range(num_texts)), f"{what}: the indices are not 0 to {num_texts - 1}")
    expect(response.object == "list" and all(entry.object == "embedding" for entry in response.data), f"{what}: wrong field 'object'")
    expect(
        response.usage.prompt_tokens >= num_texts and response.usage.total_tokens == response.usage.prompt_tokens,
        f"{what}: usage is {response.usage}",
    )
    return [entry.embedding for entry in response.data]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("base_url")
    parser.add_argument("texts")
    parser.add_argument("expected")
    parser.add_argument("--out")
    parser.add_argument("--api-key", default="none")
    parser.add_argument("--model")
    arguments = parser.parse_args()
    texts = read_texts(arguments.texts)
    with open(arguments.expected, encoding="utf-8") as file:
        expected = json.load(file)
    expect(len(texts) == len(expected), f"{arguments.texts} has {len(texts)} texts, {arguments.expected} {len(expected)} vectors")

    client = openai.OpenAI(base_url=arguments.base_url, api_key=arguments.api_key, max_retries=0, timeout=60)
    models = client.models.list().data
    if arguments.model:
        expect(arguments.model in [entry.id for entry in models], f"models.list: {arguments.model} is expected, found {models}")
    else:
        expect(len(models) == 1 and models[0].id and models[0].object == "model", f"models.list: one model is expected, found {models}")
    model = arguments.model or models[0].id
    expect(client.models.retrieve(model).id == model, f"models.retrieve: does not give {model!r}")

    as_base64 = client.embeddings.create(model=model, input=texts)
    as_floats = client.embeddings.create(model=model, input=texts, encoding_format="float")
    vectors = vectors_of(as_base64, len(texts), "base64")
    expect_same_bits(vectors, expected, "base64")
    expect_same_bits(vectors_of(as_floats, len(texts), "float"), expected, "float")
    expect(as_base64.usage.prompt_tokens == as_floats.usage.prompt_tokens, "base64 and float count other tokens")
    num_tokens = 0
    for text, vector in zip(texts, expected):
        alone = client.embeddings.create(model=model, input=text)
        expect_same_bits(vectors_of(alone, 1, f"alone, {text!r}"), [vector], f"alone, {text!r}")
        num_tokens += alone.usage.prompt_tokens
    expect(num_tokens == as_base64.usage.prompt_tokens, f"{num_tokens} tokens one by one, {as_base64.usage.prompt_tokens} together")
    if arguments.out:
        with open(arguments.out, "w", encoding="utf-8") as file:
            json.dump(numpy.asarray(vectors, dtype=numpy.float32).astype(numpy.float64).tolist(), file)  # widening is exact

    try:
        client.embeddings.create(model=model, input=[])
        expect(False, "an empty input is answered; BadRequestError is expected")
    except openai.APIStatusError as error:
        expect(isinstance(error, openai.BadRequestError), f"an empty input raises {type(error).__name__}; BadRequestError is expected")
        expect(
            isinstance(error.body, dict) and error.body.get("message") and error.type == "invalid_request_error",
            f"an empty input: the error's body is {error.body}; message and type invalid_request_error are expected",
        )
        expect(bool(error.request_id), "an empty input: no x-request-id")

    print(
        f"{len(texts)} texts, openai {openai.__version__}, model {model}: {'0 bits different' if differences == 0 else f'{differences} differences'}"
    )
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
