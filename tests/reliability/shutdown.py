"""SIGTERM under load: shutdown.py MODEL [COUNT]. Exits 1 if an accepted request is lost or the server does not end with status 0 in time.

In each round a new server has NUM_KEPT clients that send request after request on one connection, and NUM_FRESH that connect for each. At a random moment
it gets SIGTERM. A client that reads "Connection: close", or cannot connect any more, stops. Every request whose connection was made has to be answered 200.
Rounds follow until COUNT (10,000) requests were under way at the signal or came after it.
"""
import asyncio
import random
import signal
import sys
import time

from serving import Server, Table, post_bytes, processor

NUM_KEPT, NUM_FRESH = 400, 100
GRACE_S = 28  # of mlac serve
ANSWER_TIMEOUT_S = 60
TEXT = "a cat on the red roof looks at the people that run for the last train of the night"


class Round:
    def __init__(self, server):
        self.server = server
        self.signalled = False
        self.num_answered = self.num_refused = self.num_under_way = 0
        self.lost = []

    async def connect(self):
        """A connection, or None once the server takes none any more."""
        try:
            return await asyncio.open_connection("127.0.0.1", self.server.port)
        except OSError as error:
            if not self.signalled:
                self.lost.append(f"connect before the signal: {error}")
            self.num_refused += 1
            return None

    async def ask(self, reader, writer, fields=""):
        """Whether the connection goes on."""
        sent_before = not self.signalled
        try:
            writer.write(post_bytes("/v1/embeddings", {"input": TEXT}, fields))
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_TIMEOUT_S)).lower()
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            await asyncio.wait_for(reader.readexactly(length), ANSWER_TIMEOUT_S)
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            self.lost.append(f"sent {'before' if sent_before else 'after'} the signal: {type(error).__name__} {error}")
            return False
        if not head.startswith(b"http/1.1 200 "):
            self.lost.append(head.split(b"\r\n")[0].decode())
        self.num_answered += 1
        self.num_under_way += self.signalled
        return b"connection: close" not in head

    async def keep_asking(self):
        if connection := await self.connect():
            while await self.ask(*connection):
                pass
            connection[1].close()

    async def ask_anew(self):
        while connection := await self.connect():
            await self.ask(*connection, fields="Connection: close\r\n")
            connection[1].close()

    async def run(self, seconds):
        """The exit status, and how long after the signal it came."""
        clients = [asyncio.create_task(self.keep_asking()) for _ in range(NUM_KEPT)] + [asyncio.create_task(self.ask_anew()) for _ in range(NUM_FRESH)]
        await asyncio.sleep(seconds)
        self.signalled = True
        start = time.monotonic()
        self.server.process.send_signal(signal.SIGTERM)
        status = await asyncio.get_running_loop().run_in_executor(None, self.server.process.wait)
        took = time.monotonic() - start
        await asyncio.gather(*clients)
        return status, took


def main():
    model, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    generator = random.Random(0)
    table = Table()
    print(processor())
    num_rounds = num_answered = num_under_way = 0
    lost, statuses, longest = [], set(), 0.0
    while num_under_way < count:
        with Server(model, "--max-concurrent-requests", "4096") as server:
            one = Round(server)
            status, took = asyncio.run(one.run(generator.uniform(0.5, 1.5)))
        num_rounds += 1
        num_answered += one.num_answered
        num_under_way += one.num_under_way
        lost += one.lost
        statuses.add(status)
        longest = max(longest, took)
    table.row("rounds", num_rounds)
    table.row("requests answered", num_answered)
    table.row("of which were under way at the signal, or came after it", num_under_way, f"at least {count}")
    table.row("accepted requests lost", len(lost), "0", not lost)
    for fault in lost[:10]:
        print("fault:", fault)
    table.row("exit statuses", " ".join(map(str, sorted(statuses))), "0", statuses == {0})
    table.row("longest time from the signal to the exit (s)", f"{longest:.1f}", f"at most {GRACE_S}", longest <= GRACE_S)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
