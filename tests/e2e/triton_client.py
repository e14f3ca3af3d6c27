#!/usr/bin/env python3
"""Asks a running `mlac serve` with tritonclient.http (environment `clients`) and compares with what `mlac run` printed.

    triton_client.py HOST:PORT MODEL TASK TEXTS.json EXPECTED.json

TASK: feature-extraction or text-classification. TEXTS.json: a list of texts. EXPECTED.json: what `mlac run TASK --json` printed for them
(text-classification: with `--top-k all`). Values must have the bits of EXPECTED.json, for one text and for two, in JSON and in binary both
ways. Exit status 1 if anything differs; each difference is a line on stderr.
"""

import importlib.metadata
import json
import sys

import numpy
import tritonclient.http
from tritonclient.utils import InferenceServerException

differences = 0


def expect(holds, message):
    global differences
    if not holds:
        differences += 1
        print(message, file=sys.stderr)


def expect_same_bits(found, expected, what):
    expected = numpy.asarray(expected, dtype=numpy.float32)
    same = found.dtype == numpy.float32 and found.shape == expected.shape and found.tobytes() == expected.tobytes()
    expect(same, f"{what}: {found.tolist()} is not {expected.tolist()}")


def infer(client, model, texts, names, binary):
    tensor = tritonclient.http.InferInput("text", [len(texts)], "BYTES")
    tensor.set_data_from_numpy(numpy.array([text.encode() for text in texts], dtype=object), binary_data=binary)
    outputs = [tritonclient.http.InferRequestedOutput(name, binary_data=binary) for name in names]
    return client.infer(model, [tensor], outputs=outputs, request_id="7")


def check_texts(client, model, task, texts, expected, labels):
    for binary in (True, False):
        what = f"{len(texts)} texts, {'binary' if binary else 'JSON'}"
        if task == "feature-extraction":
            answer = infer(client, model, texts, ["embedding"], binary)
            expect_same_bits(answer.as_numpy("embedding"), expected, what)
        else:
            answer = infer(client, model, texts, ["scores", "label"], binary)
            expect_same_bits(answer.as_numpy("scores"), [[entry[label] for label in labels] for entry in expected], what)
            found = [label.decode() if isinstance(label, bytes) else label for label in answer.as_numpy("label")]
            expect(found == [max(entry, key=entry.get) for entry in expected], f"{what}: the labels are {found}")
        response = answer.get_response()
        expect(response["id"] == "7" and response["model_name"] == model, f"{what}: id and model are {response}")


def main():
    if len(sys.argv) != 6:
        sys.exit("usage: " + __doc__.split("\n\n")[1].strip())
    address, model, task, texts_path, expected_path = sys.argv[1:]
    with open(texts_path, encoding="utf-8") as file:
        texts = json.load(file)
    with open(expected_path, encoding="utf-8") as file:
        expected = json.load(file)
    client = tritonclient.http.InferenceServerClient(address)
    expect(client.is_server_live() and client.is_server_ready() and client.is_model_ready(model), "not live and ready")
    expect(client.is_model_ready(model, "1"), "version 1 is not ready")
    expect("binary_tensor_data" in client.get_server_metadata()["extensions"], "the server does not name its binary extension")
    metadata = client.get_model_metadata(model)
    expect(metadata["name"] == model and metadata["inputs"][0]["name"] == "text", f"the metadata is {metadata}")
    labels = []
    if task == "text-classification":
        # Scores stand in the order of the labels' ids, which the answers do not tell: one answer of the server says which score is whose.
        probe = infer(client, model, texts[:1], ["scores"], False).as_numpy("scores")[0]
        scores = {numpy.float32(entry["score"]): entry["label"] for entry in expected[0]}
        labels = [scores.get(score, "?") for score in probe]
        expected = [{entry["label"]: entry["score"] for entry in answer} for answer in expected]
        expect("?" not in labels, f"the scores of the first text are {probe.tolist()}; {expected[0]} is expected")
    if differences == 0:
        check_texts(client, model, task, texts[:1], expected[:1], labels)
        check_texts(client, model, task, texts[:2], expected[:2], labels)
    for call in (lambda: client.get_model_metadata("no-such-model"), lambda: infer(client, model, [""], [], True)):
        try:
            call()
            expect(False, "a wrong request is answered; InferenceServerException is expected")
        except InferenceServerException as error:
            expect(bool(error.message()), "an error without a message")
    print(f"{task}, tritonclient {importlib.metadata.version('tritonclient')}: {'0 bits different' if differences == 0 else f'{differences} differences'}")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
