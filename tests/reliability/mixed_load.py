"""Answers under mixed load against the answers alone: mixed_load.py URL COUNT. Exits 1 if a single bit differs.

Sixty texts of 1 to 200 words are embedded one by one on an idle server. Then eight clients at once ask for COUNT answers in requests of one
text or up to sixteen, next to two that send broken requests, and every vector must have the bits (base64 of f32) that it had alone.
"""
import http.client
import json
import random
import sys
import threading
import urllib.parse

NUM_CLIENTS, NUM_HOSTILE = 8, 2
WORDS = "the a small dog cat runs to of water light train people night red blue open close large time word not is was in it for with".split()


class Client:
    def __init__(self, url):
        self.address = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=60)

    def post(self, body):
        self.connection.request("POST", "/v1/embeddings", body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def embed(self, texts):
        status, body = self.post(json.dumps({"input": texts, "encoding_format": "base64"}))
        if status != 200:
            raise RuntimeError(f"status {status}: {body[:200]!r}")
        return [item["embedding"] for item in json.loads(body)["data"]]


def main():
    url, count = sys.argv[1], int(sys.argv[2])
    generator = random.Random(0)
    texts = [" ".join(generator.choice(WORDS) for _ in range(generator.choice([1, 3, 8, 20, 60, 200]))) for _ in range(60)]
    alone = [Client(url).embed([text])[0] for text in texts]
    lock, left, compared, different, faults = threading.Lock(), [count], [0], [0], []
    done = threading.Event()

    def ask(seed):
        local = random.Random(seed)
        client = Client(url)
        while True:
            size = local.choice([1, 1, 1, 2, 5, 16])
            with lock:
                size = min(size, left[0])
                left[0] -= size
            if size == 0:
                return
            chosen = [local.randrange(len(texts)) for _ in range(size)]
            try:
                found = client.embed([texts[i] for i in chosen])
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                with lock:
                    faults.append(str(error))
                return
            with lock:
                compared[0] += size
                different[0] += sum(alone[i] != vector for i, vector in zip(chosen, found))

    def disturb(seed):
        local = random.Random(seed)
        bodies = ["{", '{"input": 7}', '{"input": []}', '{"input": "' + "x " * 5000 + '"}', "[" * 1000, '{"input": "a", "dimensions": -1}']
        while not done.is_set():
            try:
                status, _ = Client(url).post(local.choice(bodies))
                if status < 400 or status >= 500:
                    with lock:
                        faults.append(f"a broken request was answered {status}")
            except (OSError, http.client.HTTPException):
                pass

    clients = [threading.Thread(target=ask, args=(seed,)) for seed in range(NUM_CLIENTS)]
    hostile = [threading.Thread(target=disturb, args=(100 + seed,)) for seed in range(NUM_HOSTILE)]
    for thread in clients + hostile:
        thread.start()
    for thread in clients:
        thread.join()
    done.set()
    for thread in hostile:
        thread.join()
    print(f"{'answers under mixed load, with other bits than alone':<58} {different[0]:>5} of {compared[0]:<5}  0")
    for fault in faults[:5]:
        print("fault:", fault)
    return 1 if different[0] or faults or compared[0] != count else 0


if __name__ == "__main__":
    sys.exit(main())
