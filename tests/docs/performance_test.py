#!/usr/bin/env python3
"""docs/performance.md is what bench/report.py writes from the committed results, and results of several processors stand side by side in it.

Each finding is one line; exit status 1 if there is any.
"""
import copy
import os
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "bench"))

import report
import results

FOLDER_NAMES = {
    "AMD EPYC (family 25, model 17, stepping 1)": "amd-epyc-25-17",
    "AMD EPYC 9R14 96-Core Processor (family 25, model 17, stepping 1)": "amd-epyc-9r14-25-17",
    "Intel(R) Xeon(R) Processor (family 6, model 207, stepping 2)": "intel-xeon-6-207",
    "Intel(R) Xeon(R) Processor (family 6, model 143, stepping 8)": "intel-xeon-6-143",
    "Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz (family 6, model 158, stepping 10)": "intel-core-i7-8700-6-158",
    "aarch64 (implementer 0x41, part 0xd40)": "aarch64-0x41-0xd40",
    "x86_64": "x86-64",
}
INSTRUCTION_SETS = [
    (["f32 avx2"], "AVX2"),
    (["f32 avx2", "int8 avxvnni"], "AVX-VNNI"),
    (["f32 avx2", "f32 avx512"], "AVX-512"),
    (["bf16 avx512", "f32 avx2", "f32 avx512", "int8 avx512"], "AVX-512 VNNI"),
    (["bf16 amx", "bf16 avx512", "f32 avx2", "f32 avx512", "int8 amx", "int8 avx512", "int8 avxvnni"], "AMX"),
    (["f32 neon"], "NEON"),
    ([], ""),
]
OTHER = "Intel(R) Xeon(R) Processor (family 6, model 207, stepping 2)"
findings = 0


def expect(found, expected, what):
    global findings
    if found != expected:
        findings += 1
        print(f"{what}: {found!r}, expected is {expected!r}")


def first_difference(found, expected):
    """(line, found, expected) of two texts; None if there is none."""
    a, b = found.split("\n"), expected.split("\n")
    for number in range(max(len(a), len(b))):
        pair = tuple(lines[number] if number < len(lines) else "the end" for lines in (a, b))
        if pair[0] != pair[1]:
            return number + 1, *pair
    return None


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def page_is_written_from_the_results(committed, notes):
    expect(first_difference(read("docs", "performance.md"), report.document(committed, notes)), None,
           "docs/performance.md is not what bench/report.py writes (line, found, written)")
    for folder, found in committed.items():
        for name, result in found.items():
            expect(folder, results.folder_name(result["processor"]), f"the folder of bench/results/{folder}/{name}.json")
    expect([name for name in os.listdir(results.RESULTS) if name not in committed], [], "in bench/results/ without results of a processor")


def processors_stand_side_by_side(committed, notes):
    """With the results of one of them under another name, too, which has AMX."""
    first = next(iter(committed))
    alone = report.document({first: committed[first]}, notes).split("\n")
    others = copy.deepcopy(committed[first])
    for result in others.values():
        result["processor"] = OTHER
        if result.get("machine"):
            result["machine"]["int8 amx"] = 1e12
    both = report.document({first: committed[first], "intel-xeon-6-207": others}, notes).split("\n")
    rest = iter(both)
    expect([line for line in alone if line not in rest], [], "lines that a second processor takes from the page")
    count = sum(line.startswith("### ") for line in alone)
    expect(count, len(committed[first]), "headings of one processor")
    expect(both.count("### Intel(R) Xeon(R) Processor (family 6, model 207): AMX"), count, "headings of the second processor")
    expect([line for line in both if line.startswith("## ")], [line for line in alone if line.startswith("## ")], "sections of two processors")
    expect(len(both), len(alone) + sum(map(len, sections_of(alone))), "lines of two processors")


def sections_of(lines):
    """What stands under each heading of a processor, the heading included, up to the next heading."""
    begins = [number for number, line in enumerate(lines) if line.startswith("### ")]
    for begin in begins:
        end = next(number for number in range(begin + 1, len(lines)) if lines[number].startswith(("## ", "### ")))
        yield lines[begin:end]


def run_on_another_processor_adds_its_results():
    of_this_machine = results.processor, results.RESULTS, results.BUILD
    with tempfile.TemporaryDirectory() as scratch:
        results.RESULTS, results.BUILD = os.path.join(scratch, "results"), os.path.join(scratch, "build")
        for name in ("AMD EPYC (family 25, model 17, stepping 1)", OTHER):
            results.processor = lambda name=name: name
            expect(results.earlier_result("gemm"), {}, f"results of {name} before its first run")
            results.write_result("gemm", {"processor": name, "rows": [1]})
        results.processor = lambda: "AMD EPYC (family 25, model 17, stepping 2)"
        expect(results.earlier_result("gemm").get("rows"), [1], "results of another stepping")
        expect(sorted(results.all_results(results.RESULTS)), ["amd-epyc-25-17", "intel-xeon-6-207"], "folders of two processors")
        results.write_result("gemm", {"processor": OTHER, "rows": []}, quick=True)
        expect(results.earlier_result("gemm", quick=True), {}, "a quick run of another processor in the same build")
        expect(os.listdir(os.path.join(scratch, "build", "quick")), ["gemm.json"], "results of a quick run")
    results.processor, results.RESULTS, results.BUILD = of_this_machine


def main():
    for name, folder in FOLDER_NAMES.items():
        expect(results.folder_name(name), folder, f"the folder of {name}")
    for loops, title in INSTRUCTION_SETS:
        expect(results.widest_instruction_set(loops), title, f"the widest instruction set of {loops}")
    committed, notes = results.all_results(), read("bench", "notes.md")
    page_is_written_from_the_results(committed, notes)
    processors_stand_side_by_side(committed, notes)
    run_on_another_processor_adds_its_results()
    if findings == 0:
        print(f"docs/performance.md: {len(committed)} processor{'s' * (len(committed) > 1)}, as bench/report.py writes them")
    return findings > 0


if __name__ == "__main__":
    sys.exit(main())
