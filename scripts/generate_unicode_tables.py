#!/usr/bin/env python3
"""Writes src/text/unicode_tables.cc: what the `tokenizers` wheel makes of every Unicode scalar value.

    pip install tokenizers==0.22.2
    python scripts/generate_unicode_tables.py src/text/unicode_tables.cc

Each property is asked of the wheel's own normalisers and pre-tokenisers, one scalar value at a time (1,112,064 of them), because
its Unicode tables are of several versions at once (its normaliser's are of Unicode 9). Combining classes cannot be asked for
directly: which of two marks comes first after NFD gives their order, and the order is all that NFD needs.
"""
import sys

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

WHEEL = "0.22.2"
REMOVED, SPACE, CHINESE, NONSPACING_MARK, WHITE_SPACE, PUNCTUATION, WORD, HANGUL = (1 << i for i in range(8))
NUM_SCALARS = 0x110000


def bert(clean=False, chinese=False, accents=False, lower=False):
    return normalizers.BertNormalizer(clean_text=clean, handle_chinese_chars=chinese, strip_accents=accents, lowercase=lower)


CLEAN, SPACED, STRIP, LOWER, NFD = bert(clean=True), bert(chinese=True), bert(accents=True), bert(lower=True), normalizers.NFD()
SPLIT = pre_tokenizers.BertPreTokenizer()


def scalars():
    return (c for c in range(NUM_SCALARS) if not 0xD800 <= c < 0xE000)


def added_token_probe(**flags):
    """A tokenizer whose only word is 'b' (id 1) and whose added token is 'zz' (id 2)."""
    probe = Tokenizer(models.WordPiece({"[UNK]": 0, "b": 1}, unk_token="[UNK]"))
    probe.add_tokens([AddedToken("zz", normalized=False, **flags)])
    return probe


def hangul_decomposition(c):
    """The Unicode Standard 15.0, section 3.12."""
    index = c - 0xAC00
    tail = [0x11A7 + index % 28] if index % 28 else []
    return [0x1100 + index // 588, 0x1161 + index % 588 // 28] + tail


def combining_orders():
    """For each mark that NFD reorders, its rank among the combining classes, from 1."""
    low, high = "\u0334", "\u0345"  # of the lowest class (1) and the highest (240)
    candidates = [c for c in scalars() if NFD.normalize_str(chr(c)) == chr(c)]
    swaps = lambda first, second: NFD.normalize_str("a" + first + second) != "a" + first + second
    marks = [c for c in candidates if swaps(chr(c), low) or swaps(high, chr(c))]
    marks = sorted({*marks, ord(low), ord(high)})
    below = {c: [d for d in marks if swaps(chr(c), chr(d))] for c in marks}  # the marks of lower classes
    sizes = sorted({len(b) for b in below.values()})
    rank = {c: sizes.index(len(below[c])) + 1 for c in marks}
    for c in marks:  # the order of all pairs is the order of ranks, or the ranks are wrong
        assert below[c] == [d for d in marks if rank[d] < rank[c]], hex(c)
    return rank


def properties():
    word_probe, strip_probe = added_token_probe(single_word=True), added_token_probe(lstrip=True, rstrip=True)
    decompositions, flags, lower = {}, [0] * NUM_SCALARS, {}
    for c in scalars():
        s = chr(c)
        cleaned = CLEAN.normalize_str("a" + s + "b")
        if cleaned == "ab":
            flags[c] |= REMOVED
        elif cleaned == "a b" and s != " ":
            flags[c] |= SPACE
        else:
            assert cleaned == "a" + s + "b", hex(c)
        spaced = SPACED.normalize_str(s)
        if spaced == f" {s} ":
            flags[c] |= CHINESE
        else:
            assert spaced == s, hex(c)
        decomposed = NFD.normalize_str(s)
        if decomposed != s:
            decompositions[c] = [ord(d) for d in decomposed]
        lowered = LOWER.normalize_str(s)
        if lowered != s:
            lower[c] = [ord(d) for d in lowered]
        pieces = [piece for piece, _ in SPLIT.pre_tokenize_str("a" + s + "b")]
        if pieces == ["a", "b"]:
            flags[c] |= WHITE_SPACE
        elif pieces == ["a", s, "b"]:
            flags[c] |= PUNCTUATION
        else:
            assert pieces == ["a" + s + "b"], hex(c)
        before, after = (2 in word_probe.encode(text).ids for text in (s + "zz", "zz" + s))
        assert before == after, hex(c)
        if not before:
            flags[c] |= WORD
        stripped = strip_probe.encode(s + "zz" + s).offsets == [(0, 4)]
        assert stripped == bool(flags[c] & WHITE_SPACE), hex(c)
        if 0xAC00 <= c <= 0xD7A3:
            assert decompositions.pop(c) == hangul_decomposition(c), hex(c)
            flags[c] |= HANGUL
    for c in scalars():
        if c not in decompositions and not flags[c] & HANGUL and STRIP.normalize_str(chr(c)) == "":
            flags[c] |= NONSPACING_MARK
    for c, parts in decompositions.items():
        assert STRIP.normalize_str(chr(c)) == "".join(chr(p) for p in parts if not flags[p] & NONSPACING_MARK), hex(c)
        assert all(p not in decompositions for p in parts), hex(c)
    two = {c: parts for c, parts in lower.items() if len(parts) > 1}
    assert two == {0x130: [0x69, 0x307]}, two  # the one special case, written out in unicode.h
    return flags, decompositions, {c: parts[0] for c, parts in lower.items()}, combining_orders()


def two_stage(values, size):
    blocks, stage = {}, []
    for begin in range(0, len(values), size):
        stage.append(blocks.setdefault(tuple(values[begin : begin + size]), len(blocks)))
    return stage, [v for block in blocks for v in block]


def rows(numbers, width=132):
    out, line = [], " "
    for n in numbers:
        text = f"{n},"
        if len(line) + len(text) > width:
            out.append(line)
            line = " "
        line += text
    return "\n".join(out + [line])


def main():
    assert tokenizers.__version__ == WHEEL, f"expected tokenizers {WHEEL}, found {tokenizers.__version__}"
    flags, decompositions, lower, order = properties()
    pool, records, index = [], {}, []
    record_rows = []
    for c in range(NUM_SCALARS):
        parts = decompositions.get(c, [])
        key = (flags[c], order.get(c, 0), len(parts), lower.get(c, c) - c, c if parts else -1)
        if key not in records:
            records[key] = len(records)
            record_rows.append(f"    {{{key[0]}, {key[1]}, {len(parts)}, {len(pool) if parts else 0}, {key[3]}}},")
            pool += parts
        index.append(records[key])
    assert len(records) < 1 << 16 and len(pool) < 1 << 16
    shift = min(range(4, 10), key=lambda s: sum(map(len, two_stage(index, 1 << s))))
    stage, blocks = two_stage(index, 1 << shift)
    text = f"""// Written by scripts/generate_unicode_tables.py from tokenizers {WHEEL}; do not edit. text/unicode.h says what stands in it.
#include "text/unicode.h"

namespace mlac {{

static_assert(kScalarBlockShift == {shift});

const ScalarProperties kScalarRecords[{len(records)}] = {{
{chr(10).join(record_rows)}
}};

const char32_t kScalarDecompositions[{len(pool)}] = {{
{rows(pool)}
}};

const uint16_t kScalarStage[{len(stage)}] = {{
{rows(stage)}
}};

const uint16_t kScalarBlocks[{len(blocks)}] = {{
{rows(blocks)}
}};

}}  // namespace mlac
"""
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write(text)
    print(f"{len(records)} records, {len(pool)} scalars of decompositions, {len(stage)} + {len(blocks)} entries, "
          f"{len(order)} marks in {len(set(order.values()))} combining classes, {len(text)} bytes")


if __name__ == "__main__":
    main()
