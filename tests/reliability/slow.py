"""Slow clients: slow.py MODEL [--connections 1000] [--seconds 66] [--together]. Exits 1 if normal clients are held up, or a slow one stays too long.

A thousand connections send a head or a body, or take an answer, a byte a second each; one that is closed is opened anew. Those that send go on sending
behind the answer 408 and do not close, until the server has closed for good: then the next byte fails. Beside them wrk asks with eight connections, one text
of 21 tokens each; before, it asks alone. A minute and some seconds, because a body and an answer have 60 s.
"""
import argparse
import os
import random
import resource
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from serving import Server, Table, post_bytes, processor

NUM_NORMAL = 8
ALONE_S = 20
STEP_S = 0.02  # in which each connection whose second has passed sends or takes a byte
TEXT = "the quick brown fox jumps over the lazy dog and then runs far away into the dark forest ."
WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"input": "%s"}'
function done(summary, latency)
  io.write(string.format("RESULT %%.1f %%d %%.3f %%.3f\\n", summary.requests / summary.duration * 1e6,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""
HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
BODY = post_bytes("/v1/embeddings", b" " * 1000)[:-1000]
# More than the sockets take of answers, while the client takes next to nothing.
READ = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 40
KINDS = [  # name, what is sent first, what is sent then, the time limit of the server
    ("heads", HEAD, b"a", 10),
    ("bodies", BODY, b" ", 60),
    ("reading", READ, b"", 60),
]


class Wrk:
    def __init__(self, server, seconds):
        self.script = tempfile.NamedTemporaryFile("w", suffix=".lua")
        self.script.write(WRK % TEXT)
        self.script.flush()
        command = ["wrk", "-t", "1", "-c", str(NUM_NORMAL), "-d", f"{seconds}s", "--timeout", "30s", "-s", self.script.name,
                   f"http://127.0.0.1:{server.port}/v1/embeddings"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def result(self):
        """(requests/s, errors, p50 ms, p99 ms)"""
        output = self.process.communicate()[0]
        values = next(line for line in output.splitlines() if line.startswith("RESULT ")).split()[1:]
        return float(values[0]), int(values[1]), float(values[2]), float(values[3])


class SlowClient:
    def __init__(self, server, first, phase):
        self.socket = socket.socket()
        # As over a network: with the loopback's segments of 64 KiB the system would take megabytes of an answer that nobody reads.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", server.port))
        self.socket.setblocking(False)
        self.socket.send(first)
        self.start = time.monotonic()
        self.next = self.start + phase
        self.answered = None  # when the server's answer and its end were there
        self.status = ""


class SlowLoad:
    def __init__(self, server, kind, count):
        self.server = server
        self.name, self.first, self.then, self.limit_s = kind
        self.generator = random.Random(0)
        self.poll = select.epoll()
        self.clients = {}
        self.ages, self.answer_ages, self.statuses = [], [], {}
        self.count = count
        for _ in range(count):
            self.open()

    def open(self):
        client = SlowClient(self.server, self.first, self.generator.random())
        # The end of what the server sends shows as RDHUP, a reset as HUP; bytes that come do not matter.
        self.poll.register(client.socket.fileno(), select.EPOLLRDHUP | select.EPOLLET)
        self.clients[client.socket.fileno()] = client

    def close(self, client, now):
        self.ages.append(now - client.start)
        self.statuses[client.status] = self.statuses.get(client.status, 0) + 1
        self.poll.unregister(client.socket.fileno())
        del self.clients[client.socket.fileno()]
        client.socket.close()

    def step(self, now):
        for fileno, events in self.poll.poll(0):
            client = self.clients[fileno]
            if events & select.EPOLLRDHUP and client.answered is None:
                client.answered = now
                self.answer_ages.append(now - client.start)
            if events & (select.EPOLLHUP | select.EPOLLERR):
                self.close(client, now)
        while len(self.clients) < self.count:
            self.open()
        for client in [client for client in self.clients.values() if client.next <= now]:
            client.next += 1
            try:
                if not self.then:
                    client.socket.recv(1)
                elif client.answered and not client.status:
                    client.status = client.socket.recv(16)[9:12].decode()
                if self.then:
                    client.socket.send(self.then)
            except BlockingIOError:
                pass
            except OSError:  # a reset
                self.close(client, now)

    def finish(self):
        """Closes what is left and returns the greatest age of it."""
        now = time.monotonic()
        oldest = max((now - client.start for client in self.clients.values()), default=0.0)
        for client in self.clients.values():
            client.socket.close()
        return oldest


def check_kinds(server, kinds, options, table):
    """The kinds at the same time, options.connections of each."""
    alone = Wrk(server, ALONE_S).result()
    loads = [SlowLoad(server, kind, options.connections) for kind in kinds]
    wrk = Wrk(server, options.seconds)
    cpu, end = time.process_time(), time.monotonic() + options.seconds + 1
    while (now := time.monotonic()) < end:
        for load in loads:
            load.step(now)
        time.sleep(max(0.0, STEP_S - (time.monotonic() - now)))
    cpu = time.process_time() - cpu
    beside = wrk.result()
    names = ", ".join(load.name for load in loads)
    ratio = beside[3] / alone[3]
    table.row(f"{NUM_NORMAL} normal clients alone: p50, p99 (ms), requests/s", f"{alone[2]:.2f} {alone[3]:.2f} {alone[0]:.0f}")
    table.row(f"beside {options.connections} slow ones of each kind ({names})", f"{beside[2]:.2f} {beside[3]:.2f} {beside[0]:.0f}")
    table.row("p99 beside them, as a multiple of p99 alone", f"{ratio:.2f}", "at most 2", ratio <= 2)
    table.row("errors of the normal clients", alone[1] + beside[1], "0", alone[1] + beside[1] == 0)
    table.row("share of a core that the slow clients took from all", f"{cpu / options.seconds:.2f}")
    for load in loads:
        show_ages(load, options, table)


def show_ages(load, options, table):
    oldest = max(load.finish(), max(load.ages, default=0.0))
    statuses = ", ".join(f"{count} x {status or 'no status seen'}" for status, count in sorted(load.statuses.items()))
    table.row(f"slow {load.name}: closed by the server ({statuses})", len(load.ages), f"at least {options.connections}",
              len(load.ages) >= options.connections)
    if load.answer_ages:
        table.row(f"slow {load.name}: s until the server's last byte and its end (median, longest)",
                  f"{statistics.median(load.answer_ages):.2f} {max(load.answer_ages):.2f}", f"at most {load.limit_s} + 1",
                  max(load.answer_ages) <= load.limit_s + 1)
    # Up to a second of it is the client's: it finds out by its next byte.
    ages = f"{statistics.median(load.ages):.2f} {oldest:.2f}" if load.ages else f"none {oldest:.2f}"
    table.row(f"slow {load.name}: s until a byte more failed (median, longest)", ages, f"at most {load.limit_s} + 1 + 1", oldest <= load.limit_s + 2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=66)
    parser.add_argument("--together", action="store_true", help="the three kinds at once, --connections of each")
    options = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    table = Table()
    print(processor(), f"{os.cpu_count()} cores")
    with Server(options.model) as server:
        num_idle = server.num_descriptors()
        for kinds in [KINDS] if options.together else [[kind] for kind in KINDS]:
            check_kinds(server, kinds, options, table)
            took = server.wait_for_descriptors(num_idle + 1)
            table.row("s until the server has its descriptors back", "over 30" if took is None else f"{took:.2f}", "", took is not None)
        status = server.terminate()
        table.row("exit status after SIGTERM", str(status), "0", status == 0)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
