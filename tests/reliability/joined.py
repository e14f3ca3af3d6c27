"""Answers of every task and of adapters under mixed load: joined.py FIXTURES [COUNT]. Exits 1 if one is lost or differs from what its model answers alone.

One server has a model of each task, and adapters over two of them, loaded by the admin routes. Each request is asked alone on the idle server first. Then
eight users ask at once until COUNT (10,000) were answered, next to two that send broken requests, while an operator swaps adapters, loads and unloads one,
and swaps the models below them.
"""
import http.client
import json
import os
import random
import shutil
import sys
import tempfile
import threading

from serving import Server, Table, processor

NUM_USERS, NUM_HOSTILE = 8, 2
MODELS = {
    "sorts": "models/classifier",
    "embeds": "models/st_mean",
    "tokens": "families/bert_tokens",
    "answers": "families/bert_qa",
    "entails": "families/electra_nli",
    "masks": "families/distilbert_masked_lm",
}
# Adapter: the model that it stands over, and the folders that it changes between.
ADAPTERS = {
    "topics": ("sorts", ["adapters/bert", "adapters/bert_patterns"]),
    "tone": ("sorts", ["adapters/bert_patterns"]),
    "places": ("tokens", ["adapters/bert_tokens"]),
    "facts": ("answers", ["adapters/bert_qa"]),
}
MORE = ("sorts", "adapters/bert")
TEXTS = ["a cat", "the night is red and open", "small people", "water and light for the train to the large town", "where is it"]
LONG = " ".join(TEXTS * 6)
HOSTILE = [b"{", b'{"inputs": 7}', b'{"inputs": []}', b"[" * 1000, b'{"parameters": {}}', json.dumps({"inputs": "x " * 5000}).encode(),
           json.dumps({"inputs": {"question": "a", "context": "x " * 50000}, "parameters": {"max_seq_len": 24, "doc_stride": 19}}).encode()]


def bodies_of(model):
    base = ADAPTERS[model][0] if model in ADAPTERS else model
    if base in ("sorts", "embeds"):
        return [{"inputs": text} for text in TEXTS] + [{"inputs": TEXTS}]
    if base == "tokens":
        texts = [{"inputs": text, "parameters": {"aggregation_strategy": kind, "ignore_labels": []}} for text in TEXTS for kind in ("none", "first")]
        return texts + [{"inputs": [LONG, TEXTS[0]], "parameters": {"aggregation_strategy": "simple", "stride": 5, "ignore_labels": []}}]
    if base == "answers":
        questions = [{"inputs": {"question": TEXTS[4], "context": text}} for text in TEXTS]
        return questions + [{"inputs": {"question": "who", "context": LONG}, "parameters": {"max_seq_len": 24, "doc_stride": 7, "top_k": 3}}]
    if base == "entails":
        return [{"inputs": text, "parameters": {"candidate_labels": ["cats", "sea", "towns"], "multi_label": many}} for text in TEXTS for many in (False, True)]
    return [{"inputs": text + " [MASK]"} for text in TEXTS] + [{"inputs": "[MASK] and [MASK]", "parameters": {"top_k": 2}}]


class Operator:
    """Who has the key of the admin routes."""

    def __init__(self, server):
        self.server = server

    def ask(self, method, name, body=None):
        status, _, answer = self.server.ask(method, f"/admin/models/{name}", json.dumps(body) if body else None,
                                            {"Authorization": "Bearer master", "Content-Type": "application/json"})
        if status != 200:
            raise RuntimeError(f"{method} {name}: status {status}: {answer[:300]!r}")

    def load_adapter(self, name, folder, base):
        self.ask("PUT", name, {"adapter": folder, "base": base})


def post(connection, model, body):
    connection.request("POST", f"/models/{model}", body if isinstance(body, bytes) else json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def main():
    fixtures, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    table = Table()
    print(processor())
    with tempfile.TemporaryDirectory(prefix="mlac-joined-") as folder:
        root, keys = os.path.join(folder, "root"), os.path.join(folder, "keys")
        for name in [*MODELS.values(), *(place for _, places in ADAPTERS.values() for place in places)]:
            shutil.copytree(os.path.join(fixtures, name), os.path.join(root, name), dirs_exist_ok=True)
        with open(keys, "w", encoding="ascii") as file:
            file.write("master\n")
        named = [f"{name}={os.path.join(root, place)}" for name, place in MODELS.items()]
        with Server(named[0], *named[1:], "--admin-key-file", keys, "--model-root", root) as server:
            failed = run(server, count, table)
            status = server.terminate()
    table.row("exit status", status, "0", status == 0)
    return 1 if table.failed or failed else 0


def run(server, count, table):
    operator = Operator(server)
    first = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    requests, right = [], {}
    for model in [*MODELS, *ADAPTERS]:
        base, places = ADAPTERS.get(model, (None, [None]))
        for place in places:
            if place:
                operator.load_adapter(model, place, base)
            for i, body in enumerate(bodies_of(model)):
                status, answer = post(first, model, body)
                if status != 200:
                    raise RuntimeError(f"{model} {body}: status {status}: {answer[:300]!r}")
                right.setdefault((model, i), set()).add(answer)
        requests += [(model, i, body) for i, body in enumerate(bodies_of(model))]
    before = server.metric("mlac_batch_sequences_sum"), server.metric("mlac_batch_sequences_count")

    lock, answered, faults, done, num_changes = threading.Lock(), [0], [], threading.Event(), [0]

    def use(seed):
        local, connection = random.Random(seed), http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while answered[0] < count and len(faults) < 10:
            model, i, body = local.choice(requests)
            try:
                status, answer = post(connection, model, body)
                fault = None if status == 200 and answer in right[model, i] else f"{model} {json.dumps(body)[:80]}: {status} {answer[:200]!r}"
            except (OSError, http.client.HTTPException) as error:
                fault = f"{model}: lost: {type(error).__name__} {error}"
            with lock:
                answered[0] += 1
                if fault:
                    faults.append(fault)

    def disturb(seed):
        local = random.Random(seed)
        while not done.is_set():
            try:
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
                status, answer = post(connection, local.choice(list(MODELS)), local.choice(HOSTILE))
                connection.close()
                if status < 400 or status >= 500:
                    with lock:
                        faults.append(f"a broken request was answered {status} {answer[:100]!r}")
            except (OSError, http.client.HTTPException):
                pass

    def operate():
        local = random.Random(7)
        while not done.is_set():
            step = num_changes[0] % 5
            if step == 0:
                operator.load_adapter("topics", local.choice(ADAPTERS["topics"][1]), "sorts")
            elif step == 1:
                operator.load_adapter("more", MORE[1], MORE[0])
            elif step == 2:
                base = local.choice(["sorts", "tokens", "answers"])  # and with it what stands over it
                operator.ask("PUT", base, {"folder": MODELS[base]})
            elif step == 3:
                operator.ask("DELETE", "more")
            else:
                operator.ask("PUT", "masks", {"folder": MODELS["masks"]})
            num_changes[0] += 1

    users = [threading.Thread(target=use, args=(seed,)) for seed in range(NUM_USERS)]
    others = [threading.Thread(target=disturb, args=(100 + seed,)) for seed in range(NUM_HOSTILE)] + [threading.Thread(target=operate)]
    for thread in users + others:
        thread.start()
    for thread in users:
        thread.join()
    done.set()
    for thread in others:
        thread.join()
    batches = server.metric("mlac_batch_sequences_count") - before[1]
    mean = (server.metric("mlac_batch_sequences_sum") - before[0]) / batches if batches else 0
    table.row("answers of every task and of adapters, lost or other than alone", f"{len(faults)} of {answered[0]}", "0", not faults)
    table.row("adapters and models loaded, swapped and unloaded meanwhile", num_changes[0], "at least 20", num_changes[0] >= 20)
    table.row("mean batch (sequences)", f"{mean:.2f}")
    for fault in faults[:10]:
        print("fault:", fault)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
