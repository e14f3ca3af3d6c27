"""Writes docs/performance.md from bench/results/*/*.json and the notes of bench/notes.md. No measuring: `dev bench` does that."""

import os

from results import FOLDER, ROOT, all_results, digits, widest_instruction_set, without_stepping

METHOD = """# Performance

Written by `bench/report.py` from `bench/results/*/*.json`, a folder a processor; `./dev bench` measures anew, on your machine, and writes both: the
figures of other processors stay. `./dev bench --quick` takes under three minutes once the peers' environments and models exist, and writes neither.
`./dev bench --list` names the single benchmarks. A heading names a processor and, where its peaks tell it, its widest instruction set.

## How it was measured
- **In turns.** mlac and each peer live in processes of their own, with the same inputs and the same number of threads. In each round each has one
  turn; between two turns the rig waits until threads have come to rest, and it checks that no idle process keeps a core busy. A figure is the
  median of all samples of all rounds; the spread is the first to the third quartile.
- **Ratio** is ours over the best peer's, of times (less is better) or of rates (more is better, marked so). A bound is what the project set itself;
  where there is AMX, some bounds are others.
- **Same answers first.** Outputs are compared before anything is timed; who is outside the bound is left out and listed with the reason. f32: no
  hidden state differs from torch's by more than 1e-4; bf16: each text's mean vector has a cosine of 0.99 at least to torch in f32; int8: of 0.95.
- **Peers as their users run them.** torch through transformers; onnxruntime with torch's export (`plain`), with its own fusions (`fused`) and
  with its dynamic quantisation of the fused form (`int8`); openvino with f32, the bf16 hint, and nncf's post-training quantisation; ctranslate2 with
  its converter. Peers pad: sequences of one length make one batch, mixed lengths are sorted and padded in batches of 32. mlac does not pad.
- **Limit.** The machine's peaks are measured by the same program: loops of multiply-adds in registers, reads of memory of several sizes. The least
  time that they allow is the greater of operations / peak and bytes of the layers' weights / bandwidth. The clock of a core moves with what it runs, so
  f32 is compared with a loop timed right beside it, bf16 and int8 with the best of the run.
- **e-mails** are 64 messages of SpamAssassin's corpus, bodies cut to lengths drawn evenly from 10 to 500 tokens (`bench/emails.py`).
- Models without published weights here have the shape of their name and random weights. DistilBERT's shape is a BERT of six layers, 768 wide, on
  both sides.
"""

TITLES = {
    "encoder": "Encoder forward",
    "texts": "Texts to vectors, tokenising included",
    "train": "A training step",
    "tokenizer": "Tokenizer",
    "process": "One sentence by a fresh process",
    "serving": "HTTP",
    "gemm": "Matrix products",
}


FINE_TUNING = {
    "wordnet": {"title": "The WordNet run",
                "about": "MiniLM learns 25 topics from 6,000 glosses, at most 64 tokens of each, 2 epochs; the figures are of 2,000 others.",
                "figure": "Our time / theirs: {time_ratio:.2f} (bound 0.50: {verdict}).",
                "reached": lambda result: result["time_ratio"] <= 0.5},
    "spam": {"title": "The run on e-mails",
             "about": "MiniLM learns spam from 2,000 e-mails, at most 256 tokens of subject and body, 2 epochs; the figures are of 1,000 others.",
             "figure": "Our macro-F1 less theirs: {macro_f1_difference:+.4f} (bound -0.01: {verdict}).",
             "reached": lambda result: result["macro_f1_difference"] >= -0.01},
}


def cells(values):
    return "| " + " | ".join(values) + " |"


def spread(summary, unit):
    """1.84 ms (1.80 to 1.91)"""
    if unit == "s":
        factor, unit = (1e3, "ms") if summary["median"] < 10 else (1, "s")
    else:
        factor = 1
    low, middle, high = (digits(summary[key] * factor) for key in ("q1", "median", "q3"))
    return f"{middle} {unit} ({low} to {high})"


def verdict(line):
    if "reached" not in line:
        return ""
    bound = line.get("bound")
    if bound is not None:
        text = f"{'>=' if line['higher_is_better'] else '<='} {bound:.2f}"
        if "ratio_to_torch_f32" in line:  # not of the best peer, as the column of ratios is
            text += f" of torch f32 ({line['ratio_to_torch_f32']:.2f})"
    elif line.get("wanted_share"):
        text = f">= {line['wanted_share'] * 100:.0f} %"
    else:
        text = f"<= {digits(line['wanted'] * 1e3)} ms" if line["unit"] == "s" else f"<= {line['wanted']:g} {line['unit']}"
    return f"{text}: {'reached' if line['reached'] else '**not reached**'}"


def comparison(result):
    yield cells(["", "", "mlac", "best peer", "", "ratio", "of the limit", "bound"])
    yield cells(["---"] * 8)
    group = None
    for line in result["rows"]:
        best = line["best_peer"]
        yield cells([
            line["group"] if line["group"] != group else "",
            line["row"],
            spread(line["ours"], line["unit"]) if line["ours"] else "not there",
            spread(line["peers"][best], line["unit"]) if best else "",
            best or "",
            (f"{line['ratio']:.2f}" + (" (more is better)" if line["higher_is_better"] else "")) if line["ratio"] is not None else "",
            f"{line['share_of_limit'] * 100:.0f} %" if line.get("share_of_limit") else "",
            verdict(line),
        ])
        group = line["group"]


def products(result):
    """A row a shape and instruction set, a column a number of rows: share of the peak beside it."""
    rows, columns = {}, []
    for line in result["rows"]:
        group, _, m = line["group"].rpartition(" M=")
        columns += [m] if m not in columns else []
        mark = "" if line.get("reached", True) else " *"
        ratio = f" ({line['ratio']:.2f})" if line["ratio"] is not None else ""
        rows.setdefault((group, line["row"]), {})[m] = f"{line['share_of_limit'] * 100:.0f} %{mark}{ratio}" if line["share_of_limit"] else "-"
    yield "Share of a loop of multiply-adds timed right beside (* below the project's bound); in brackets our time / torch's."
    yield ""
    yield cells(["", "N x K", *(f"M = {m}" for m in columns)])
    yield cells(["---"] * (len(columns) + 2))
    for (group, shape), found in rows.items():
        yield cells([group, shape, *(found.get(m, "") for m in columns)])


def peaks(machine):
    loops = [f"{name} {rate / 1e9:.0f} GOP/s" for name, rate in machine.items() if name != "read"]
    reads = [f"{int(size) / 2**20:.3g} MiB {rate / 1e9:.0f} GB/s" for size, rate in sorted(machine.get("read", {}).items(), key=lambda item: int(item[0]))]
    return f"Peaks: {', '.join(loops)}. Reads from: {', '.join(reads)}."


def left_out(result):
    reasons = {}
    for line in result["rows"]:
        for name, why in line["failures"].items():
            reasons.setdefault((name, why), []).append(line["group"])
    for (name, why), groups in reasons.items():
        yield f"- {name} ({', '.join(dict.fromkeys(groups))}): {why}"


def heading(result, instruction_set):
    return f"### {without_stepping(result['processor'])}" + (f": {instruction_set}" if instruction_set else "")


def section(name, result, instruction_set):
    """The part of one processor."""
    yield heading(result, instruction_set)
    used = ", ".join(f"{package} {version}" for package, version in result["versions"].items())
    yield f"{result['processor']}, {result['threads']} thread{'s' * (result['threads'] > 1)}." + (f" {used}." if used else "")
    if result["busy_before"] > 0.3:
        yield f"**Others kept {result['busy_before']:.1f} cores busy when this began: the figures are not to be trusted.**"
    if result["machine"]:
        yield peaks(result["machine"])
    yield ""
    yield from products(result) if name == "gemm" else comparison(result)
    missing = list(left_out(result))
    if missing:
        yield ""
        yield "Left out:"
        yield ""
        yield from missing
    yield ""


def fine_tuning(name, result, instruction_set):
    """The part of one processor."""
    run = FINE_TUNING[name]
    count = min(map(len, result["runs"].values()))  # a run cut short may have one seed of mlac alone
    seeds = ", ".join(map(str, result["seeds"][:count]))
    columns = [("accuracy", "accuracy", 4), ("macro-F1", "macro_f1", 4)]
    if "time_ratio" in result:
        columns.append(("seconds", "seconds", 1))
    yield heading(result, instruction_set)
    yield f"{result['processor']}, {result['threads']} threads, seeds {seeds}: `./dev bench {name}`."
    yield ""
    yield cells(["", *(title for title, _, _ in columns)])
    yield cells(["---"] * (len(columns) + 1))
    for program, rows in result["runs"].items():
        yield cells([program, *(f"{sum(row[key] for row in rows[:count]) / count:.{digits}f}" for _, key, digits in columns)])
    yield ""
    yield run["figure"].format(verdict="reached" if run["reached"](result) else "**not reached**", **result)
    yield ""


def document(results, notes):
    """results: {folder of a processor: {benchmark: result}}; notes: what stands behind the tables."""
    instruction_sets = {folder: widest_instruction_set({loop for result in found.values() for loop in result.get("machine", {})})
                        for folder, found in results.items()}
    lines = [METHOD]
    for name, title in TITLES.items():
        parts = [section(name, found[name], instruction_sets[folder]) for folder, found in results.items() if name in found]
        if parts:
            lines.extend([f"## {title}", ""])
        for part in parts:
            lines.extend(part)
    for name, run in FINE_TUNING.items():
        # Cut short before transformers' first seed, a run has nothing to compare.
        parts = [fine_tuning(name, found[name], instruction_sets[folder]) for folder, found in results.items()
                 if "macro_f1_difference" in found.get(name, {})]
        if parts:
            lines.extend([f"## {run['title']}", run["about"], ""])
        for part in parts:
            lines.extend(part)
    return "\n".join([*lines, notes.rstrip()]) + "\n"


def main():
    with open(os.path.join(FOLDER, "notes.md"), encoding="utf-8") as file:
        notes = file.read()
    path = os.path.join(ROOT, "docs", "performance.md")
    with open(path, "w", encoding="utf-8") as file:
        file.write(document(all_results(), notes))
    print(f"wrote {os.path.relpath(path, ROOT)}")


if __name__ == "__main__":
    main()
