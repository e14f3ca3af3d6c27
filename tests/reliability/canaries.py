"""Canaries: canaries.py MODEL. Exits 1 if mlac writes one where it should not, or opens a connection.

Secrets that occur nowhere else are put where users have theirs: the environment, the home folder, the file of API keys, headers, URLs, prompts, rows of
data. Then run, train, eval, inspect, tokenize, env, optimize and serve are used, rightly and wrongly, each under strace. Searched: what they print, the
server's logs in both forms, answers to clients (a client's own words may come back to itself in an error, but no secret of another), metrics, the folder of
a trained model, and what is printed when the server dies of a signal.
A core file is not among them: it is the memory of the process, environment and all, and whether one is written is for the system to say.
"""
import collections
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from serving import MLAC, Server, Table, post_bytes

PLACES = ["environment", "home", "key", "adminkey", "header", "url", "prompt", "data"]
CANARIES = {place: f"canary{place}7f3a9c1e5b2d" for place in PLACES}
SECRET_VARIABLES = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "PGPASSWORD", "MLAC_SECRET", "OMP_SECRET"]
TRACED = "connect,socket,execve"


def environment(home):
    secrets = {name: CANARIES["environment"] for name in SECRET_VARIABLES}
    url = f"https://user:{CANARIES['environment']}@proxy.example:3128"
    return {**os.environ, **secrets, "https_proxy": url, "DATABASE_URL": url, "HOME": home}


class Search:
    def __init__(self, table):
        self.table = table
        self.num_outputs = self.num_bytes = self.num_commands = 0
        self.statuses = collections.Counter()
        self.found, self.connections, self.programs = [], [], []

    def look(self, where, text, places=PLACES):
        text = text if isinstance(text, str) else text.decode("utf-8", "replace")
        self.num_outputs += 1
        self.num_bytes += len(text)
        self.found += [f"{where}: the canary of {place}" for place in places if CANARIES[place] in text]

    def look_in_folder(self, where, folder):
        for parent, _, names in os.walk(folder):
            for name in names:
                with open(os.path.join(parent, name), "rb") as file:
                    self.look(f"{where}/{name}", file.read().decode("latin-1"))

    def trace(self, where, path):
        """Counts connections, sockets of families that leave the machine, and programs that a command started."""
        self.num_commands += 1
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
        self.connections += [f"{where}: {line}" for line in lines if re.search(r"\bconnect\(", line)]
        self.programs += [f"{where}: {line}" for line in lines if "execve(" in line][1:]  # the first is mlac itself
        if not any("execve(" in line for line in lines):
            raise RuntimeError(f"strace saw nothing of {where}")


class Commands:
    def __init__(self, search, folder, model):
        self.search, self.folder, self.model = search, folder, model
        self.environment = environment(os.path.join(folder, "home"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def strace(self, name):
        return ["strace", "-f", "-qq", "-e", f"trace={TRACED}", "-o", self.path(name + ".strace")]

    def run(self, name, *arguments, status=0, stdin="", echoes=False):
        """echoes: its result, on stdout, is made of its input."""
        result = subprocess.run([*self.strace(name), MLAC, *arguments], env=self.environment, input=stdin, capture_output=True, text=True, timeout=300)
        if result.returncode != status:
            raise RuntimeError(f"{name} ended with {result.returncode}: {result.stderr[-300:]}")
        self.search.look(name + ", stderr", result.stderr)
        self.search.look(name + ", stdout", result.stdout, [place for place in PLACES if not (echoes and place in ("prompt", "data"))])
        self.search.trace(name, self.path(name + ".strace"))

    def use_all(self):
        prompt, data = CANARIES["prompt"], CANARIES["data"]
        with open(self.path("train.csv"), "w", encoding="utf-8") as file:
            file.write("text,label\n")
            for i in range(24):
                file.write(f"{'cat dog red'.split()[i % 3]} the {'people water'.split()[i % 2]} {data} {i},{'abc'[i % 3]}\n")
        with open(self.path("broken.csv"), "w", encoding="utf-8") as file:
            file.write(f'text,label\n"{data} is quoted, but never closed,a\n{data},b\n')
        with open(self.path("columns.csv"), "w", encoding="utf-8") as file:
            file.write(f"text,label\n{data},a,{data}\n")
        topics, train = self.path("topics"), ["train", "text-classification", "--model", self.model, "--epochs", "2"]
        self.run("train", *train, "--data", self.path("train.csv"), "--test", self.path("train.csv"), "--out", topics, "--save-steps", "1")
        self.search.look_in_folder("the trained folder", topics)
        self.run("train-json", *train, "--data", self.path("train.csv"), "--out", self.path("other"), "--json")
        self.run("train-broken", *train, "--data", self.path("broken.csv"), "--out", self.path("none"), status=1)
        self.run("train-columns", *train, "--data", self.path("columns.csv"), "--out", self.path("none"), status=1)
        self.run("eval", "eval", topics, "--data", self.path("train.csv"))
        self.run("eval-json", "eval", topics, "--data", self.path("train.csv"), "--json")
        self.run("eval-broken", "eval", topics, "--data", self.path("broken.csv"), status=1)
        self.run("run", "run", "text-classification", "--model", topics, prompt, echoes=True)
        self.run("run-json", "run", "feature-extraction", "--model", self.model, "--json", prompt, echoes=True)
        self.run("run-stdin", "run", "text-classification", "--model", topics, stdin=prompt + "\n", echoes=True)
        self.run("run-long", "run", "text-classification", "--model", self.model, f"{prompt} " * 500, status=1)
        self.run("tokenize", "tokenize", "--model", topics, prompt, echoes=True)
        self.run("inspect", "inspect", topics, "--json")
        self.run("env", "env")
        self.run("env-json", "env", "--json")
        self.run("optimize", "optimize", topics, "--int8", "--out", self.path("int8"))
        self.search.look_in_folder("the int8 folder", self.path("int8"))

    def ask_server(self, server):
        key, prompt = CANARIES["key"], CANARIES["prompt"]
        url, header = CANARIES["url"].encode(), CANARIES["header"].encode()
        authorised = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Cookie": f"session={CANARIES['header']}",
                      "User-Agent": CANARIES["header"], "Referer": f"http://example.org/?token={CANARIES['header']}", "X-Api-Key": CANARIES["header"],
                      "X-Forwarded-For": CANARIES["header"], "x-request-id": f"{CANARIES['header']} with blanks"}
        wrong = {**authorised, "Authorization": f"Bearer {CANARIES['header']}"}
        # What is the client's own may come back to it; what is another's, the server's or the user's may not.
        foreign = [place for place in PLACES if place not in ("prompt", "url", "header")]
        quoted = prompt.encode()
        bodies = [b'{"inputs": "%s"}' % quoted, b'{"input": "%s"}' % quoted, b'{"inputs": ["%s", "%s"]}' % (quoted, quoted), b'{"inputs": "%s' % quoted,
                  b'"%s"' % quoted, b'{"%s": 1}' % quoted, b'{"inputs": 1, "%s": 2}' % quoted, b'{"inputs": "%s", "truncate": "%s"}' % (quoted, quoted),
                  b'{"model": "%s", "input": "a"}' % quoted, b'{"inputs": {"question": "%s", "context": "%s"}}' % (quoted, quoted),
                  b'{"inputs": [{"name": "%s", "shape": [1], "datatype": "BYTES", "data": ["%s"]}]}' % (quoted, quoted), b'{"inputs": "' + b"%s " % quoted * 1000 + b'"}', b'{"inputs": "\xff%s"}' % quoted]
        routes = json.loads(server.ask("GET", "/openapi.json", headers=authorised)[2])["paths"]
        paths = {method: sorted(re.sub(r"\{[^}]*\}", CANARIES["url"], path) for path, known in routes.items() if method in known) for method in ("get", "post")}
        for path in [*paths["post"], f"/{CANARIES['url']}", f"/embed?token={CANARIES['url']}"]:
            for body in bodies:
                for headers in (authorised, wrong):
                    status, fields, answer = server.ask("POST", path, body, headers)
                    self.search.statuses[status] += 1
                    self.search.look(f"the answer {status} of POST {path[:10]}", answer, foreign)
                    self.search.look(f"the head of the answer {status} of POST {path[:10]}", str(fields))
        for path in [*paths["get"], f"/info?key={CANARIES['url']}"]:
            status, fields, answer = server.ask("GET", path, headers=authorised)
            self.search.look(f"the answer {status} of GET {path[:10]}", answer, foreign if CANARIES["url"] in path else PLACES)
            self.search.look(f"the head of GET {path[:10]}", str(fields))
        for raw in [b"GET /%s HTTP/1.1\r\n bad: %s\r\n\r\n" % (url, header), b"%s / HTTP/1.1\r\nHost: a\r\n\r\n" % quoted,
                    b"GET http://user:%s@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n" % url, b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % header]:
            connection = server.connect()
            connection.sendall(raw)
            connection.shutdown(1)
            self.search.look("the answer to a broken head", connection.recv(1 << 16), PLACES)
            connection.close()

    def serve(self, model, log_format, last_signal):
        for name, place in (("keys", "key"), ("admin-keys", "adminkey")):
            with open(self.path(name), "w", encoding="ascii") as file:
                file.write(CANARIES[place] + "\n")
        name = f"serve-{os.path.basename(model)}-{log_format}-{signal.Signals(last_signal).name}"
        keys = ["--api-key-file", self.path("keys"), "--admin-key-file", self.path("admin-keys"), "--model-root", self.path("home")]
        with Server(model, *keys, "--threads", "1", env=self.environment, before=self.strace(name), log_format=log_format) as server:
            self.ask_server(server)
            connection = server.connect()
            connection.sendall(post_bytes("/embed", {"inputs": [CANARIES["prompt"]] * 200}, f"Authorization: Bearer {CANARIES['key']}\r\n"))
            with open(f"/proc/{server.process.pid}/task/{server.process.pid}/children", encoding="ascii") as file:
                mlac_pid = int(file.read().split()[0])  # below strace
            os.kill(mlac_pid, last_signal)
            server.process.wait(60)
            connection.close()
            time.sleep(0.1)
            self.search.look(f"the log of {name}", server.read_log())
        self.search.trace(name, self.path(name + ".strace"))


def main():
    model = sys.argv[1]
    table = Table()
    search = Search(table)
    with tempfile.TemporaryDirectory(prefix="mlac-canaries-") as folder:
        commands = Commands(search, folder, os.path.abspath(model))
        home = os.path.join(folder, "home")
        os.makedirs(os.path.join(home, ".cache", "huggingface"))
        for name in (".netrc", os.path.join(".cache", "huggingface", "token")):
            with open(os.path.join(home, name), "w", encoding="ascii") as file:
                file.write(CANARIES["home"] + "\n")
        commands.use_all()
        for served in (commands.path("topics"), os.path.abspath(model)):
            for log_format in ("json", "text"):
                for last_signal in (signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT):
                    commands.serve(served, log_format, last_signal)
    table.row("commands under strace", search.num_commands)
    table.row(f"outputs searched ({search.num_bytes / 1e6:.1f} MB)", search.num_outputs)
    num_others = search.statuses.total() - search.statuses[200] - search.statuses[401]
    table.row("requests that were answered 200, 401, and otherwise", f"{search.statuses[200]}, {search.statuses[401]}, {num_others}")
    table.row("canaries found", len(search.found), "0", not search.found)
    for line in sorted(set(search.found))[:20]:
        print(" ", line)
    table.row("connections opened", len(search.connections), "0", not search.connections)
    for line in search.connections[:10]:
        print(" ", line)
    table.row("programs started", len(search.programs), "0", not search.programs)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
