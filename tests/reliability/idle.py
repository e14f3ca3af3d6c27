"""Connections that do nothing, and descriptors that run out: idle.py MODEL [COUNT]. Exits 1 if memory, CPU time or a time is outside of its bound.

COUNT (10,000) connections say nothing at all; then each has had an answer to a request with a large head and waits for the next. Then the limit of
descriptors of the running server is lowered to what it has and a few more, so that its accept fails: it must not spin, and must serve those that wait as
soon as others go. Memory is resident memory of the process; what the system holds for a socket is not in it.
"""
import resource
import select
import socket
import sys
import time

from serving import Server, Table, post_bytes, processor

REST_S = 10
IDLE_S = 1  # after which the server closes an idle connection for another
SLACK = 24  # descriptors that the server may open yet when they are made scarce
NUM_WAITING = 100
PLAIN = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE_HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 7000 + b"\r\nX-B: " + b"b" * 7000 + b"\r\n\r\n"
# Holds its connection for a body that does not come, so that it does not count as idle.
WHOLE = post_bytes("/v1/embeddings", {"input": "a cat"})
HALF = WHOLE[:-1]


def cpu_share(server, seconds=REST_S):
    start, cpu = time.monotonic(), server.cpu_s()
    time.sleep(seconds)
    return (server.cpu_s() - cpu) / (time.monotonic() - start)


def receive(connection):
    answer = connection.recv(1 << 16)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"no 200 but {answer[:80]!r}")


def check_idle(model, count, table):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    if limit[1] < count + 200:
        print(f"the machine allows a process {limit[1]} descriptors, too few for {count} connections on either side")
        table.row("idle connections", limit[1], str(count), False)
        return
    with Server(model) as server:
        server.ask("GET", "/health")
        before = server.memory_kib()
        start = time.monotonic()
        connections = [server.connect() for _ in range(count)]
        receive_on_all(connections[-1:], PLAIN)  # it is behind the others in the queue
        table.row(f"s to connect {count} times", f"{time.monotonic() - start:.2f}")
        table.row("connections that the server holds", f"{server.metric('mlac_connections') - 1:.0f}", f"at least {count}",
                  server.metric("mlac_connections") > count)
        show_memory("KiB a connection, nothing said", server, before, count, table)
        start = time.monotonic()
        receive_on_all(connections, LARGE_HEAD)
        table.row("s for a request with a head of 14 KiB on each", f"{time.monotonic() - start:.2f}")
        show_memory("KiB a connection, one answer each", server, before, count, table)
        share = cpu_share(server)
        table.row(f"CPU of the server with {count} idle connections (% of a core, {REST_S} s)", f"{share * 100:.2f}", "at most 5", share <= 0.05)
        latencies = sorted(timed(lambda: server.ask("GET", "/health")) for _ in range(200))
        table.row("ms for a new client's request beside them, 99th of 100", f"{latencies[197] * 1000:.2f}")
        num_open = count_open(connections)
        table.row("of them still open", num_open, str(count), num_open == count)
        num_descriptors = server.num_descriptors()
        for connection in connections:
            connection.close()
        server.wait_for_descriptors(num_descriptors - count)
        time.sleep(1)
        table.row("MiB of memory left of it after all have closed", f"{(server.memory_kib() - before) / 1024:.1f}")
        status = server.terminate()
        table.row("exit status after SIGTERM", str(status), "0", status == 0)


def count_open(connections):
    """Those that are not readable: the end of a connection would be."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    return len(connections) - len(poll.poll(0))


def receive_on_all(connections, request):
    for connection in connections:
        connection.sendall(request)
        receive(connection)


def show_memory(what, server, before, count, table):
    time.sleep(0.5)
    each = (server.memory_kib() - before) / count
    table.row(what, f"{each:.2f}", "at most 16", each <= 16)


def timed(work):
    start = time.monotonic()
    work()
    return time.monotonic() - start


def finish(connection):
    connection.sendall(WHOLE[len(HALF) :])
    receive(connection)


def check_exhausted(model, table, held_by, held_bytes):
    """held_by: what the connections that have the last descriptors do."""
    with Server(model) as server:
        server.ask("GET", "/health")
        time.sleep(0.5)  # for the server to see this client go
        soft = server.num_descriptors() + SLACK
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        held = []
        for _ in range(SLACK):
            held.append(server.connect())
            held[-1].sendall(held_bytes)
        start = time.monotonic()
        waiting = [server.connect() for _ in range(NUM_WAITING)]  # the system accepts them, the server cannot
        for connection in waiting:
            connection.sendall(PLAIN)
        bound, after = IDLE_S + 1, "they came"  # those that idle give way by themselves
        if held_bytes == HALF:
            bound, after = 1, "the others went"
            time.sleep(0.5)
            num_served = NUM_WAITING - count_open(waiting)
            table.row(f"descriptors exhausted by {held_by}: of {NUM_WAITING} more clients, served", num_served, "0", num_served == 0)
            share = cpu_share(server)
            table.row(f"{held_by}: CPU of the server (% of a core, {REST_S} s)", f"{share * 100:.2f}", "at most 5", share <= 0.05)
            took = timed(lambda: finish(held.pop()))
            table.row(f"{held_by}: ms for one of those to be answered, once it is whole", f"{took * 1000:.1f}", "at most 100", took <= 0.1)
            for connection in held:
                connection.close()
            start = time.monotonic()
        first = None  # each that is served makes room for the next
        for connection in waiting:
            connection.settimeout(30)
            receive(connection)
            first = first or time.monotonic() - start
            connection.close()
        last = time.monotonic() - start
        table.row(f"{held_by}: s since {after} until the first of {NUM_WAITING} that wait is served", f"{first:.2f}", f"at most {bound}", first <= bound)
        table.row(f"{held_by}: s until the last is", f"{last:.2f}", f"at most {bound + 1}", last <= bound + 1)
        status = server.terminate()
        table.row("exit status after SIGTERM", str(status), "0", status == 0)


def main():
    model, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    table = Table()
    print(processor())
    socket.setdefaulttimeout(60)
    check_idle(model, count, table)
    check_exhausted(model, table, "requests under way", HALF)
    check_exhausted(model, table, "connections that idle", b"")
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
