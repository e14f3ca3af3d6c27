"""A swap by alias under load: alias.py FIRST SECOND [COUNT]. Exits 1 if a request is lost, or answered by another model than its header names.

`mlac serve search@production` follows the alias while it is promoted to and fro between two models with other answers. 64 clients ask without a pause until COUNT
(10,000) requests were answered and the models have changed places NUM_SWAPS times.
"""
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

from serving import MLAC, Server, Table, processor

NUM_CLIENTS = 64
NUM_SWAPS = 20
TEXT = "how do I reset my password"


def mlac(*arguments, env):
    return subprocess.run([MLAC, *arguments], env=env, check=True, capture_output=True, text=True).stdout


class Load:
    def __init__(self, port, expected):
        self.port, self.expected = port, expected
        self.stopping = False
        self.lock = threading.Lock()
        self.num_answered, self.faults, self.seen = 0, [], {}

    def ask(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = json.dumps({"inputs": TEXT})
        while not self.stopping:
            try:
                connection.request("POST", "/", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                revision, values = answer.headers["x-model-revision"], answer.read()
                fault = None
                if answer.status != 200 or json.loads(values) != self.expected.get(revision):
                    fault = f"status {answer.status}, revision {revision}: another answer than that model's"
            except (OSError, http.client.HTTPException) as error:
                revision, fault = None, f"lost: {type(error).__name__} {error}"
            with self.lock:
                self.num_answered += 1
                self.seen[revision] = time.monotonic()
                if fault:
                    self.faults.append(fault)
        connection.close()


def main():
    models, count = sys.argv[1:3], int(sys.argv[3]) if len(sys.argv) > 3 else 10_000
    table = Table()
    print(processor())
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "MLAC_STORE": folder + "/store"}
        expected = {}
        for model in models:
            revision = json.loads(mlac("store", "add", model, "--name", "search", "--json", env=env))["revision"]
            expected[revision] = json.loads(mlac("run", "feature-extraction", "-m", model, "--json", TEXT, env=env))
        revisions = list(expected)
        mlac("promote", f"search@{revisions[0]}", "production", env=env)
        longest, num_swaps = 0.0, 0
        with Server("search@production", env=env) as server:
            load = Load(server.port, expected)
            threads = [threading.Thread(target=load.ask) for _ in range(NUM_CLIENTS)]
            for thread in threads:
                thread.start()
            while (load.num_answered < count or num_swaps < NUM_SWAPS) and not load.faults:
                num_swaps += 1
                revision = revisions[num_swaps % 2]
                mlac("promote", f"search@{revision}", "production", env=env)
                start = time.monotonic()
                while load.seen.get(revision, 0) < start and not load.faults and time.monotonic() < start + 60:
                    time.sleep(0.005)
                longest = max(longest, time.monotonic() - start)
            load.stopping = True
            for thread in threads:
                thread.join()
            status = server.terminate()
    table.row("swaps by promotion", num_swaps)
    table.row("requests answered", load.num_answered, f"at least {count}", load.num_answered >= count)
    table.row("lost, or with another model's answer", len(load.faults), "0", not load.faults)
    for fault in load.faults[:10]:
        print("fault:", fault)
    table.row("longest time from the promotion to the first answer of its model (s)", f"{longest:.2f}", "at most 10", longest <= 10)
    table.row("exit status", status, "0", status == 0)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
