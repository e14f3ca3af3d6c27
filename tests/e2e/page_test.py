#!/usr/bin/env python3
"""The page at / in Chromium: page_test.py MLAC [--shots FOLDER]

One server of tiny models, one for each task. Each widget is used as a person would, by keyboard alone, and what it shows is compared with what the server
answers; in a window of 360 pixels nothing is cut off, in dark and in light; nothing is fetched from elsewhere; errors are shown in words. --shots keeps
pictures of all that. Needs Debian's chromium and chromium-driver (`./dev setup page`); without them exit status 77.
"""
import base64
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FIXTURES = os.path.join(ROOT, "tests", "parity", "fixtures")
MODELS = {
    "embeds": "models/st_mean",
    "sorts": "models/classifier",
    "tokens": "families/bert_tokens",
    "answers": "families/bert_qa",
    "entails": "families/electra_nli",
    "masks": "families/distilbert_masked_lm",
    "others": "families/mpnet_masked_lm",
    "ranks": "families/mpnet_reranker",
}
WIDGETS = [  # model, task, what is typed into which field, the same request
    ("sorts", "text-classification", {"text": "the cat sat on the mat"}, "/models/sorts", {"inputs": "the cat sat on the mat"}),
    ("tokens", "token-classification", {"text": "the 😀 cat was not there."}, "/models/tokens",
     {"inputs": "the 😀 cat was not there.", "parameters": {"aggregation_strategy": "first"}}),
    ("answers", "question-answering", {"question": "where is the cat", "context": "the 😀 cat sat on the mat"}, "/models/answers",
     {"inputs": {"question": "where is the cat", "context": "the 😀 cat sat on the mat"}}),
    ("entails", "zero-shot-classification", {"text": "the cat sat", "labels": "cats, dogs,birds"}, "/models/entails",
     {"inputs": "the cat sat", "parameters": {"candidate_labels": ["cats", "dogs", "birds"]}}),
    ("masks", "fill-mask", {"text": "the [MASK] sat on the [MASK]"}, "/models/masks", {"inputs": "the [MASK] sat on the [MASK]"}),
    ("ranks", "text-ranking", {"query": "a cat", "texts": "the dog\nthe cat\n\na tree"}, "/models/ranks", {"query": "a cat", "texts": ["the dog", "the cat", "a tree"]}),
    ("embeds", "sentence-similarity", {"texts": "a cat\nthe dog sat\ntrees"}, "/models/embeds/embed", {"inputs": ["a cat", "the dog sat", "trees"]}),
    ("embeds", "feature-extraction", {"text": "it's a cat"}, "/models/embeds/embed", {"inputs": "it's a cat"}),
]
KEYS = {"tab": "\ue004", "control": "\ue009", "enter": "\ue007", "right": "\ue014", "down": "\ue015", "shift": "\ue008"}
failures = []


def expect(holds, message):
    if not holds:
        failures.append(message)
        print(f"page_test: {message}", file=sys.stderr)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Server:
    """`mlac serve` of these models on a free port."""

    def __init__(self, mlac, models, *arguments):
        self.port = free_port()
        command = [mlac, "serve", *models, "--port", str(self.port), "--threads", "1", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{self.port}"
        wait_until(lambda: self.ask("/health") is not None, "mlac serve answers")

    def ask(self, path, body=None):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body else None, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                return json.loads(text) if text else ""
        except urllib.error.URLError:
            return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def wait_until(holds, what, timeout_s=30):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.02)
    raise RuntimeError(f"{what}: not within {timeout_s} s")


class Browser:
    """Chromium through chromedriver, by the WebDriver protocol (https://www.w3.org/TR/webdriver2/)."""

    def __init__(self, chromium, driver, profile):
        port = free_port()
        self.process = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{port}"
        wait_until(self.is_ready, "chromedriver answers")
        arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={profile}", "--lang=en"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"binary": chromium, "args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}
        self.url += "/session/" + self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def is_ready(self):
        try:
            return self.ask("GET", "/status")["ready"]
        except urllib.error.URLError:
            return False

    def ask(self, method, path, body=None):
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.read().decode()[:500]}") from error

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def script(self, text, *arguments):
        return self.ask("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def press(self, *keys, held=()):
        """Types keys one after the other into what has the focus, with others held down."""
        actions = [{"type": "keyDown", "value": key} for key in held]
        for key in keys:
            actions += [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        actions += [{"type": "keyUp", "value": key} for key in held]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def chrome(self, command, **parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def window(self, width, scheme):
        self.chrome("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.chrome("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path):
        shot = self.chrome("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def log(self):
        return [entry["message"] for entry in self.ask("POST", "/se/log", {"type": "browser"})]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(RuntimeError, OSError):
            self.ask("DELETE", "")
        self.process.terminate()
        self.process.wait()


class Page:
    def __init__(self, browser):
        self.browser = browser

    def focused(self):
        return self.browser.script("const at = document.activeElement; return at.id || at.value || at.tagName;")

    def tab_to(self, wanted):
        """Goes forward with the Tab key until this has the focus."""
        for _ in range(40):
            if self.focused() == wanted:
                return True
            self.browser.press(KEYS["tab"])
        expect(False, f"the Tab key does not come to {wanted}")
        return False

    def choose(self, model, task):
        """The model by the first letters of its name, the task by the arrow keys."""
        browser = self.browser
        if not browser.script("return document.getElementById('model-part').hidden"):
            self.tab_to("model")
            browser.press(*model[:3])
        expect(browser.script("return document.getElementById('title').textContent") == model, f"the keyboard does not choose the model {model}")
        if browser.script("return document.getElementById('task-part').hidden"):
            return
        for _ in range(8):
            chosen = browser.script("return document.querySelector('[name=task]:checked').value")
            if chosen == task:
                return
            self.tab_to(chosen)
            browser.press(KEYS["right"])
        expect(False, f"the keyboard does not choose the task {task}")

    def type(self, fields):
        for name, text in fields.items():
            if self.tab_to("field-" + name):
                self.browser.press("a", held=[KEYS["control"]])
                # Letters beyond the first plane are no keys.
                self.browser.chrome("Input.insertText", text=text)

    def send(self):
        self.browser.press(KEYS["enter"], held=[KEYS["control"]])
        wait_until(lambda: not self.browser.script("return busy"), "the page gets an answer")

    def message(self):
        return self.browser.script("const m = document.getElementById('message'); return [m.textContent, m.className]")

    def answer(self, selector):
        return self.browser.script("return [...document.querySelectorAll('#answer ' + arguments[0])].map((found) => found.textContent)", selector)

    def check_layout(self, what):
        wide = self.browser.script("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        expect(wide[0] <= wide[1], f"{what}: the page is {wide[0]} pixels wide in a window of {wide[1]}")
        nameless = self.browser.script("""return [...document.querySelectorAll('input, select, textarea, button, pre, [tabindex="0"]')]
          .filter((field) => field.checkVisibility() && !(field.labels?.length || field.textContent.trim() || field.ariaLabel)).map((field) => field.outerHTML)""")
        expect(nameless == [], f"{what}: without a name: {nameless}")
        elsewhere = self.browser.script("return performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => !name.startsWith(location.origin))")
        expect(elsewhere == [], f"{what}: fetched from elsewhere: {elsewhere}")


def four(number):
    return f"{number:.4f}"


def check_answer(page, task, fields, answer):
    """What the page shows against the server's answer."""
    if task in ("text-classification", "zero-shot-classification"):
        rows = answer[0] if isinstance(answer[0], list) else answer
        expect(page.answer(".name") == [row["label"] for row in rows], f"{task}: labels {page.answer('.name')}")
        expect(page.answer(".number") == [four(row["score"]) for row in rows], f"{task}: scores {page.answer('.number')}")
    elif task == "token-classification":
        text = fields["text"]
        marked = [text[row["start"] : row["end"]] + row["entity_group"] for row in answer]
        expect(marked and page.answer("mark") == marked, f"{task}: marked {page.answer('mark')}, answered {marked}")
    elif task == "question-answering":
        found = fields["context"][answer["start"] : answer["end"]]
        expect(found == answer["answer"] and page.answer("mark") == [found + four(answer["score"])], f"{task}: marked {page.answer('mark')}")
    elif task == "fill-mask":
        expect(page.answer(".name") == [row["token_str"] for mask in answer for row in mask], f"{task}: words {page.answer('.name')}")
        expect(page.answer("h3") == ["Mask 1", "Mask 2"], f"{task}: {page.answer('h3')}")
    elif task == "text-ranking":
        texts = [line for line in fields["texts"].split("\n") if line]
        expect(page.answer(".name") == [texts[row["index"]] for row in answer], f"{task}: order {page.answer('.name')}")
    elif task == "sentence-similarity":
        cosines = [f"{sum(a * b for a, b in zip(first, second)):.3f}" for first in answer for second in answer]
        shown = page.answer("tbody td")
        expect(len(shown) == 9 and all(abs(float(a) - float(b)) < 0.0015 for a, b in zip(shown, cosines)), f"{task}: {shown} for {cosines}")
    else:
        expect(page.message()[0] == f"A vector of {len(answer[0])} numbers", f"{task}: {page.message()}")
        numbers = re.findall(r"-?[0-9.]+[0-9]", page.answer("pre")[0])
        expect(numbers == [f"{number:.6f}" for number in answer[0][:12]], f"{task}: {numbers}")


def check_request(page, task, answer):
    """The lines for a program: what curl gives is the answer, the Python lines are Python."""
    curl = page.browser.script("return document.getElementById('curl').textContent")
    ran = subprocess.run(["bash", "-c", curl.replace("curl ", "curl -sf ", 1)], capture_output=True, text=True, check=False)
    expect(ran.returncode == 0 and json.loads(ran.stdout) == answer, f"{task}: `{curl}` gives {ran.stdout[:200]}")
    compile(page.browser.script("return document.getElementById('python').textContent"), "python lines", "exec")


def check_widgets(browser, server, shots):
    browser.window(1100, "light")
    browser.open(server.url + "/")
    page = Page(browser)
    wait_until(lambda: not browser.script("return document.getElementById('request').hidden"), "the page knows its models")
    for model, task, fields, path, body in WIDGETS:
        browser.script("document.activeElement.blur()")
        page.choose(model, task)
        page.type(fields)
        page.send()
        answer = server.ask(path, body)
        words, kind = page.message()
        expect(words not in ("", "Asking…") and kind == "", f"{task}: the message is '{words}'")
        check_answer(page, task, fields, answer)
        check_request(page, task, answer)
        for width in (360, 1100):
            for scheme in ("light", "dark"):
                browser.window(width, scheme)
                page.check_layout(f"{task}, {width} pixels, {scheme}")
                if shots:
                    browser.picture(os.path.join(shots, f"{task}-{width}-{scheme}.png"))
        browser.window(1100, "light")
    expect(browser.log() == [], "the browser complains")


def check_changes(browser, server):
    """What is changed while an answer is on its way, and a mask that was typed for another model."""
    page = Page(browser)
    browser.open(server.url + "/")
    wait_until(lambda: not browser.script("return document.getElementById('request').hidden"), "the page knows its models")
    browser.script("""const real = window.fetch;
      window.fetch = async (...given) => {
        await new Promise((resolve) => { window.release = resolve; });
        const answer = await real(...given);
        setTimeout(() => { window.arrived = true; }, 200);
        return answer;
      };""")
    page.choose("sorts", "text-classification")
    page.type({"text": "the cat"})
    browser.press(KEYS["enter"], held=[KEYS["control"]])
    wait_until(lambda: browser.script("return Boolean(window.release)"), "the page asks")
    browser.script("document.activeElement.blur()")
    page.choose("masks", "fill-mask")
    browser.script("window.release()")
    wait_until(lambda: browser.script("return Boolean(window.arrived)"), "the answer arrives")
    expect(page.answer("*") == [] and page.message() == ["", ""], f"an answer to another task is shown: {page.message()}")
    expect(not browser.script("return busy"), "the page waits for an answer that is not wanted")
    page.type({"text": "the [MASK] sat"})
    browser.script("document.activeElement.blur()")
    page.choose("others", "fill-mask")
    expect(browser.script("return document.getElementById('field-text').value") == "the <mask> sat", "the mask of another model stays")


def check_errors(browser, server, shots):
    page = Page(browser)
    browser.open(server.url + "/")
    wait_until(lambda: not browser.script("return document.getElementById('request').hidden"), "the page knows its models")
    page.choose("masks", "fill-mask")
    page.type({"text": "no mask here"})
    page.send()
    expect(page.message() == ["inputs: expected the mask token [MASK] in the text, found none", "error"], f"an error reads {page.message()}")
    page.choose("embeds", "sentence-similarity")
    page.type({"texts": "one alone"})
    page.send()
    expect(page.message() == ["Type two texts to compare, one a line.", "error"], f"one text reads {page.message()}")
    browser.window(360, "dark")
    if shots:
        browser.picture(os.path.join(shots, "error-360-dark.png"))
    browser.window(1100, "light")
    server.process.terminate()
    server.process.wait()
    page.type({"texts": "one\ntwo"})
    page.send()
    expect(page.message() == ["The server cannot be reached.", "error"], f"without a server: {page.message()}")
    browser.log()


def check_key(browser, mlac, folder, shots):
    keys = os.path.join(folder, "keys")
    with open(keys, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write("right\n")
    with Server(mlac, [os.path.join(FIXTURES, MODELS["sorts"])], "--api-key-file", keys) as server:
        page = Page(browser)
        browser.open(server.url + "/")
        wait_until(lambda: page.focused() == "key", "the page asks for a key")
        expect(page.message() == ["The server asks for an API key.", "error"], f"without a key: {page.message()}")
        browser.press(*"wrong", KEYS["enter"])
        wait_until(lambda: page.message()[0] == "The server does not take this API key.", "a wrong key is refused")
        browser.press("a", held=[KEYS["control"]])
        browser.press(*"right", KEYS["enter"])
        wait_until(lambda: not browser.script("return document.getElementById('request').hidden"), "the page knows its model")
        page.tab_to("field-text")
        page.send()
        expect(page.message()[1] == "" and page.answer(".bar"), f"with a key: {page.message()}")
        shown = browser.script("return document.getElementById('curl').textContent + document.getElementById('python').textContent")
        expect("$MLAC_API_KEY" in shown and "right" not in shown, f"the lines for a program: {shown}")
        if shots:
            browser.picture(os.path.join(shots, "key.png"))
    browser.log()


def main():
    mlac = os.path.abspath(sys.argv[1])
    shots = sys.argv[3] if len(sys.argv) == 4 and sys.argv[2] == "--shots" else None
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        print("skipped: chromium or chromedriver is missing (./dev setup page)")
        return 77
    named = [f"{name}={os.path.join(FIXTURES, folder)}" for name, folder in MODELS.items()]
    with tempfile.TemporaryDirectory(prefix="mlac-page-") as folder, Browser(chromium, driver, os.path.join(folder, "profile")) as browser:
        with Server(mlac, named) as server:
            check_widgets(browser, server, shots)
            check_changes(browser, server)
            check_errors(browser, server, shots)
        check_key(browser, mlac, folder, shots)
    print(f"the page at /: {len(WIDGETS)} widgets, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
