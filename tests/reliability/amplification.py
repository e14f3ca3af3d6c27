"""What requests cost the server and what they cost the client: amplification.py TOOLS MODELS. Exits 1 if a refused one is beyond the bounds.

The bytes: the corpus of the fuzz target http_guard (and what `dev fuzz` has added to it in the cache), the raw requests of tests/http, and JSON of every
kind that a parser or a reader of inputs could stumble over, of 1 KB, 64 KB and nearly the limit of 2 MB, on every route that takes a body. The client is
reliability_amplification: it has the bytes ready, so its CPU time is what the system needs to send them and to take the answer. Bounds hold for requests
that are refused: memory at most ten times the bytes and 1 MiB, CPU time at most ten times the client's. Of those that are answered 200, and of texts that
become tokens before they are refused, the cost is that of the tokens; their worst are shown without a bound.
"""
import json
import os
import subprocess
import sys

from serving import Server, Table, post_bytes, processor

SIZES = [1_000, 64_000, 1_990_000]  # of bodies
ROUTES = {  # of which model: the routes that take a body, and the field that holds its inputs
    "st_mean": [("/v1/embeddings", "input"), ("/embed", "inputs"), ("/embed_all", "inputs"), ("/similarity", "inputs"), ("/tokenize", "inputs"),
                ("/", "inputs"), ("/v2/models/m/infer", "inputs"), ("/models/m/embed", "inputs")],
    "classifier": [("/predict", "inputs"), ("/rerank", "texts"), ("/invocations", "inputs")],
    "masked_lm": [("/", "inputs")],
}


def repeated(piece, size, begin="", end=""):
    return (begin + piece * ((size - len(begin) - len(end)) // len(piece)) + end).encode()


def numbered(piece, size, begin, end):
    parts, length = [], len(begin) + len(end)
    while length + len(part := piece.format(len(parts))) <= size:
        parts.append(part)
        length += len(part)
    return (begin + "".join(parts) + end).encode()


def bodies(field, size):
    """(name, bytes) of JSON of about size bytes."""
    head = f'{{"{field}":'
    yield "brackets", repeated("[", size)
    yield "brackets in the field", repeated("[", size, head)
    yield "braces", repeated('{"a":', size)
    yield "lists in lists, 31 deep", repeated("[" * 30 + "]" * 30 + ",", size, head + "[", "0]}")
    yield "zeros in the field", repeated("0,", size, head + "[", "0]}")
    yield "zeros in lists of one", repeated("[0],", size, head + "[", "[0]]}")
    yield "zeros in another field", repeated("0,", size, '{"x":[', "0]}")
    yield "floats in another field", repeated("1.2345678901234567e-300,", size, '{"x":[', "0]}")
    yield "empty texts in the field", repeated('"",', size, head + "[", '""]}')
    yield "short texts in the field", repeated('"a",', size, head + "[", '"a"]}')
    yield "empty texts in another field", repeated('"",', size, '{"x":[', '""]}')
    yield "empty objects in the field", repeated("{},", size, head + "[", "{}]}")
    yield "nulls in the field", repeated("null,", size, head + "[", "null]}")
    yield "10^3 names and then more", numbered('"{}":0,', size, "{", '"z":0}')
    yield "one long name", repeated("a", size, '{"', f'":0,"{field}":0}}')
    yield "one long text of escapes", repeated("\\u0001", size, head + '"', '')
    yield "a text of escapes where a list is wanted", repeated("\\u0001", size, '{"x":"', f'","{field}":{{}}}}')
    yield "blanks", repeated(" ", size, head, "")
    yield "no UTF-8 at the end", repeated("a", size, head + '"')[:-3] + b"\xff\xff\xff"
    yield "a string without an end", repeated('"', size | 1)
    yield "names that a form has", repeated('"parameters":0,"query":0,', size, "{")
    yield "a list of pairs", repeated('["a","b"],', size, head + "[", '["a","b","c"]]}')
    yield "sentences", repeated('"a",', size, f'{{"{field}":{{"source_sentence":"a","sentences":[', '"a"]}}')
    yield "labels", repeated('"a",', size, f'{{"{field}":"a","parameters":{{"candidate_labels":[', '"a"]}}')
    yield "targets", repeated('"a",', size, f'{{"{field}":"a [MASK]","parameters":{{"targets":[', '"a"]}}')
    yield "a text without its end", repeated("a ", size, head + '"', '')


def tensors(size):
    head = '{"inputs":[{"name":"text","datatype":"BYTES",'
    yield "tensor of empty texts", repeated('"",', size, head + '"shape":[1],"data":[', '""]}]}')
    yield "tensor of short texts", repeated('"a",', size, head + '"shape":[1],"data":[', '"a"]}]}')
    yield "tensor of zeros", repeated("0,", size, '{"inputs":[{"name":"input_ids","datatype":"INT64","shape":[1],"data":[', "0]}]}")
    yield "tensor of as many zeros as it says", zeros_tensor(size)
    yield "lengths of as many sequences as tokens", lengths_tensor(size)
    yield "shape of zeros", repeated("0,", size, head + '"shape":[', "0]}]}")
    yield "many inputs", repeated('{"name":"a","datatype":"BYTES","shape":[0]},', size, '{"inputs":[', "0]}")
    yield "many outputs", repeated('{"name":"a"},', size, '{"inputs":[],"outputs":[', "0]}")


def zeros_tensor(size):
    count = (size - 100) // 2
    return ('{"inputs":[{"name":"input_ids","datatype":"INT64","shape":[%d],"data":[' % count + ",".join("0" * count) + "]}]}").encode()


def lengths_tensor(size):
    count = (size - 200) // 4
    tensor = '{"name":"%s","datatype":"INT64","shape":[' + str(count) + '],"data":[%s]}'
    return ('{"inputs":[' + tensor % ("input_ids", ",".join("0" * count)) + "," + tensor % ("lengths", ",".join("1" * count)) + "]}").encode()


def binary_request(size):
    """Texts of no bytes in the binary extension."""
    count = size // 4
    header = '{"inputs":[{"name":"text","datatype":"BYTES","shape":[%d],"parameters":{"binary_data_size":%d}}]}' % (count, 4 * count)
    return post_bytes("/v2/models/m/infer", header.encode() + bytes(4 * count), f"Inference-Header-Content-Length: {len(header)}\r\n")


class Tool:
    def __init__(self, program, server):
        self.process = subprocess.Popen([program, str(server.port), str(server.process.pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def measure(self, request):
        self.process.stdin.write(b"%d\n" % len(request) + request)
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Finding:
    def __init__(self, name, request, result):
        self.name = name
        self.num_bytes = len(request)
        self.statuses = result["statuses"]
        self.cpu = result["server_us"] / max(result["client_us"], 1)
        self.cpu_us = result["server_us"]
        self.peak_kib = result["peak_kib"]
        self.memory = (result["peak_kib"] - 1024) * 1024 / len(request)  # in times the bytes, beyond the MiB

    @property
    def refused(self):
        return not any(200 <= status < 300 for status in self.statuses)

    def __str__(self):
        statuses = " ".join(str(status) for status in self.statuses[:6]) or "closed"
        return f"{self.name}, {self.num_bytes} bytes: {statuses}; {self.cpu_us:.0f} us, {self.cpu:.1f} x the client's; {self.peak_kib} KiB"


def show(what, findings, table, bounded=True):
    if not findings:
        return
    cpu, memory = max(findings, key=lambda f: f.cpu), max(findings, key=lambda f: f.memory)
    over = [f for f in findings if f.cpu > 10 or f.memory > 10]
    table.row(f"{what}: requests", len(findings))
    table.row(f"{what}: CPU time, times the client's, at most", f"{cpu.cpu:.1f}", "at most 10" if bounded else "", not bounded or cpu.cpu <= 10)
    print(f"    {cpu}")
    table.row(f"{what}: memory beyond 1 MiB, times the bytes, at most", f"{max(memory.memory, 0):.1f}", "at most 10" if bounded else "",
              not bounded or memory.memory <= 10)
    print(f"    {memory}")
    if bounded and over:
        print(f"    beyond a bound: {len(over)} of {len(findings)}")
        for finding in sorted(over, key=lambda f: -f.cpu)[:12]:
            print(f"      {finding}")


def pipelined():
    for name, request in [("GET /health", b"GET /health HTTP/1.1\r\nHost:\r\n\r\n"), ("no such route", b"GET /a HTTP/1.1\r\nHost:\r\n\r\n"),
                          ("no such method", b"A / HTTP/1.1\r\nHost:\r\n\r\n"), ("no JSON", post_bytes("/embed", b"{"))]:
        yield name, request * 1000


def corpus_files():
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "mlac/fuzz/http_guard")
    for folder in ("tests/fuzz/corpus/http_guard", cache):
        if os.path.isdir(folder):
            for name in sorted(os.listdir(folder)):
                with open(os.path.join(folder, name), "rb") as file:
                    if content := file.read():
                        yield name, content


def measure_all(tools, model, requests):
    """A finding for each (name, bytes), all of one server."""
    with Server(model) as server:
        server.ask("POST", "/tokenize", b'{"inputs": "a"}')
        tool = Tool(f"{tools}/reliability_amplification", server)
        findings = [Finding(name, request, tool.measure(request)) for name, request in requests]
        tool.close()
        if server.terminate() != 0:
            raise RuntimeError("the server did not end well")
    return findings


def check_raw(tools, models, table):
    """The corpus and the raw requests, all to one server."""
    cases = [json.loads(line) for line in subprocess.run([f"{tools}/reliability_raw_server", "--cases"], stdout=subprocess.PIPE, check=True).stdout.splitlines()]
    groups = [("corpus of http_guard", list(corpus_files())), ("raw requests", [(case["name"], bytes.fromhex(case["bytes"])) for case in cases]),
              ("a thousand requests in one stream", list(pipelined()))]
    for what, requests in groups:
        findings = measure_all(tools, f"{models}/st_mean", requests)
        show(f"{what}, refused", [finding for finding in findings if finding.refused], table)
        show(f"{what}, some answered", [finding for finding in findings if not finding.refused], table, bounded=False)


def json_requests(model, size):
    for route, field in ROUTES[model]:
        for name, body in bodies(field, size):
            yield f"{route}: {name}", post_bytes(route, body)
        if "infer" in route:
            for name, body in tensors(size):
                yield f"{route}: {name}", post_bytes(route, body)
            yield f"{route}: binary texts of no bytes", binary_request(size)


def check_json(tools, models, table):
    findings = []
    for model in ROUTES:
        for size in SIZES:
            requests = list(json_requests(model, size))
            # A fresh server for each large one, so that no memory is left that was taken before.
            groups = [[request] for request in requests] if size > 1_000_000 else [requests]
            for group in groups:
                findings += measure_all(tools, f"m={models}/{model}", group)
    refused = [finding for finding in findings if finding.refused]
    for low, high in [(0, 2_000), (2_000, 100_000), (100_000, 3_000_000)]:
        show(f"JSON of {low / 1000:.0f} to {high / 1000:.0f} KB, refused", [finding for finding in refused if low <= finding.num_bytes < high], table)
    show("JSON, answered 200", [finding for finding in findings if not finding.refused], table, bounded=False)


def check_tokens(tools, models, table):
    """Texts that are too long: their tokens are counted before they are refused."""
    findings = []
    for route, field in [("/v1/embeddings", "input"), ("/embed", "inputs")]:
        for size in SIZES:
            for name, piece in [("letters", "a "), ("words", "the cat sat ")]:
                request = post_bytes(route, repeated(piece, size, f'{{"{field}":"', '"}'))
                findings += measure_all(tools, f"m={models}/st_mean", [(f"{route}: a text of {name}", request)])
    show("texts that are refused for their number of tokens", findings, table, bounded=False)


def main():
    tools, models = sys.argv[1], sys.argv[2]
    table = Table()
    print(processor())
    check_raw(tools, models, table)
    check_json(tools, models, table)
    check_tokens(tools, models, table)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
