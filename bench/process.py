"""One sentence to its vector, whole process: time from start to end and peak memory. mlac, transformers, and onnxruntime with tokenizers, in turns."""

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np
import rig

SENTENCE = "The quick brown fox jumps over the lazy dog near the bank of the river."
TARGET_SECONDS, TARGET_MEGABYTES = 0.04, 110

TRANSFORMERS = """
import json, sys, torch
from transformers import AutoModel, AutoTokenizer
torch.set_num_threads(int(sys.argv[3]))
tokenizer, model = AutoTokenizer.from_pretrained(sys.argv[1]), AutoModel.from_pretrained(sys.argv[1])
with torch.inference_mode():
    hidden = model(**tokenizer([sys.argv[2]], return_tensors="pt")).last_hidden_state
print(json.dumps(torch.nn.functional.normalize(hidden.mean(1))[0].tolist()))
"""

ONNXRUNTIME = """
import json, sys, numpy, onnxruntime, tokenizers
tokenizer = tokenizers.Tokenizer.from_file(sys.argv[1] + "/model/tokenizer.json")
tokenizer.no_padding()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[3])
session = onnxruntime.InferenceSession(sys.argv[1] + "/fused.onnx", options, providers=["CPUExecutionProvider"])
ids = numpy.array([tokenizer.encode(sys.argv[2]).ids])
hidden = session.run(None, {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)})[0]
vector = hidden[0].mean(0)
print(json.dumps((vector / numpy.linalg.norm(vector)).tolist()))
"""


def measure(command):
    """Seconds, peak resident megabytes and the vector that it prints."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise rig.WorkerError(f"ended with exit status {process.returncode}")
    return seconds, usage.ru_maxrss * 1024 / 1e6, out


def vector_of(out):
    answer = json.loads(out)
    while not isinstance(answer[0] if isinstance(answer, list) else None, float):
        answer = answer["embedding"] if isinstance(answer, dict) else answer[0]
    return np.array(answer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    folder = os.path.join(options.models, "minilm")
    model = os.path.join(folder, "model")
    threads = str(options.threads)
    commands = {
        "mlac": [rig.MLAC, "run", "feature-extraction", "-m", model, "--json", "--threads", threads, SENTENCE],
        "transformers": [sys.executable, "-c", TRANSFORMERS, model, SENTENCE, threads],
        "onnxruntime, tokenizers": [sys.executable, "-c", ONNXRUNTIME, folder, SENTENCE, threads],
    }
    megabytes, vectors = {}, {}

    def run(name):
        seconds, size, out = measure(commands[name])
        megabytes.setdefault(name, []).append(size)
        vectors[name] = vector_of(out)
        if abs(vectors[name] @ vectors["mlac"] - 1) > 1e-4:
            raise rig.WorkerError("gives another vector")
        return [seconds]

    contestants = {name: lambda n=name: run(n) for name in commands}
    rig.take_turns(contestants, 1)  # files into the page cache
    megabytes.clear()
    samples, failures = rig.take_turns(contestants, 3 if options.quick else 9)
    time_line = rig.row("one sentence, process", "time", samples, failures, wanted=TARGET_SECONDS)
    memory_line = rig.row("one sentence, process", "peak memory", megabytes, {}, unit="MB", wanted=TARGET_MEGABYTES)
    for line in (time_line, memory_line):
        if line["ours"]:
            line["reached"] = line["ours"]["median"] <= line["wanted"]
        rig.show(line)
    rig.save("process", options.quick, [time_line, memory_line], options.threads,
             used=rig.versions("torch", "transformers", "onnxruntime", "tokenizers"))


if __name__ == "__main__":
    main()
