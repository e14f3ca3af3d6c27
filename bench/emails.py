"""Real e-mails cut to 10 to 500 tokens: the mixed batch of the benchmarks. Fixture `spam-assassin`; its folder is in MLAC_BENCH_EMAILS."""

import glob
import os
import random

SHORTEST, LONGEST = 10, 500  # in tokens, [CLS] and [SEP] included


def body(raw):
    """What follows the headers, its white space made single spaces."""
    text = raw.decode("utf-8", "replace").replace("\r\n", "\n")
    return " ".join(text.partition("\n\n")[2].split())


def cut_emails(tokenizer, count):
    """The first `count` messages, in an order that a seed gives, of at least as many tokens as a length drawn from SHORTEST to LONGEST, cut there.

    tokenizer: of transformers; it says where in the text a token ends. The drawn length is reached but for a token or two, where the cut text
    ends within a word.
    """
    files = sorted(glob.glob(os.path.join(os.environ["MLAC_BENCH_EMAILS"], "*", "*.txt")))
    if not files:
        raise FileNotFoundError(f"no *.txt below {os.environ['MLAC_BENCH_EMAILS']}")
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
    for path in sorted(glob.glob(os.path.join(os.environ["MLAC_BENCH_EMAILS"], "*", "*.txt")))[:count]:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8", "replace").replace("\r\n", "\n").partition("\n\n")[2]
        lines.update(dict.fromkeys(line for line in map(str.strip, text.replace("\r", "\n").splitlines()) if line))
    return list(lines)
