"""Ten times the capacity: overload.py CLIENT MODEL [--seconds 60]. Exits 1 if throughput, a refusal or a status is outside of its bound.

The server has one core and one thread that computes, the client the other core: so the client takes nothing from the server, and what the server loses
under overload is what its own refusals cost. Capacity is what closed loops of 256 connections get. Under overload the client sends ten times as many requests a
second, each when it is due, whether or not the others were answered (an open loop: a client that waits for answers would slow down with the server). The two
take turns, since what a core does in a second may differ by a third from one minute to the next: each turn of overload is compared with the capacity before and
behind it, and the median of the turns counts. Two lengths of text: the shorter, the more refusals for each answer. Beside the throughput stands what share of the
server's processor time the thread took that reads, refuses and answers.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

from serving import Server, Table, post_bytes, processor

SERVER_CORE, CLIENT_CORE = 0, 1
TEXTS = {
    "21 tokens": "the quick brown fox jumps over the lazy dog and then runs far away into the dark forest .",
    "128 tokens": " ".join(["the quick brown fox jumps over the lazy dog and then runs far away into the dark forest"] * 7),
}
NUM_TURNS, CAPACITY_S = 6, 5
NUM_CONNECTIONS = 2048  # more than the server holds requests (512), so that there is always one for the next request


class Load:
    def __init__(self, client, server, text):
        self.client, self.server = client, server
        self.request = post_bytes("/v1/embeddings", {"input": text, "encoding_format": "base64"})

    def run(self, rate, seconds, connections):
        """What the client printed, and the server's CPU time meanwhile, of all threads and of those that do not compute."""
        cpu, own = self.server.cpu_s(), self.server.thread_cpu_s()
        command = ["taskset", "-c", str(CLIENT_CORE), self.client, str(self.server.port), str(rate), str(seconds), str(connections)]
        result = json.loads(subprocess.run(command, input=self.request, stdout=subprocess.PIPE, check=True).stdout)
        threads = sorted(after - own.get(thread, 0) for thread, after in self.server.thread_cpu_s().items())
        return result | {"server_cpu_s": self.server.cpu_s() - cpu, "other_cpu_s": sum(threads[:-1])}  # the busiest computes


def rate(run):
    return run["statuses"].get("200", {"count": 0})["count"] / run["seconds"]


def check_text(client, server, name, text, seconds, table):
    load = Load(client, server, text)
    load.run(0, 2, 64)  # warm
    capacities, floods = [load.run(0, CAPACITY_S, 256)], []
    sent = 10 * rate(capacities[0])
    for _ in range(NUM_TURNS):
        floods.append(load.run(sent, seconds / NUM_TURNS, NUM_CONNECTIONS))
        capacities.append(load.run(0, CAPACITY_S, 256))
    shares = sorted(rate(flood) / ((rate(before) + rate(after)) / 2) for before, flood, after in zip(capacities, floods, capacities[1:]))
    share = statistics.median(shares)
    refused = [flood["statuses"].get("429", {"count": 0, "p50": 0, "p99": 0, "p999": 0, "max": 0}) for flood in floods]
    flood_s, num_refused = sum(flood["seconds"] for flood in floods), sum(times["count"] for times in refused)
    rates = sorted(rate(run) for run in capacities)
    table.row(f"{name}: capacity, answers/s (median of {len(rates)} turns; least, most {rates[0]:.1f} {rates[-1]:.1f})", f"{statistics.median(rates):.1f}")
    num_sent = sum(times["count"] for flood in floods for times in flood["statuses"].values())
    held_back = sum(flood["held_back"] for flood in floods)
    table.row(f"{name}: requests/s sent (not sent, for want of a connection: {held_back})", f"{num_sent / flood_s:.1f}", f"{sent:.1f}", held_back == 0)
    table.row(f"{name}: answers/s under overload, of the capacity beside it (median; least, most {shares[0]:.1%} {shares[-1]:.1%})", f"{share:.1%}",
              "at least 95 %", share >= 0.95)
    own = [sum(run["other_cpu_s"] for run in runs) / sum(run["server_cpu_s"] for run in runs) for runs in (capacities, floods)]
    table.row(f"{name}: share of the server's CPU time that does not compute, at capacity and under overload", f"{own[0]:.1%} {own[1]:.1%}")
    without = sum(flood["without_retry_after"] for flood in floods)
    table.row(f"{name}: answers 429 with Retry-After (without: {without})", num_refused, "all of the rest", without == 0)
    p99 = statistics.median(times["p99"] for times in refused)
    times = f"p50 {statistics.median(t['p50'] for t in refused):.2f}, p99.9 {statistics.median(t['p999'] for t in refused):.2f}, longest {max(t['max'] for t in refused):.2f}"
    table.row(f"{name}: ms until a 429, 99th of 100 (medians of the turns; {times})", f"{p99:.2f}", "at most 5", p99 <= 5)
    others = sum(s["count"] for flood in floods for status, s in flood["statuses"].items() if status not in ("200", "429"))
    failed = sum(flood["failed"] for flood in floods)
    table.row(f"{name}: other answers; connections that failed", f"{others} {failed}", "0 0", not others and not failed)
    used = sum(flood["server_cpu_s"] for flood in floods) / flood_s, sum(flood["cpu_s"] for flood in floods) / flood_s
    table.row(f"{name}: share of its core that the server used, and the client of its own", f"{used[0]:.2f} {used[1]:.2f}")


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
