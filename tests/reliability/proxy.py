"""Raw requests through nginx to a server of mlac: proxy.py RAW_SERVER. Exits 1 if the two disagree about a message.

nginx is told to pass on all that it can (invalid fields, underscores, any body) over one connection that it keeps, once with the body read before it is
passed on, once without. Behind each raw request a probe goes through the same connection. For each:
- the requests that nginx's log says it passed on, and the statuses that came back, are those that mlac's log has: same number, methods, statuses, order
  (mlac's log has "-" for the method of a head that it refuses; what nginx began to pass on and gave up, because the body's end never came, may stand there
  as refused);
- the client gets one answer to each request that nginx passed on, and none but to requests that nginx saw;
- the probe gets the probe's answer, and the connection is not out of step.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from serving import Table

CONFIGURATION = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
  log_format passed '$request_method $upstream_status $upstream_bytes_sent $request_uri';
  access_log {folder}/access.log passed;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  ignore_invalid_headers off;
  underscores_in_headers on;
  merge_slashes off;
  client_max_body_size 0;
  client_header_timeout 2s;
  client_body_timeout 2s;
  keepalive_timeout 1s;
  large_client_header_buffers 4 32k;
  upstream mlac {{ server 127.0.0.1:{upstream}; keepalive 1; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://mlac;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_request_buffering {buffering};
      proxy_ignore_client_abort on;
      proxy_next_upstream off;
    }}
  }}
}}
"""
SETTLE_S = 5


class LogReader:
    """The lines that a growing file has had since the last call."""

    def __init__(self, path):
        self.file = open(path, "rb")
        self.rest = b""

    def lines(self):
        *whole, self.rest = (self.rest + self.file.read()).split(b"\n")
        return [line.decode() for line in whole]


class Nginx:
    def __init__(self, folder, upstream, buffering):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w", encoding="ascii") as file:
            user = "user root;" if os.geteuid() == 0 else ""
            file.write(CONFIGURATION.format(folder=folder, upstream=upstream, port=self.port, buffering=buffering, user=user))
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen([program, "-p", folder, "-c", path, "-e", os.path.join(folder, "error.log")], stderr=subprocess.DEVNULL)
        end = time.monotonic() + SETTLE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        self.log = LogReader(os.path.join(folder, "access.log"))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def send(port, raw):
    """All that comes back until the end of the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(1 << 16):
                received += data
        except OSError:  # closed on bytes that were not read
            pass
    return received


def answers_in(received, methods):
    """[(status, body)], interim ones left out. methods: of the requests, where known; None if the bytes are no HTTP/1 answers."""
    answers = []
    while received:
        if not received.startswith(b"HTTP/1."):
            return None
        head, _, received = received.partition(b"\r\n\r\n")
        status = int(head[9:12])
        if status < 200:
            continue
        is_head = len(answers) < len(methods) and methods[len(answers)] == "HEAD"
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        length = 0 if is_head or status == 204 else length
        answers.append((status, received[:length]))
        received = received[length:]
    return answers


def agree(seen, taken):
    """Whether the requests that nginx passed on, of all in its log, are those that mlac answered."""
    rest, num_passed = list(taken), sum(line[1] != "-" for line in seen)
    for method, status, num_sent, _ in seen:
        if status == "-":
            given_up = num_sent not in ("-", "0") and len(rest) > num_passed and rest[0][1].startswith("4")
            rest = rest[1:] if given_up else rest
            continue
        if not rest or rest[0][1] != status or rest[0][0] not in (method, "-"):
            return False
        rest, num_passed = rest[1:], num_passed - 1
    return not rest


class Comparison:
    def __init__(self, buffering):
        self.buffering = buffering
        self.num_cases = self.num_seen = self.num_passed = self.num_stricter = 0
        self.disagreements = []

    def check(self, case, nginx, mlac_log, mlac_port):
        raw = bytes.fromhex(case["bytes"])
        name = f"buffering {self.buffering}, {case['name']}"
        received = send(nginx.port, raw)
        probe = f"probe-{self.num_cases}"
        head = f"GET /items/{probe} HTTP/1.1\r\nHost: localhost\r\nx-request-id: {probe}\r\nConnection: close\r\n\r\n"
        probe_answer = answers_in(send(nginx.port, head.encode()), [])
        seen, taken = self.settle(nginx.log, mlac_log, probe)
        passed = [line for line in seen if line[1] != "-"]
        self.num_cases += 1
        self.num_seen += len(seen)
        self.num_passed += len(passed)
        if not agree(seen, taken):
            self.disagreements.append(f"{name}: nginx saw {seen}, mlac answered {taken}")
        if probe_answer != [(200, probe.encode())]:
            self.disagreements.append(f"{name}: the probe got {probe_answer}")
        answers = answers_in(received, [line[0] for line in seen])
        if answers is not None and not len(passed) <= len(answers) <= len(seen):  # None: nginx answered HTTP/0.9 as such
            self.disagreements.append(f"{name}: {len(answers)} answers; nginx saw {len(seen)} requests and passed on {len(passed)}")
        direct = answers_in(send(mlac_port, raw), ["HEAD"] if raw.startswith(b"HEAD") else [])
        mlac_log.lines()
        both_fine = bool(answers and direct) and all(status < 300 for status, _ in answers + direct)
        if both_fine and answers != direct:
            self.disagreements.append(f"{name}: the answers through nginx {answers} are not those without it {direct}")
        self.num_stricter += any(line[1] in ("400", "431", "501", "505") for line in passed)

    def settle(self, nginx_log, mlac_log, probe):
        """What both logs have of a case, once the probe behind it stands in both: without the probe."""
        seen, taken = [], []
        end = time.monotonic() + SETTLE_S
        while time.monotonic() < end:
            seen += [tuple(line.split(" ", 3)) for line in nginx_log.lines()]
            taken += [tuple(line.split()) for line in mlac_log.lines()]
            others_seen = [line for line in seen if line[3] != f"/items/{probe}"]
            others_taken = [line for line in taken if line[2] != probe]
            settled = len(others_seen) < len(seen) and len(others_taken) < len(taken)
            # The log of either may come a little behind its answer, so what does not agree is looked at for longer.
            if settled and agree(others_seen, others_taken):
                break
            time.sleep(0.002)
        return others_seen, others_taken


def main():
    raw_server = sys.argv[1]
    cases = [json.loads(line) for line in subprocess.run([raw_server, "--cases"], check=True, capture_output=True, text=True).stdout.splitlines()]
    table = Table()
    for buffering in ("on", "off"):
        with tempfile.TemporaryDirectory(prefix="mlac-proxy-") as folder:
            log_path = os.path.join(folder, "mlac.log")
            with open(log_path, "wb") as log:
                server = subprocess.Popen([raw_server], stdin=subprocess.PIPE, stdout=log)
            mlac_log = LogReader(log_path)
            port = []
            while not port and server.poll() is None:
                port = mlac_log.lines()
                time.sleep(0.01)
            nginx = Nginx(folder, int(port[0]), buffering)
            try:
                comparison = Comparison(buffering)
                nginx.log.lines()
                for case in cases:
                    comparison.check(case, nginx, mlac_log, int(port[0]))
            finally:
                nginx.stop()
                server.stdin.close()
                server.wait()
        table.row(f"raw requests, proxy_request_buffering {buffering}", comparison.num_cases)
        table.row("messages that nginx saw in them", comparison.num_seen)
        table.row("messages that nginx passed on", comparison.num_passed)
        table.row("raw requests of which nginx passed on what mlac's framing guard refuses", comparison.num_stricter)
        table.row("disagreements", len(comparison.disagreements), "0", not comparison.disagreements)
        for disagreement in comparison.disagreements[:40]:
            print(" ", disagreement[:300])
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
