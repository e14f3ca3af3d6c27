"""A running `mlac serve` for the checks of this folder, what it uses of the machine, and the rows of their tables."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

MLAC = os.environ.get("MLAC_BINARY", "build/release/mlac")
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
START_TIMEOUT_S = 60


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown processor"


class Table:
    """Prints a row as it comes; `failed` says whether one was outside of its bound."""

    def __init__(self):
        self.failed = False

    def row(self, what, found, bound="", ok=True):
        print(f"{what:<88} {found:>16}   {bound}", flush=True)
        if not ok:
            self.failed = True
            print("  ^ outside of its bound", flush=True)


class Server:
    """`mlac serve MODEL` on a free port of the loopback. Its log is kept; `with` ends it."""

    def __init__(self, model, *arguments, env=None, before=(), log_format="json"):
        self.log = tempfile.TemporaryFile()
        command = [*before, MLAC, "serve", model, "--port", "0", "--log-format", log_format, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env)
        self.port = self._wait_for_port()

    def _wait_for_port(self):
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self.process.poll() is None:
            if match := re.search(r"serving .*http://[^ ]*:([0-9]+)", self.read_log()):
                return int(match[1])
            time.sleep(0.02)
        self.process.kill()
        raise RuntimeError(f"mlac serve did not start: {self.read_log()[-500:]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()

    def read_log(self):
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0).decode("utf-8", "replace")

    def connect(self, timeout_s=60):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, body) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def metric(self, name):
        for line in self.ask("GET", "/metrics")[2].decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise KeyError(name)

    def num_descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory_kib(self, field="VmRSS"):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(field + ":"))

    def reset_peak(self):
        """From here on memory_kib("VmHWM") is the peak since now."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def thread_cpu_s(self):
        """The CPU time of each thread."""
        times = {}
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{thread}/schedstat", encoding="utf-8") as file:
                times[thread] = int(file.read().split()[0]) / 1e9
        return times

    def wait_for_descriptors(self, count, timeout_s=30):
        """Seconds until the server has at most count descriptors; None if it takes longer than timeout_s."""
        start = time.monotonic()
        while time.monotonic() < start + timeout_s:
            if self.num_descriptors() <= count:
                return time.monotonic() - start
            time.sleep(0.002)
        return None

    def terminate(self, timeout_s=60):
        """Sends SIGTERM and returns the exit status; None if the server takes longer than timeout_s."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None


def post_bytes(path, body, fields=""):
    """A POST of JSON as it stands on the wire."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


def in_threads(count, work):
    """work(0) to work(count - 1), each in a thread; the first exception of one is raised."""
    faults = []

    def guarded(i):
        try:
            work(i)
        except Exception as error:  # raised below
            faults.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
