"""What schemathesis finds in the OpenAPI file of a running server: openapi.py SCHEMATHESIS FIXTURES [EXAMPLES] [SEED]. Exits 1 if it finds anything.

One server has a tiny model of each kind. Schemathesis makes requests out of the file, valid ones and others, EXAMPLES (100) at most of each operation and
phase. The names of models, which the file cannot know, are put into the copy of it that it reads, so that requests reach the models. The routes of /admin are
asked with their key on a server of their own, because they take models away.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

from serving import Server, Table, processor

MODELS = {
    "embeds": "models/st_mean",
    "sorts": "models/classifier",
    "tokens": "families/bert_tokens",
    "answers": "families/bert_qa",
    "entails": "families/electra_nli",
    "masks": "families/distilbert_masked_lm",
    "ranks": "families/mpnet_reranker",
}
# 501 is HTTP's answer to a method that a server does not know (RFC 9110, 15.6.2); schemathesis tries QUERY.
CONFIGURATION = """
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "501"]
"""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"


def with_names(document):
    """The file with the names of the models where it has any string."""
    names = {"type": "string", "enum": list(MODELS)}
    for name in ("Model", "XModel"):
        document["components"]["parameters"][name]["schema"] = names
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter.get("in") == "path" and parameter["name"] in ("id", "model"):
                    parameter["schema"] = names
    return document


class Run:
    def __init__(self, schemathesis, folder, examples, seed):
        self.command = [schemathesis, "--no-color", "run"]
        self.folder, self.examples, self.seed = folder, examples, seed

    def test(self, server, *arguments):
        """What schemathesis wrote, and its exit status; the whole of it is printed where it found something."""
        document = json.loads(server.ask("GET", "/openapi.json")[2])
        path = os.path.join(self.folder, "openapi.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(with_names(document), file)
        with open(os.path.join(self.folder, "schemathesis.toml"), "w", encoding="utf-8") as file:
            file.write(CONFIGURATION)
        command = [*self.command, path, "--url", f"http://127.0.0.1:{server.port}", "--checks", CHECKS, "--phases", "examples,coverage,fuzzing",
                   "--max-examples", str(self.examples), "--seed", str(self.seed), "--continue-on-failure", *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
        if ran.returncode != 0:
            print(ran.stdout, ran.stderr, sep="\n")
        return ran


def number(pattern, text):
    found = re.search(pattern, text)
    return int(found[1].replace(",", "")) if found else 0


def main():
    schemathesis, fixtures = sys.argv[1:3]
    examples = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    named = [f"{name}={os.path.join(fixtures, folder)}" for name, folder in MODELS.items()]
    table = Table()
    print(f"{processor()}; seed {seed}, at most {examples} examples")
    with tempfile.TemporaryDirectory(prefix="mlac-openapi-") as folder:
        run = Run(schemathesis, folder, examples, seed)
        keys = os.path.join(folder, "admin-keys")
        with open(keys, "w", encoding="ascii") as file:
            file.write("master\n")
        os.chmod(keys, 0o600)
        for what, only, server_arguments in (
            ("protocols", ["--exclude-path-regex", "^/admin/"], []),
            ("/admin", ["--include-path-regex", "^/admin/", "-H", "Authorization: Bearer master"], ["--admin-key-file", keys, "--model-root", fixtures]),
        ):
            with Server(named[0], *named[1:], "--threads", "1", *server_arguments) as server:
                ran = run.test(server, *only)
                status = server.process.poll()
                table.row(f"{what}: operations", number(r"Tested: +([0-9,]+)", ran.stdout))
                table.row(f"{what}: requests", number(r"([0-9,]+) generated", ran.stdout))
                table.row(f"{what}: findings", "none" if ran.returncode == 0 else "some", "none", ran.returncode == 0)
                table.row(f"{what}: the server is there afterwards", str(status is None), "True", status is None)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
