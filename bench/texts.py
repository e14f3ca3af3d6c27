"""Texts to vectors, tokenising included, ours and the peers in turns (environment `rivals`).

The mixed e-mails against sentence-transformers and others, and one text at a time of DistilBERT's shape against the rates that Hugging Face
published in 2021 for its product Infinity on 2 cores (a DistilBERT, best dtype), which are figures of another machine.
Where AVX2 is not all that there is, single texts are measured with AVX2 alone as well.
"""

import argparse
import os

import encoder
import numpy as np
import rig
from emails import cut_emails
from results import widest_instruction_set

INFINITY = {8: 248, 16: 212, 32: 150, 64: 97, 128: 55, 256: 27, 384: 17, 512: 12}  # tokens: requests a second
PEERS = {
    "f32": [("sentence-transformers", "f32"), ("onnxruntime", "fused"), ("openvino", "f32")],
    "bf16": [("openvino", "bf16")],
    "int8": [("onnxruntime", "int8"), ("openvino", "int8"), ("openvino", "int8-bf16")],
}
LEAST_COSINE = {"f32": 0.9999, "bf16": 0.99, "int8": 0.9}  # to ours in f32


def text_of(tokenizer, length, source):
    """The beginning of `source` that has `length` tokens with [CLS] and [SEP]."""
    ends = [end for _, end in tokenizer(source, return_offsets_mapping=True, add_special_tokens=False, verbose=False)["offset_mapping"]]
    for end in ends[length - 3 :]:
        if len(tokenizer(source[:end])["input_ids"]) == length:
            return source[:end]
    raise ValueError(f"no text of {length} tokens")


class Texts:
    def __init__(self, options):
        self.options, self.rows = options, []
        self.us = rig.ours()
        self.avx2 = rig.ours(MLAC_ISA="avx2")
        self.workers = {library: rig.peer(library) for library in ("sentence-transformers", "onnxruntime", "openvino")}
        self.machine = self.us.ask(op="peaks", threads=options.threads)

    def contestants(self, folder, dtype, texts, peers, worker):
        path = os.path.join(rig.DATA, "vectors.f32")
        fields = {"op": "embed", "texts": texts, "threads": self.options.threads, "budget": self.options.budget, "max_length": 512,
                  **self.options.repeats}

        def vectors(ask):
            ask(output=path, **{"warmups": 0, "repeats": 1, "budget": 0})
            found = np.fromfile(path, np.float32).reshape(len(texts), -1)
            return found / np.linalg.norm(found, axis=1, keepdims=True)

        def us(kind, **more):
            return worker.ask(**{**fields, "model": encoder.our_folder(folder, kind), "dtype": "f32" if kind == "int8" else kind, **more})

        def them(library, form, **more):
            return self.workers[library].ask(**{**fields, "model": folder, "form": form, **more})

        expected = vectors(lambda **more: us("f32", **more))
        asks = {"mlac": lambda **more: us(dtype, **more)}
        for library, form in peers:
            asks[f"{library} {form}"] = lambda library=library, form=form, **more: them(library, form, **more)
        agreed, failures = {}, {}
        for name, ask in asks.items():
            try:
                cosine = float((vectors(ask) * expected).sum(1).min())
                if not cosine >= LEAST_COSINE[dtype]:
                    raise rig.WorkerError(f"has a cosine of {cosine:.4f} to ours in f32, wanted is {LEAST_COSINE[dtype]}: not timed")
                agreed[name] = lambda ask=ask: ask()["seconds"]
            except rig.WorkerError as error:
                failures[name] = str(error)
        return agreed, failures

    def measure(self, group, name, folder, dtype, texts, peers, worker=None):
        agreed, failures = self.contestants(os.path.join(self.options.models, folder), dtype, texts, peers, worker or self.us)
        samples, failed = rig.take_turns(agreed, self.options.rounds)
        line = rig.row(group, name, samples, {**failures, **failed})
        self.rows.append(line)
        rig.show(line)
        self.save()
        return line

    def measure_single(self, length, text, rate):
        """A text of `length` tokens in each dtype; the fastest is held against `rate`, a second. Beside them AVX2 alone, in the dtypes that it has."""
        name, wide = f"1x{length}", "f32 avx2" in self.machine and widest_instruction_set(self.machine) != "AVX2"
        lines = [self.measure(f"DistilBERT shape {dtype}", name, "distilbert", dtype, [text], peers[-2:]) for dtype, peers in PEERS.items()]
        for dtype in ("f32", "int8") if wide else ():
            self.measure(f"DistilBERT shape {dtype}, AVX2 alone", name, "distilbert", dtype, [text], [], self.avx2)
        measured = [line for line in lines if line["ours"]]
        if not measured:
            return
        fastest = min(measured, key=lambda line: line["ours"]["median"])
        fastest["wanted"] = 1 / rate
        fastest["reached"] = fastest["ours"]["median"] <= 1 / rate
        print(f"{name}: {1 / fastest['ours']['median']:.0f} requests/s at best, {fastest['group']}; wanted are {rate}", flush=True)
        self.save()

    def save(self):
        rig.save("texts", self.options.quick, self.rows, self.options.threads, self.machine,
                 rig.versions("sentence-transformers", "torch", "onnxruntime", "openvino", "tokenizers"))

    def close(self):
        for worker in [self.us, self.avx2, *self.workers.values()]:
            worker.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    options.rounds, options.budget = (1, 0.1) if options.quick else (5, 0.3)
    options.repeats = {"repeats": 2, "warmups": 1} if options.quick else {"repeats": 3, "warmups": 2}

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(os.path.join(options.models, "minilm", "model"))
    emails = cut_emails(tokenizer, encoder.QUICK_EMAILS if options.quick else encoder.NUM_EMAILS)
    bench = Texts(options)
    print(f"{rig.processor()}, {options.threads} threads", flush=True)
    if not options.quick:
        longest = max(emails, key=len) + " " + emails[0]
        for length, rate in INFINITY.items():
            bench.measure_single(length, text_of(tokenizer, length, longest), rate)
    options.repeats = {"repeats": 1, "warmups": 1}  # a pass of the slowest takes seconds
    for dtype, peers in PEERS.items():
        bench.measure(f"MiniLM {dtype}", f"{len(emails)} e-mails", "minilm", dtype, emails, peers)
    bench.close()


if __name__ == "__main__":
    main()
