"""A peer of `dev bench tokenizer`: one version of the `tokenizers` library, on one core (environments `rivals` and `tokenizers-rc`)."""

import array
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tokenizers  # noqa: E402  it reads the environment


def open_tokenizer(folder):
    """A function from texts to encodings, without padding or truncation, the way of this version that does least."""
    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    if hasattr(tokenizer, "encode_batch_fast"):  # 0.20 and later: leaves out offsets
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer.encode_batch_fast
    return lambda texts: tokenizer.encode_batch(texts, padding=None, truncation=None)


def answer(command):
    encode = open_tokenizer(command["model"])
    with open(command["file"], encoding="utf-8", newline="\n") as file:
        texts = file.read().split("\n")[:-1]
    encodings, seconds, start = [], [], time.perf_counter()
    while len(seconds) < command["repeats"] or time.perf_counter() - start < command["budget"]:
        begin = time.perf_counter()
        encodings = encode(texts)
        seconds.append(time.perf_counter() - begin)
    ids = array.array("i")
    for encoding in encodings:
        ids.extend(encoding.ids)
        ids.append(-1)
    with open(command["output"], "wb") as file:
        ids.tofile(file)
    return {"seconds": seconds, "bytes": sum(len(text.encode()) for text in texts), "version": tokenizers.__version__}


for line in sys.stdin:
    try:
        result = answer(json.loads(line))
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    print(json.dumps(result), flush=True)
