"""Real e-mails: whole, by lines, and cut to 10 to 500 tokens, the mixed batch of the benchmarks. Fixture `spam-assassin`; its folder is in MLAC_BENCH_EMAILS."""

import glob
import os
import random
import re

SHORTEST, LONGEST = 10, 500  # in tokens, [CLS] and [SEP] included


def paths():
    """The messages, sorted by path."""
    found = sorted(glob.glob(os.path.join(os.environ["MLAC_BENCH_EMAILS"], "*", "*.txt")))
    if not found:
        raise FileNotFoundError(f"no *.txt below {os.environ['MLAC_BENCH_EMAILS']}")
    return found


def headers_and_body(raw):
    headers, _, text = raw.decode("utf-8", "replace").replace("\r\n", "\n").partition("\n\n")
    return headers, text


def body(raw):
    """What follows the headers, its white space made single spaces."""
    return " ".join(headers_and_body(raw)[1].split())


def subject(raw):
    """The first subject with the lines that continue it, its white space made single spaces; empty if there is none."""
    found = re.search(r"^subject:(.*(?:\n[ \t].*)*)", headers_and_body(raw)[0], re.IGNORECASE | re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def cut_emails(tokenizer, count):
    """The first `count` messages, in an order that a seed gives, of at least as many tokens as a length drawn from SHORTEST to LONGEST, cut there.

    tokenizer: of transformers; it says where in the text a token ends. The drawn length is reached but for a token or two, where the cut text
    ends within a word.
    """
    files = paths()
    choice = random.Random(0)
    choice.shuffle(files)
    texts = []
    for path in files:
        if len(texts) == count:
            break
        with open(path, "rb") as file:
            text = body(file.read())[:20000]
        length = choice.randint(SHORTEST, LONGEST)
        ends = [end for _, end in tokenizer(text, return_offsets_mapping=True, add_special_tokens=False, verbose=False)["offset_mapping"]]
        if len(ends) >= length - 2:
            texts.append(text[: ends[length - 3]])
    return texts


def all_lines(count):
    """The distinct non-empty lines of the bodies of the first `count` messages in file order, for tokenizers."""
    lines = {}
    for path in paths()[:count]:
        with open(path, "rb") as file:
            text = headers_and_body(file.read())[1]
        lines.update(dict.fromkeys(line for line in map(str.strip, text.replace("\r", "\n").splitlines()) if line))
    return list(lines)
