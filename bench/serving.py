"""/v1/embeddings under wrk at 1, 8 and 64 connections: `mlac serve`, FastAPI over ONNX Runtime, and llama-cpp-python's server, in turns.

All servers run; only one has requests at any time. wrk shares the cores with the server, as it does for every one of them.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import rig

TEXT = "the quick brown fox jumps over the lazy dog and then runs far away into the dark forest ."  # 21 tokens with [CLS] and [SEP]
BODY = json.dumps({"model": "minilm", "input": TEXT})
TARGET_RATE, TARGET_P99 = 2.0, 0.5


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, name, command):
        """command: a function from a port to the command line."""
        self.name, self.port = name, free_port()
        self.log = open(os.path.join(rig.DATA, "server-" + name.replace(" ", "-") + ".log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(command(self.port), stdout=self.log, stderr=self.log)

    def url(self):
        return f"http://127.0.0.1:{self.port}/v1/embeddings"

    def vector(self):
        """Waits until it answers."""
        request = urllib.request.Request(self.url(), BODY.encode(), {"Content-Type": "application/json"})
        for _ in range(600):
            if self.process.poll() is not None:
                raise rig.WorkerError(f"ended with exit status {self.process.returncode}; see {os.path.relpath(self.log.name, rig.ROOT)}")
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    vector = np.array(json.load(answer)["data"][0]["embedding"])
                    return vector / np.linalg.norm(vector)
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise rig.WorkerError("does not answer within a minute")

    def load(self, connections, seconds):
        done = subprocess.run(["wrk", "-t", str(min(connections, 2)), "-c", str(connections), "-d", f"{seconds}s", "--timeout", "30s", "-s",
                               os.path.join(rig.FOLDER, "serving.lua"), self.url()], capture_output=True, text=True,
                              env={**os.environ, "MLAC_BENCH_BODY": BODY})
        time.sleep(0.5)
        for line in done.stdout.splitlines():
            if line.startswith("RESULT "):
                rate, errors, p50, p99 = map(float, line.split()[1:])
                if errors:
                    raise rig.WorkerError(f"{errors:.0f} errors at {connections} connections")
                return {"rate": rate, "p50": p50, "p99": p99}
        raise rig.WorkerError("wrk gave no result: " + (done.stderr.strip().splitlines() or ["nothing on stderr"])[0])

    def close(self):
        self.process.terminate()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser()
    for name in ("models", "llama"):
        parser.add_argument("--" + name, required=True)  # llama: the Python of its environment, or why there is none
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    folder = os.path.join(options.models, "minilm")
    model, threads = os.path.join(folder, "model"), str(options.threads)
    servers, failures = {}, {}
    servers["mlac"] = Server("mlac", lambda port: [rig.MLAC, "serve", model, "--port", str(port), "--threads", threads])
    servers["FastAPI, onnxruntime"] = Server("fastapi", lambda port: [sys.executable, os.path.join(rig.FOLDER, "fastapi_server.py"), folder, str(port),
                                                                      threads])
    if os.path.exists(options.llama):
        file = os.path.join(folder, "f32.gguf")
        if not os.path.exists(file):
            subprocess.run([options.llama, os.path.join(rig.FOLDER, "gguf_model.py"), model, file], check=True)
        servers["llama-cpp-python"] = Server("llama", lambda port: [options.llama, "-m", "llama_cpp.server", "--model", file, "--embedding", "true",
                                                                    "--n_threads", threads, "--n_threads_batch", threads, "--host", "127.0.0.1",
                                                                    "--port", str(port)])
    else:
        failures["llama-cpp-python"] = options.llama
    vectors = {}
    for name, server in list(servers.items()):
        try:
            vectors[name] = server.vector()
            cosine = float(vectors[name] @ vectors["mlac"])
            if not cosine > 0.9999:
                raise rig.WorkerError(f"its vector has a cosine of {cosine:.5f} to ours: not timed")
        except rig.WorkerError as error:
            failures[name] = str(error)
            servers.pop(name).close()
    rows = []
    print(f"{rig.processor()}, {options.threads} threads", flush=True)
    for connections in (8,) if options.quick else (1, 8, 64):
        figures = {"p50": {}, "p99": {}}

        def load(name):
            figure = servers[name].load(connections, 2 if options.quick else 5)
            for key, values in figures.items():
                values.setdefault(name, []).append(figure[key])
            return [figure["rate"]]

        contestants = {name: lambda n=name: load(n) for name in servers}
        samples, failed = rig.take_turns(contestants, 2 if options.quick else 3)
        group = f"HTTP, {connections} connection" + "s" * (connections > 1)
        rows.append(rig.row(group, "requests/s", samples, {**failures, **failed}, unit="/s", higher_is_better=True, bound=TARGET_RATE))
        rows.append(rig.row(group, "p50", figures["p50"], {}, unit="ms"))
        rows.append(rig.row(group, "p99", figures["p99"], {}, unit="ms", bound=TARGET_P99))
        for line in rows[-3:]:
            rig.show(line)
    rig.save("serving", options.quick, rows, options.threads, used=rig.versions("fastapi", "uvicorn", "onnxruntime"))
    for server in servers.values():
        server.close()


if __name__ == "__main__":
    main()
