"""What was measured: on which processor, where it is kept, with how many digits. bench/results/PROCESSOR/NAME.json is the benchmark NAME on PROCESSOR."""

import glob
import json
import os
import platform
import re

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(FOLDER)
BUILD = os.path.join(ROOT, "build", "bench")
RESULTS = os.path.join(FOLDER, "results")

# Widest first, each with a loop of bench/peaks.cc that runs on nothing narrower.
INSTRUCTION_SETS = [("int8 amx", "AMX"), ("int8 avx512", "AVX-512 VNNI"), ("f32 avx512", "AVX-512"), ("int8 avxvnni", "AVX-VNNI"), ("f32 avx2", "AVX2"),
                    ("f32 neon", "NEON")]


def processor():
    """AMD EPYC (family 25, model 17, stepping 1)"""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        lines = [line.split(":", 1) for line in file if ":" in line]
    fields = {}
    for key, value in lines:
        fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name", platform.machine())
    if "model" in fields:
        name += f" (family {fields.get('cpu family')}, model {fields['model']}, stepping {fields.get('stepping')})"
    elif "CPU part" in fields:  # Arm
        name += f" (implementer {fields.get('CPU implementer')}, part {fields['CPU part']})"
    return name


def without_stepping(name):
    return re.sub(r", stepping \w+", "", name)


def folder_name(name):
    """amd-epyc-25-17, from what processor() gives: its name, family and model, without what is the same in many names and without the stepping."""
    name = re.sub(r"\((R|TM)\)|@ *[\d.]+ *[GM]Hz|\b(Processor|CPU|\d+-Core|family|model|implementer|part)\b", " ", without_stepping(name))
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def result_path(name, quick=False):
    """Of this processor. A quick run goes beside the build, and so does one that MLAC_ISA bounds."""
    aside = quick or "MLAC_ISA" in os.environ
    return os.path.join(BUILD, "quick", name + ".json") if aside else os.path.join(RESULTS, folder_name(processor()), name + ".json")


def earlier_result(name, quick=False):
    """What the last run on this processor has saved; {} if there is none."""
    try:
        with open(result_path(name, quick), encoding="utf-8") as file:
            result = json.load(file)
    except FileNotFoundError:
        return {}
    return result if folder_name(result["processor"]) == folder_name(processor()) else {}  # a build may have come from another machine


def write_result(name, result, quick=False):
    """In one step, so that a run cut short leaves what it has measured."""
    path = result_path(name, quick)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".partial", "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    os.replace(path + ".partial", path)


def all_results(folder=RESULTS):
    """{folder of a processor: {benchmark: result}}"""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "*", "*.json"))):
        with open(path, encoding="utf-8") as file:
            found.setdefault(os.path.basename(os.path.dirname(path)), {})[os.path.splitext(os.path.basename(path))[0]] = json.load(file)
    return found


def widest_instruction_set(loops):
    """AMX, by the names of the loops that ran; "" if they tell nothing."""
    return next((title for loop, title in INSTRUCTION_SETS if loop in loops), "")


def digits(value):
    """Three significant digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def rounded(value):
    """Five significant digits: what was measured is not known better."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return value
