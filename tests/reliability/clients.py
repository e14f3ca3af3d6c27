"""Clients that leave a server in every way: clients.py MODEL [COUNT]. Exits 1 if the server loses a descriptor or more than 1 MiB.

Each client of COUNT (10,000) does one of WAYS, cut at a random byte where the way has a cut; eight at a time. COUNT / 2 of them come first, unmeasured:
by then the allocator and the batches have met every size. Then descriptors and resident memory are read before and after.
"""
import random
import socket
import struct
import sys
import time

from serving import Server, Table, in_threads, post_bytes, processor

NUM_AT_ONCE = 8
# One text; and many, whose answer is some 200 KB with the model of clients.sh: more than a socket takes at once.
SHORT = post_bytes("/v1/embeddings", {"input": "a cat on the red roof"})
LONG = post_bytes("/v1/embeddings", {"input": ["a cat on the red roof"] * 512})
WAYS = ["says nothing", "half-closes within the request", "closes within the request", "resets within the request", "half-closes behind the request",
        "closes behind the request", "resets behind the request", "closes within the answer", "resets within the answer", "closes between two requests",
        "resets between two requests"]


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_to_end(connection):
    received = b""
    try:
        while data := connection.recv(1 << 16):
            received += data
    except OSError:  # a reset
        pass
    return received


def leave(server, way, generator):
    """Does one of WAYS. Returns what is wrong with the server's answer, or None."""
    connection = server.connect()
    end = reset if way.startswith("resets") else socket.socket.close
    try:
        if way == "says nothing":
            return None
        if "within the request" in way:
            request = generator.choice([SHORT, LONG])
            connection.sendall(request[: generator.randrange(1, len(request))])
            if not way.startswith("half"):
                return None
            connection.shutdown(socket.SHUT_WR)
            return None if read_to_end(connection).startswith(b"HTTP/1.1 400 ") else "no 400 for half a request"
        if "between" in way:
            connection.sendall(SHORT + SHORT[: generator.randrange(1, len(SHORT))])
            connection.recv(generator.choice([1, 100, 100_000]))
            return None
        request = LONG if "within the answer" in way or generator.random() < 0.1 else SHORT
        connection.sendall(request)
        if "answer" in way:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.recv(generator.randrange(1, 20_000))
        if way.startswith("half"):
            connection.shutdown(socket.SHUT_WR)
            return None if b"HTTP/1.1 200 OK" in read_to_end(connection) else "no answer to a whole request of a client that half-closed"
        return None
    finally:
        end(connection)


def run_clients(server, count, seed):
    faults = []

    def some(i):
        generator = random.Random(seed * NUM_AT_ONCE + i)
        for n in range(i, count, NUM_AT_ONCE):
            way = WAYS[n // NUM_AT_ONCE % len(WAYS)]
            why = leave(server, way, generator)
            if why:
                faults.append(f"{way}: {why}")

    in_threads(NUM_AT_ONCE, some)
    return faults


def main():
    model, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    table = Table()
    print(processor())
    with Server(model) as server:
        server.ask("GET", "/health")
        time.sleep(1)  # for the server to see this client go
        num_idle = server.num_descriptors()
        run_clients(server, count // 2, seed=1)
        server.wait_for_descriptors(num_idle)
        time.sleep(1)  # what the workers still compute
        before = server.memory_kib()
        faults = run_clients(server, count, seed=2)
        took = server.wait_for_descriptors(num_idle)
        num_left = server.num_descriptors() - num_idle
        in_flight = server.metric("mlac_requests_in_flight")
        time.sleep(1)
        after = server.memory_kib()
        cancelled = sum(1 for line in server.read_log().splitlines() if '"status":499' in line)
        table.row("clients that left", count)
        table.row("wrong answers to those that still listened", len(faults), "0", not faults)
        for fault in faults[:5]:
            print("fault:", fault)
        table.row("requests that their client did not wait for (499 in the log, warming up included)", cancelled)
        table.row("descriptors lost", num_left, "0", num_left == 0)
        took_ms = "over 30 s" if took is None else f"{took * 1000:.0f}"
        table.row("ms until the last descriptor was back", took_ms, "at most 100", took is not None and took <= 0.1)
        table.row("requests in flight afterwards", f"{in_flight:.0f}", "0", in_flight == 0)
        table.row("resident memory after, less before (KiB)", after - before, "at most 1024", after - before <= 1024)
        table.row("resident memory before (KiB)", before)
        status = server.terminate()
        table.row("exit status after SIGTERM", str(status), "0", status == 0)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
