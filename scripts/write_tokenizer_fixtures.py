#!/usr/bin/env python3
"""Writes tests/data/text/: what the `tokenizers` wheel makes of many strings, as hashes that the tests of src/text compare with.

    pip install tokenizers==0.22.2
    python scripts/write_tokenizer_fixtures.py tests/data/text [--minilm FOLDER]

strings.json     fragments, ranges of scalars and a seed; tests/text/wheel_strings.h puts the same strings together from them as
                 `random_string` below does
vocab.txt        a small vocabulary, counted from the fragments
tokenizers.json  tokenizer.json of each configuration, without its vocabulary where that is vocab.txt
hashes.json      for each configuration, SHA-256 (first 8 bytes) over blocks of 100 random strings, of 4,096 scalar values, of 100
                 truncated pairs and of 100 decoded texts; with --minilm those of the real MiniLM tokenizer too, else kept

Nothing of mlac is run: the expected values are the wheel's alone.
"""
import argparse
import copy
import hashlib
import json
import os
import struct
from collections import Counter

import tokenizers
from tokenizers import Tokenizer, normalizers, pre_tokenizers

WHEEL = "0.22.2"
SEED = 20240611
NUM_STRINGS, NUM_PAIRS, BLOCK, SCALAR_BLOCK = 24000, 4000, 100, 4096
MASK = (1 << 64) - 1

FRAGMENTS = [
    # English, contractions, punctuation, numbers
    "the", "The", "THE", "of", "and", "to", "unaffable", "Washington", "don't", "can't", "I'm", "we've", "they're", "it's", "e-mail",
    "state-of-the-art", "running", "runner", "internationalization", "supercalifragilisticexpialidocious", "3.14159", "1,000,000",
    "2024-06-11", "$19.99", "50%", "a@b.example", "https://example.org/a_b?c=d&e=f#g", "C++", "f(x) = x^2", "...", "!?", "(", ")", "[", "]",
    "{", "}", "<", ">", "\"", "'", "`", "~", "|", "\\", "/", "+", "=", "*", "&", "#", "@", "_", "__init__", "snake_case", "camelCase",
    # special and added tokens inside a text
    "[MASK]", "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[mask]", "[ MASK ]", "[CLS] x", "[MASK][MASK]", "##ing", "##", "@@", "[E1]",
    "[E1]x", "[E2]",
    "[E3]", "[E4]", "[e4]", "tok", "token", "tokens", "Tok", "tokÉn", "token", "ABC", "abc", "ab", "stop", "nonstop", "stopped",
    "\u00a0[E1]",
    # Latin with accents, composed and not; ligatures; Turkish
    "café", "cafe\u0301", "naïve", "Ångström", "A\u030angström", "résumé", "Élève", "straße", "STRASSE", "GROẞ", "œuvre", "Œdipe",
    "ﬁnance", "oﬀice",
    "İstanbul", "ISPARTA", "ısırgan", "I\u0307", "i\u0307", "ĲSSEL", "ǅungla", "ŉ", "ǰ", "ΐ", "Tiếng Việt", "Tiê\u0301ng",
    "Q\u0307\u0323", "q\u0323\u0307",
    "s\u0323\u0307", "\u1e9b\u0323", "Łódź", "žluťoučký kůň", "Þórr", "Ñandú", "ñ", "n\u0303", "ÀÉÎÕÜ", "þ", "ð", "ſ", "K", "Å", "Ω",
    # Greek, Cyrillic, Armenian, Georgian, Cherokee, Deseret: cases
    "ΟΔΥΣΣΕΥΣ", "Ὀδυσσεύς", "ἄνθρωπος", "ᾳ", "ᾼ", "Привет", "МОСКВА", "ёлка", "Ёлка", "й", "и\u0306", "Ѿ", "ԱԲԳ", "աբգ", "Ⴀ", "ა", "Ა",
    "ᏣᎳᎩ", "ꭰ", "𐐀𐐨",
    # Hebrew, Arabic, Syriac, Thaana with points
    "שָׁלוֹם", "שלום", "\u05e9\u05bc\u05c1", "שּׁ", "العربية", "مُحَمَّد", "لا", "ﷺ", "ﻻ", "۱۲۳", "ܫܠܡܐ", "ދިވެހި",
    # Indic, South-East Asian, Tibetan, Ethiopic
    "हिन्दी", "क्षत्रिय", "क़", "ক\u09cbটি", "ক\u09c7\u09be", "தமிழ்", "కన్నడ", "ಕೋ", "മലയാളം", "සිංහල", "ไทย", "น้ำ", "ລາວ", "မြန်မာ",
    "ខ្មែរ", "བོད་ཡིག", "\u0f71\u0f72",
    "\u0f73", "\u0f75\u0f72", "\u0f81", "አማርኛ", "ᠮᠣᠩᠭᠣᠯ",
    # Chinese, Japanese, Korean
    "東京", "中文字符", "漢字かな交じり文", "カタカナ", "ｶﾞ", "が", "か\u3099", "ヴ", "한국어", "한", "\u1112\u1161\u11ab", "ㅎㅏㄴ", "가각", "\uac00\u11a8", "㍿",
    "㈱", "豈", "\ufa0e", "\U0002f800", "\U00020000",
    "\U0002a6df", "\U0002b81d", "\U0002b820", "\U0002ceb0", "\U00030000", "々", "〇", "「", "」", "。", "、", "・", "！", "ＡＢＣ", "ａｂｃ",
    # emoji, ZWJ, variation selectors, flags, keycaps, tags
    "😀", "👩‍👩‍👧‍👦", "👨🏽‍🚀", "❤️", "🏳️‍🌈", "🇩🇪", "1️⃣", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "©", "™", "→",
    "∞", "½", "²", "№", "€", "₿",
    # marks alone and in runs, in and out of canonical order, marks that are no nonspacing marks
    "\u0301", "\u0316\u0301", "\u0301\u0316", "a\u0315\u0300\u05ae\u0062", "\u0344", "\u0344\u0316", "a\u0316\u0344\u0316", "\u302e",
    "\u302f\u0301", "a\u302e\u0316\u302f",
    "\U0001d157\U0001d165", "\U0001d15e", "\U0001d160\U0001d165\u0316", "\u0340\u0341\u0343", "\u20dd", "\u0903", "\u0345\u0334",
    "\u0e38\u0e48", "\u0488",
    # white space and controls of all sorts
    " ", "  ", "\t", "\n", "\r", "\r\n", "\u000b", "\u000c", "\u0085", "\u00a0", "\u1680", "\u2000", "\u2003", "\u2028", "\u2029",
    "\u202f", "\u205f", "\u3000", "\u180e", "\u200b",
    "\u200c", "\u200d", "\u2060", "\ufeff", "\u0000", "\u0001", "\u001f", "\u007f", "\u0080", "\u009f", "\u00ad", "\u061c", "\u202a",
    "\u2066", "\ufffd", "\ufffe", "\uffff",
    "a\u0301\u0001\u0316b", "a\u00adb", "\ue000", "\U000f0000", "\U0010ffff", "\u0378", "\U000e0001", "\ufdd0",
    # mathematical, old and other planes
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "𝟘𝟙", "𒀀", "𓀀", "𐌰", "𞤀𞤢", "\U0001f100", "\u2160", "\u24b6", "Ⓐ",
]
# Where random scalars are drawn from; each range as often as the others.
RANGES = [
    (0x00, 0x7F), (0x80, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x52F), (0x531, 0x5FF), (0x600, 0x8FF), (0x900, 0xDFF),
    (0xE00, 0x109F),
    (0x10A0, 0x13FF), (0x1400, 0x1AFF), (0x1AB0, 0x1DFF), (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x20A0, 0x2BFF), (0x2C00, 0x2FFF),
    (0x3000, 0x33FF),
    (0x3400, 0x9FFF), (0xA000, 0xABFF), (0xAC00, 0xD7FF), (0xE000, 0xFAFF), (0xFB00, 0xFFFF), (0x10000, 0x10FFF), (0x11000, 0x12FFF),
    (0x16A00, 0x16FFF), (0x1B000, 0x1BCFF), (0x1D000, 0x1D7FF), (0x1E000, 0x1EFFF), (0x1F000, 0x1FAFF), (0x20000, 0x2FA1F), (0xE0000,
    0x10FFFF),
]
MARKS = [0x300, 0x301, 0x315, 0x316, 0x323, 0x327, 0x334, 0x338, 0x340, 0x344, 0x345, 0x5B0, 0x5BC, 0x64B, 0x651, 0x93C, 0xE38,
0xF71, 0xF72, 0xF73, 0xF75,
         0xF81, 0x1DCE, 0x20D0, 0x302A, 0x302E, 0x302F, 0x3099, 0x1D165, 0x1D16D, 0x1D160]
SEPARATORS = ["", "", " ", " ", "\t", "", ", "]


class SplitMix64:
    """Steele, Lea and Flood 2014, https://doi.org/10.1145/2660193.2660195."""

    def __init__(self, seed):
        self.state = seed & MASK

    def below(self, limit):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % limit


def random_string(index):
    random = SplitMix64(SEED + index)
    text = ""
    for _ in range(1 + random.below(10)):
        kind = random.below(8)
        if kind < 5:
            text += FRAGMENTS[random.below(len(FRAGMENTS))]
        elif kind == 5:
            begin, end = RANGES[random.below(len(RANGES))]
            text += chr(begin + random.below(end - begin + 1))
        elif kind == 6:
            for _ in range(1 + random.below(6)):
                text += chr(MARKS[random.below(len(MARKS))])
        else:
            fragment = FRAGMENTS[random.below(len(FRAGMENTS))]
            text += fragment * (1 + random.below(110 if random.below(8) == 0 else 5))
        text += SEPARATORS[random.below(len(SEPARATORS))]
    return text


def scalar_text(c):
    """The context of each scalar value: inside a word, alone, before and behind marks."""
    s = chr(c)
    return f"a{s}b {s} x\u0323{s}\u0301 {s}{s}"


def make_vocab():
    """Special tokens, then every scalar and the commonest substrings of the fragments, both as starts and as continuations."""
    counts, alphabet = Counter(), set()
    for lower in (True, False):
        normalizer = normalizers.BertNormalizer(lowercase=lower)
        for fragment in FRAGMENTS + list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"):
            for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normalizer.normalize_str(fragment)):
                alphabet.update(word)
                for begin in range(len(word)):
                    for end in range(begin + 2, min(len(word), begin + 12) + 1):
                        counts[("##" if begin else "") + word[begin:end]] += 1
    alphabet -= set("xyz")  # so that some words of the Latin alphabet are unknown too
    tokens = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += sorted(alphabet) + ["##" + c for c in sorted(alphabet)]
    tokens += [t for t, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:1800]]
    return list(dict.fromkeys(tokens))


def special(content, token_id):
    return dict(id=token_id, content=content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)


def make_tokenizers(vocab):
    """name -> tokenizer.json; a vocabulary of None stands for vocab.txt."""
    ids = {token: i for i, token in enumerate(vocab)}

    def piece(kind, name, type_id):
        return {kind: {"id": name, "type_id": type_id}}

    cls, sep = (lambda t: piece("SpecialToken", "[CLS]", t)), (lambda t: piece("SpecialToken", "[SEP]", t))
    base = {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [special(t, ids[t]) for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
        "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [cls(0), piece("Sequence", "A", 0), sep(0)],
            "pair": [cls(0), piece("Sequence", "A", 0), sep(0), piece("Sequence", "B", 1), sep(1)],
            "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": None},
    }

    def variant(normalizer=None, model=None, **fields):
        made = copy.deepcopy(base)
        made["normalizer"].update(normalizer or {})
        made["model"].update(model or {})
        made.update(fields)
        return made

    def added(content, **flags):
        return {**special(content, 0), "special": False, **flags}

    more = [
        added("[E1]", special=True, lstrip=True), added("[E2]", special=True, rstrip=True), added("[E3]", lstrip=True, rstrip=True),
        added("[E4]", normalized=True), added("[E1]x"), added("tok", single_word=True), added("tokÉn", normalized=True), added("tokens"),
        added("ABC", normalized=True, single_word=True), added("stop", single_word=True, lstrip=True, rstrip=True), added("\u00a0[E1]",
        lstrip=True),
        added("  ", rstrip=True), added("東", normalized=True, lstrip=True), added("ï", normalized=True), added("e\u0301", normalized=False),
        added("the", normalized=True, rstrip=True), added("ing", special=True, normalized=True),
    ]
    next_id = len(vocab)
    for token in more:
        if token["content"] in ids:
            token["id"] = ids[token["content"]]
        else:
            token["id"] = next_id
            next_id += 1
    bert = {"type": "BertProcessing", "sep": ["[SEP]", ids["[SEP]"]], "cls": ["[CLS]", ids["[CLS]"]]}
    odd_template = {
        "type": "TemplateProcessing",
        "single": [cls(3), cls(0), piece("Sequence", "A", 2)],
        "pair": [piece("Sequence", "B", 1), sep(1), cls(4), piece("Sequence", "A", 0)],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [ids["[CLS]"], 1], "tokens": ["[CLS]", "[unused0]"]},
                           "[SEP]": {"id": "[SEP]", "ids": [ids["[SEP]"]], "tokens": ["[SEP]"]}},
    }
    at_signs = {("@@" + t[2:] if t.startswith("##") else t): i for t, i in ids.items() if i < 700 or i % 3 == 0}
    return {
        "uncased": variant(),
        "cased": variant({"lowercase": False}, decoder={"type": "WordPiece", "prefix": "##", "cleanup": False}),
        "lower_with_accents": variant({"strip_accents": False}, post_processor=bert),
        "cased_without_accents": variant({"lowercase": False, "strip_accents": True}),
        "as_it_is": variant({"lowercase": False, "clean_text": False, "handle_chinese_chars": False}, post_processor=None, decoder=None),
        "uncleaned": variant({"clean_text": False}, post_processor=odd_template),
        "added_tokens": variant(added_tokens=base["added_tokens"] + more),
        "no_normalizer": variant(normalizer=None, added_tokens=base["added_tokens"] + more) | {"normalizer": None},
        "one_word": variant() | {"normalizer": None, "pre_tokenizer": None},
        "other_prefix": variant(model={"continuing_subword_prefix": "@@", "max_input_chars_per_word": 7, "vocab": at_signs}),
        "no_prefix": variant(model={"continuing_subword_prefix": ""}),
    }


SWEPT = ["uncased", "cased", "lower_with_accents", "cased_without_accents", "as_it_is", "added_tokens",
"one_word"]  # over every scalar value


def pack(encoding):
    ids = encoding.ids
    numbers = [len(ids), *ids, *encoding.type_ids]
    for begin, end in encoding.offsets:
        numbers += (begin, end)
    numbers += encoding.special_tokens_mask
    return struct.pack(f"<{len(numbers)}I", *numbers)


def hash_blocks(items, block, to_bytes):
    hashes, digest, count = [], hashlib.sha256(), 0
    for item in items:
        digest.update(to_bytes(item))
        count += 1
        if count == block:
            hashes.append(digest.hexdigest()[:16])
            digest, count = hashlib.sha256(), 0
    return hashes + ([digest.hexdigest()[:16]] if count else [])


def scalars():
    return (c for c in range(0x110000) if not 0xD800 <= c < 0xE000)


def hashes_of(tokenizer, strings, swept):
    tokenizer.no_truncation()
    tokenizer.no_padding()
    found = {"strings": hash_blocks(strings, BLOCK, lambda s: pack(tokenizer.encode(s)))}
    if swept:
        found["scalars"] = hash_blocks(scalars(), SCALAR_BLOCK, lambda c: pack(tokenizer.encode(scalar_text(c))))

    def decoded(s):
        ids = tokenizer.encode(s).ids
        return (tokenizer.decode(ids) + "\n" + tokenizer.decode(ids, skip_special_tokens=False) + "\n").encode()

    found["decoded"] = hash_blocks(strings[:NUM_PAIRS], BLOCK, decoded)

    def pair(i):
        random = SplitMix64(i)
        tokenizer.enable_truncation(3 + random.below(40), strategy="longest_first")
        return pack(tokenizer.encode(strings[i], strings[i + 1], add_special_tokens=random.below(4) != 0))

    found["pairs"] = hash_blocks(range(NUM_PAIRS), BLOCK, pair)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--minilm", help="the folder of the real MiniLM model")
    arguments = parser.parse_args()
    assert tokenizers.__version__ == WHEEL, f"expected tokenizers {WHEEL}, found {tokenizers.__version__}"

    strings = [random_string(i) for i in range(NUM_STRINGS)]
    vocab = make_vocab()
    configurations = make_tokenizers(vocab)
    path = os.path.join(arguments.out, "hashes.json")
    hashes = {}
    if os.path.exists(path):
        with open(path, encoding="ascii") as file:
            hashes = {name: found for name, found in json.load(file).items() if name == "minilm"}
    for name, configuration in configurations.items():
        full = copy.deepcopy(configuration)
        if full["model"]["vocab"] is None:
            full["model"]["vocab"] = {token: i for i, token in enumerate(vocab)}
        tokenizer = Tokenizer.from_str(json.dumps(full))
        for token in full["added_tokens"]:  # the fixture's own ids are those that the wheel gives
            assert tokenizer.token_to_id(token["content"]) == token["id"], (name, token)
        hashes[name] = hashes_of(tokenizer, strings, name in SWEPT)
        print(name, flush=True)
    if arguments.minilm:
        hashes["minilm"] = hashes_of(Tokenizer.from_file(os.path.join(arguments.minilm, "tokenizer.json")), strings, True)
    hashes["texts"] = {"strings": hash_blocks(strings, BLOCK, lambda s: s.encode() + b"\0")}

    def write(name, content):
        with open(os.path.join(arguments.out, name), "w", encoding="utf-8", newline="\n") as file:
            file.write(content)

    write("strings.json",
    json.dumps({"seed": SEED, "num_strings": NUM_STRINGS, "num_pairs": NUM_PAIRS, "block": BLOCK, "scalar_block": SCALAR_BLOCK,
                                      "fragments": FRAGMENTS, "ranges": RANGES, "marks": MARKS, "separators": SEPARATORS}) + "\n")
    write("vocab.txt", "".join(token + "\n" for token in vocab))
    write("tokenizers.json", json.dumps(configurations) + "\n")
    write("hashes.json", json.dumps(hashes, indent=0) + "\n")


if __name__ == "__main__":
    main()
