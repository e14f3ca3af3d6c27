"""What floods cost a server: floods.py MODEL. Exits 1 if a status, the memory or the CPU time is outside of its bound.

Each flood comes from NUM_AT_ONCE connections at the same time (memory by connection) or from one (CPU time, memory in all). Memory is the peak of resident
memory during the flood, less resident memory before it; CPU time is that of the whole server.
"""
import itertools
import sys
import threading
import time

from serving import Server, Table, in_threads, processor

NUM_AT_ONCE = 32
PAYLOAD_LIMIT = 2_000_000  # of mlac serve
GB = 1_000_000_000
STEP = 1 << 16
POST = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
JSON = b'{"input": "a"' + b" " * (500_000 - 14) + b"}"


def repeated(piece, num_bytes):
    """At least num_bytes of piece, in steps."""
    step = piece * (STEP // len(piece) + 1)
    for _ in range(0, num_bytes, len(step)):
        yield step


def one_byte_chunks(body):
    for begin in range(0, len(body), STEP // 6):
        yield b"".join(b"1\r\n%c\r\n" % byte for byte in body[begin : begin + STEP // 6])
    yield b"0\r\n\r\n"


def numbered_fields(count):
    for begin in range(0, count, 4096):
        yield b"".join(b"X-%d: v\r\n" % i for i in range(begin, min(begin + 4096, count)))


HEADS = [  # name, first bytes, what follows
    ("a field of 1 GB", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ", lambda: repeated(b"a", GB)),
    ("10^6 fields", b"GET /health HTTP/1.1\r\nHost: localhost\r\n", lambda: numbered_fields(1_000_000)),
    ("1 GB without a newline", b"", lambda: repeated(b"a", GB)),
    ("1 GB of a target", b"GET /", lambda: repeated(b"a", GB)),
    ("1 GB of empty lines", b"", lambda: repeated(b"\r\n", GB)),
    ("1 GB of trailers", CHUNKED + b"0\r\n", lambda: repeated(b"X: v\r\n", GB)),
    ("1 GB of an extension of a chunk", CHUNKED + b"5;", lambda: repeated(b"a", GB)),
]
BODIES = [  # name, bytes, the status
    ("a length of 10^15", lambda: [POST + b"Content-Length: 1000000000000000\r\n\r\n", *repeated(b" ", 4 << 20)], 413),
    ("a length of 10^15, Expect", lambda: [POST + b"Content-Length: 1000000000000000\r\nExpect: 100-continue\r\n\r\n"], 413),
    ("a chunk of the limit and 64 KiB", lambda: [CHUNKED + b"fffffff\r\n", *repeated(b" ", PAYLOAD_LIMIT), b" " * (1 << 16)], 413),
    ("chunks of 1000 bytes, the limit and 64 KiB", lambda: [CHUNKED, *repeated(b"3e8\r\n" + b" " * 1000 + b"\r\n", PAYLOAD_LIMIT + (1 << 16))], 413),
    ("500,000 chunks of one byte (3 MB on the wire)", lambda: [CHUNKED, *one_byte_chunks(JSON)], 200),
    ("3,000,000 chunks of one byte (3 MB of body)", lambda: [CHUNKED, *one_byte_chunks(b" " * 3_000_000)], 413),
    ("a length that lies: 2,000,000, then 10 bytes and the end", lambda: [POST + b"Content-Length: 2000000\r\n\r\n{\"input\": "], 400),
]


def flood(server, pieces, finish):
    """Sends until all is sent or the server takes no more; returns the status (0: none) and the number of bytes sent."""
    connection = server.connect()
    num_sent = 0
    try:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:  # closed by the server
                break
            num_sent += len(piece)
        try:
            if finish:
                connection.shutdown(1)
            answer = connection.recv(STEP)
        except OSError:
            answer = b""
        return (int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0), num_sent
    finally:
        connection.close()


def measure(server, work):
    """(CPU seconds, KiB of peak above before) of work()."""
    time.sleep(0.3)
    before = server.memory_kib()
    server.reset_peak()
    start = server.cpu_s()
    work()
    time.sleep(0.1)
    return server.cpu_s() - start, server.memory_kib("VmHWM") - before


def fresh_server(model):
    """One that has answered a request, so that what is made at the first one is there, and has no memory left from floods before."""
    server = Server(model)
    server.ask("POST", "/v1/embeddings", b'{"input": "a"}')
    return server


def check_heads(model, table):
    for name, first, rest in HEADS:
        outcomes = []
        with fresh_server(model) as server:
            one = lambda _: outcomes.append(flood(server, itertools.chain([first], rest()), finish=False))
            _, kib = measure(server, lambda: in_threads(NUM_AT_ONCE, one))
            check_alive(server, name, table)
        statuses = sorted({status for status, _ in outcomes})
        # 0: the answer was thrown away with what the server did not read any more.
        ok = set(statuses) <= {0, 400, 431}
        sent = max(num_sent for _, num_sent in outcomes) / 1e6
        table.row(f"{name}: statuses (at most {sent:.1f} MB were taken)", " ".join(map(str, statuses)), "431, 400 or closed", ok)
        table.row(f"{name}: KiB a connection, of {NUM_AT_ONCE}", f"{kib / NUM_AT_ONCE:.1f}", "at most 64", kib <= 64 * NUM_AT_ONCE)


def check_alive(server, name, table):
    health = server.ask("GET", "/health")[0]
    status = server.terminate()
    if health != 200 or status != 0:
        table.row(f"{name}: /health, exit status", f"{health} {status}", "200 0", False)


def check_waiting(model, table):
    """Connections that stay in the middle of the largest head, or of a body that claims the limit."""
    for name, piece in [("a head of 16 KiB but a byte", b"GET /health HTTP/1.1\r\nA: " + b"a" * 8000 + b"\r\nB: " + b"b" * 8000 + b"\r\nC: " + b"c" * 300),
                        ("a length of 2,000,000 and one byte", POST + b"Content-Length: 2000000\r\n\r\n{"),
                        ("Expect, and no body", POST + b"Content-Length: 2000000\r\nExpect: 100-continue\r\n\r\n")]:
        connections = []
        lock = threading.Lock()

        def wait(server):
            connection = server.connect()
            connection.sendall(piece)
            with lock:
                connections.append(connection)

        def hold(server):
            in_threads(NUM_AT_ONCE * 8, lambda _: wait(server))
            time.sleep(0.3)

        with fresh_server(model) as server:
            _, kib = measure(server, lambda: hold(server))
            for connection in connections:
                connection.close()
            check_alive(server, name, table)
        table.row(f"{name}, held: KiB a connection, of {len(connections)}", f"{kib / len(connections):.1f}", "at most 64", kib <= 64 * len(connections))


def check_bodies(model, table):
    for name, pieces, expected in BODIES:
        made = list(pieces())
        found = []
        with fresh_server(model) as server:
            cpu, kib = measure(server, lambda: found.append(flood(server, made, finish=expected == 400)))
            check_alive(server, name, table)
        table.row(f"{name}: status", found[0][0], str(expected), found[0][0] == expected)
        table.row(f"{name}: CPU s", f"{cpu:.2f}", "at most 1", cpu <= 1)
        table.row(f"{name}: KiB", kib, "at most 8192", kib <= 8192)


def main():
    model = sys.argv[1]
    table = Table()
    print(processor())
    check_heads(model, table)
    check_waiting(model, table)
    check_bodies(model, table)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
