"""Minutes of mixed traffic: soak.py FIXTURES MINILM [--minutes 10] [--clients 8] [--tsan]. Exits 1 if memory or descriptors grow, or an answer is wrong.

One server of four models gets requests of every kind from clients that keep their connection or leave within a request or an answer: texts and batches
on every protocol, refused ones, large ones, metrics. Resident memory is read every second. What is under way makes it swing, so of each ten seconds the
least counts; the slope is the median of the slopes between all pairs of those (Theil and Sen), of what is left when the first third is dropped, in which the
allocator meets every size. glibc keeps some megabytes of freed memory and gives them back every few minutes, a saw in which ten minutes do not show what
an hour would add: only from --minutes 60 on is the slope held to its bound of 1 MiB/h. Below, the highest point of the second half may be 1 MiB above that
of the first, which sees a leak of 12 MiB/h in ten minutes. --tsan says that the binary is built with the thread sanitiser: its reports are counted, and memory, which is its own, is not.
"""
import argparse
import collections
import http.client
import itertools
import json
import os
import random
import socket
import statistics
import struct
import sys
import threading
import time

from serving import Server, Table, in_threads, post_bytes, processor

SAMPLE_S, BLOCK = 1, 10
WORDS = "the a small dog cat runs to of water light train people night red blue open close large time word not is was in it for with".split()


def sentence(generator, longest=60):
    return " ".join(generator.choice(WORDS) for _ in range(generator.choice([1, 3, 8, 20, longest])))


def sentences(generator, most=16):
    return [sentence(generator, 20) for _ in range(generator.randint(1, most))]


def batch_tensor(generator):
    texts = sentences(generator)
    return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": texts}]}


# name, weight, path, body from a generator, the statuses that are right
REQUESTS = [
    ("one text, MiniLM", 6, "/models/minilm/v1/embeddings", lambda g: {"input": sentence(g), "encoding_format": "base64"}, {200}),
    ("a batch, MiniLM", 1, "/models/minilm/embed", lambda g: {"inputs": sentences(g), "truncate": True}, {200}),
    ("one text", 6, "/v1/embeddings", lambda g: {"input": sentence(g, 8), "model": "tiny"}, {200}),
    ("many texts, as numbers", 1, "/embed", lambda g: {"inputs": sentences(g, 256), "truncate": True}, {200}),
    ("all tokens", 1, "/embed_all", lambda g: {"inputs": sentence(g), "truncate": True}, {200}),
    ("classes", 4, "/predict", lambda g: {"inputs": sentence(g, 20), "truncate": True}, {200}),
    ("classes, Hugging Face", 2, "/models/labels", lambda g: {"inputs": sentences(g), "parameters": {"truncate": True, "top_k": 2}}, {200}),
    ("words for a mask", 2, "/models/masks", lambda g: {"inputs": sentence(g, 8) + " [MASK]"}, {200}),
    ("similarity", 2, "/similarity", lambda g: {"inputs": {"source_sentence": sentence(g, 8), "sentences": sentences(g)}, "truncate": True}, {200}),
    ("tokens", 2, "/tokenize", lambda g: {"inputs": sentences(g)}, {200}),
    ("tensors", 2, "/v2/models/tiny/infer", batch_tensor, {200, 400}),
    ("a text that is too long", 2, "/embed", lambda g: {"inputs": " ".join(g.choices(WORDS, k=3000))}, {422}),
    ("no JSON", 2, "/v1/embeddings", lambda g: b"{" * g.randint(1, 2000), {400}),
    ("a wrong field", 2, "/embed", lambda g: {"inputs": g.choice([7, None, {}, [], [[]], [-1]])}, {400, 422}),
    ("no such route", 1, "/none", lambda g: {}, {404}),
    ("no such model", 1, "/models/none/embed", lambda g: {"inputs": "a"}, {404}),
    ("above the limit", 1, "/embed", lambda g: b" " * 2_100_000, {413}),
    ("nearly the limit", 1, "/embed", lambda g: b'{"inputs": "a"' + b" " * g.randint(100_000, 1_900_000) + b"}", {200}),
]
GETS = ["/health", "/metrics", "/info", "/v1/models", "/v2/models/tiny", "/openapi.json", "/"]


class Counts:
    def __init__(self):
        self.lock = threading.Lock()
        self.by_status = collections.Counter()
        self.wrong = []
        self.num_left = 0

    def add(self, name, status, right):
        with self.lock:
            self.by_status[status] += 1
            if status not in right:
                self.wrong.append(f"{name}: {status}")

    def leave(self):
        with self.lock:
            self.num_left += 1


class Client:
    """Asks until it is told to stop, on a connection that it keeps for a while."""

    def __init__(self, server, counts, seed):
        self.server, self.counts, self.generator = server, counts, random.Random(seed)
        self.connection = None

    def ask(self, name, method, path, body, right):
        self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        chunked = body is not None and self.generator.random() < 0.1
        fields = {"Content-Type": "application/json"} if body is not None else {}
        try:
            self.connection.request(method, path, iter([body]) if chunked else body, fields, encode_chunked=chunked)
        except OSError:  # an answer to a body that is too large comes before its end
            if 413 not in right:
                raise
        answer = self.connection.getresponse()
        answer.read()
        self.counts.add(name, answer.status, right)
        if answer.will_close or self.generator.random() < 0.05:
            self.close()

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def leave(self, path, body):
        """Sends part of a request, or all and takes part of the answer; then closes or resets."""
        connection = self.server.connect()
        request = post_bytes(path, body)
        whole = self.generator.random() < 0.5
        connection.sendall(request if whole else request[: self.generator.randrange(len(request))])
        if whole and self.generator.random() < 0.5:
            connection.recv(self.generator.randint(1, 2000))
        if self.generator.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        self.counts.leave()

    def run(self, until):
        weights = [request[1] for request in REQUESTS]
        while time.monotonic() < until:
            if self.generator.random() < 0.1:
                self.ask("a GET", "GET", self.generator.choice(GETS), None, {200})
                continue
            name, _, path, make, right = self.generator.choices(REQUESTS, weights)[0]
            body = make(self.generator)
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            if self.generator.random() < 0.1 and len(body) < 1_000_000:
                self.leave(path, body)
                continue
            try:
                self.ask(name, "POST", path, body, right)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if 413 not in right:  # else the reset behind the answer may have come before it was read
                    self.counts.add(f"{name}: {type(error).__name__} {error}", 0, right)
        self.close()


def slope_mib_per_hour(samples):
    """samples: (seconds, KiB). The median slope of all pairs, and the median of the distances from that line in KiB."""
    pairs = itertools.combinations(samples, 2)
    slope = statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs)
    middle = statistics.median(y - slope * x for x, y in samples)
    return slope * 3600 / 1024, statistics.median(abs(y - slope * x - middle) for x, y in samples)


def soak(server, options):
    """Counts, and what was read every second: (seconds, KiB, descriptors)."""
    counts, samples = Counts(), []
    start = time.monotonic()
    end = start + options.minutes * 60

    def sample(_):
        while (now := time.monotonic()) < end:
            samples.append((now - start, server.memory_kib(), server.num_descriptors()))
            time.sleep(SAMPLE_S)

    in_threads(options.clients + 1, lambda i: sample(i) if i == options.clients else Client(server, counts, i).run(end))
    return counts, samples


def least_of_each_block(samples):
    return [min(samples[i : i + BLOCK], key=lambda sample: sample[1])[:2] for i in range(0, len(samples) - BLOCK + 1, BLOCK)]


def show_memory(samples, options, table):
    blocks = least_of_each_block(samples)
    kept = blocks[len(blocks) // 3 :]
    halves = [[kib / 1024 for _, kib in half] for half in (blocks[: len(blocks) // 2], blocks[len(blocks) // 2 :])]
    growth = max(halves[1]) - max(halves[0])
    table.row("resident memory (MiB), first half: highest; second half: lowest and highest",
              f"{max(halves[0]):.1f}; {min(halves[1]):.1f} {max(halves[1]):.1f}", "" if options.tsan else "at most 1 more", options.tsan or growth <= 1)
    slope, scatter = slope_mib_per_hour(kept)
    is_long = options.minutes >= 60 and not options.tsan
    table.row(f"slope over the last {(kept[-1][0] - kept[0][0]) / 60:.1f} minutes (MiB/h; points lie {scatter:.0f} KiB off the line)", f"{slope:.2f}",
              "at most 1" if is_long else "", not is_long or slope <= 1)
    print("    KiB every 10 s:", " ".join(str(kib) for _, kib in blocks))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("fixtures")
    parser.add_argument("minilm")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--tsan", action="store_true")
    options = parser.parse_args()
    models = [f"tiny={options.fixtures}/models/st_mean", f"labels={options.fixtures}/models/classifier", f"masks={options.fixtures}/models/masked_lm",
              f"minilm={options.minilm}"]
    env = dict(os.environ, TSAN_OPTIONS="halt_on_error=0 exitcode=66 second_deadlock_stack=1")
    table = Table()
    print(processor())
    with Server(models[0], *models[1:], env=env) as server:
        server.ask("GET", "/health")
        time.sleep(0.5)
        num_idle = server.num_descriptors()
        counts, samples = soak(server, options)
        took = server.wait_for_descriptors(num_idle)
        answers = sum(counts.by_status.values())
        table.row("answers; clients that left within a request or an answer", f"{answers} {counts.num_left}")
        print("    by status:", ", ".join(f"{status}: {count}" for status, count in sorted(counts.by_status.items())))
        table.row("wrong statuses and broken connections", len(counts.wrong), "0", not counts.wrong)
        for fault in counts.wrong[:10]:
            print("fault:", fault)
        show_memory(samples, options, table)
        table.row("descriptors more than before, when all have gone", server.num_descriptors() - num_idle, "0", took is not None)
        if options.tsan:
            num_reports = server.read_log().count("WARNING: ThreadSanitizer")
            table.row("reports of the thread sanitiser", num_reports, "0", num_reports == 0)
        status = server.terminate(timeout_s=120)
        table.row("exit status after SIGTERM", str(status), "0", status == 0)
        if options.tsan and (reports := server.read_log().split("WARNING: ThreadSanitizer")[1:]):
            print("WARNING: ThreadSanitizer" + reports[0][:6000])
            table.failed = True
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
