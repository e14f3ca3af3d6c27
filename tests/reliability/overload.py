"""Ten times the capacity: overload.py CLIENT MODEL [--seconds 60]. Exits 1 if throughput, a refusal or a status is outside of its bound.

The server has one core and one thread that computes, the client the other core: so the client takes nothing from the server, and what the server loses
under overload is what its own refusals cost. Capacity is the best of closed loops of 64 and of 256 connections, before and after. Then the client sends ten
times as many requests a second for 60 s, each when it is due, whether or not the others were answered (an open loop: a client that waits for answers would
slow down with the server). Two lengths of text: the shorter, the more refusals for each answer.
"""
import argparse
import json
import os
import subprocess
import sys

from serving import Server, Table, post_bytes, processor

SERVER_CORE, CLIENT_CORE = 0, 1
TEXTS = {
    "21 tokens": "the quick brown fox jumps over the lazy dog and then runs far away into the dark forest .",
    "128 tokens": " ".join(["the quick brown fox jumps over the lazy dog and then runs far away into the dark forest"] * 7),
}
NUM_CONNECTIONS = 2048  # more than the server holds requests (512), so that there is always one for the next request


class Load:
    def __init__(self, client, server, text):
        self.client, self.server = client, server
        self.request = post_bytes("/v1/embeddings", {"input": text, "encoding_format": "base64"})

    def run(self, rate, seconds, connections):
        """What the client printed, and the server's CPU time meanwhile."""
        cpu = self.server.cpu_s()
        command = ["taskset", "-c", str(CLIENT_CORE), self.client, str(self.server.port), str(rate), str(seconds), str(connections)]
        result = json.loads(subprocess.run(command, input=self.request, stdout=subprocess.PIPE, check=True).stdout)
        return result | {"server_cpu_s": self.server.cpu_s() - cpu}

    def capacity(self, seconds):
        """The answers of clients that wait for answers, a second and a second of the server's CPU time."""
        runs = [self.run(0, seconds, connections) for connections in (64, 256)]
        return max(answered(run) / run["seconds"] for run in runs), max(answered(run) / run["server_cpu_s"] for run in runs)


def answered(result):
    return result["statuses"].get("200", {"count": 0})["count"]


def check_text(client, server, name, text, seconds, table):
    load = Load(client, server, text)
    load.run(0, 2, 64)  # warm
    before, before_by_cpu = load.capacity(10)
    flooded = load.run(10 * before, seconds, NUM_CONNECTIONS)
    after, after_by_cpu = load.capacity(5)
    peak = max(before, after)
    statuses = flooded["statuses"]
    found = answered(flooded) / flooded["seconds"]
    by_cpu = answered(flooded) / flooded["server_cpu_s"] / max(before_by_cpu, after_by_cpu)
    refused = statuses.get("429", {"count": 0, "p50": 0, "p99": 0, "p999": 0, "max": 0})
    table.row(f"{name}: capacity, answers/s (before {before:.1f}, after {after:.1f})", f"{peak:.1f}")
    table.row(f"{name}: requests/s sent", f"{sum(s['count'] for s in statuses.values()) / flooded['seconds']:.1f}", "ten times that",
              flooded["held_back"] == 0)
    share = found / peak
    table.row(f"{name}: answers/s under overload ({share:.1%} of the capacity)", f"{found:.1f}", "at least 95 %", share >= 0.95)
    # What other work on the machine takes from one of the runs is not in it.
    table.row(f"{name}: answers a second of the server's CPU time under overload, less by", f"{1 - by_cpu:.1%}")
    table.row(f"{name}: answers 429 with Retry-After (without: {flooded['without_retry_after']})", refused["count"], "all of the rest",
              flooded["without_retry_after"] == 0)
    times = f"p50 {refused['p50']:.2f}, p99 {refused['p99']:.2f}, p99.9 {refused['p999']:.2f}, longest {refused['max']:.2f}"
    table.row(f"{name}: ms until a 429, 99th of 100 ({times})", f"{refused['p99']:.2f}", "at most 5", refused["p99"] <= 5)
    others = {status: s["count"] for status, s in statuses.items() if status not in ("200", "429")}
    table.row(f"{name}: other answers; connections that failed", f"{sum(others.values())} {flooded['failed']}", "0 0", not others and not flooded["failed"])
    table.row(f"{name}: share of its core that the server used, and the client of its own",
              f"{flooded['server_cpu_s'] / flooded['seconds']:.2f} {flooded['cpu_s'] / flooded['seconds']:.2f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("client")
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--texts", type=int, default=len(TEXTS), help="1: the shorter alone")
    options = parser.parse_args()
    if os.cpu_count() < 2:
        sys.exit("overload: this check takes two cores")
    table = Table()
    print(processor())
    with Server(options.model, "--threads", "1", before=["taskset", "-c", str(SERVER_CORE)]) as server:
        for name, text in list(TEXTS.items())[: options.texts]:
            check_text(options.client, server, name, text, options.seconds, table)
        status = server.terminate()
        table.row("exit status after SIGTERM", str(status), "0", status == 0)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
