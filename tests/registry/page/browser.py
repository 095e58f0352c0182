#!/usr/bin/env python3
"""browser.py ADDRESS CHECK [ARGUMENT]: drives a page of silc in headless Chromium, by WebDriver (W3C).

SILC_TEST_WIDTH and SILC_TEST_SCHEME (light, dark) say how the page is looked at; `picture FILE` takes a picture of it, of
the whole height or that of SILC_TEST_HEIGHT.

Exits with 0 if the check holds, 1 with a message if it does not, 3 if there is no Chromium or no chromedriver.
"""
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

MISSING = 3


class Browser:
    """One window; what it is asked is JavaScript, as a reader's clicks and keys are real ones."""

    def __init__(self, width=1280, scheme="light"):
        browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        driver = shutil.which("chromedriver")
        if not browser or not driver:
            print("there is no chromium or no chromedriver here")
            sys.exit(MISSING)
        self.driver = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        port = None
        for line in self.driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                port = found.group(1)
                break
        self.base = f"http://127.0.0.1:{port}"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage", f"--window-size={width},900"]
        options = {"binary": browser, "args": arguments}
        logs = {"browser": "ALL", "performance": "ALL"}
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": logs}}})
        self.base += "/session/" + session["sessionId"]
        # Without motion, so that what is clicked on stands still.
        preferences = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in preferences.items()]
        self.devtools("Emulation.setEmulatedMedia", features=features)
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, method=method, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as fault:
            raise AssertionError(f"{path}: {json.load(fault)['value']['message']}") from fault

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, address):
        self.call("POST", "/url", {"url": address})

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def element(self, selector):
        return next(iter(self.call("POST", "/element", {"using": "css selector", "value": selector}).values()))

    def click(self, selector):
        self.call("POST", f"/element/{self.element(selector)}/click", {})

    def type(self, selector, text):
        self.call("POST", f"/element/{self.element(selector)}/value", {"text": text})

    def keys(self, *keys):
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def log(self, kind):
        return self.call("POST", "/se/log", {"type": kind})

    def wait(self, script, what, seconds=15):
        end = time.time() + seconds
        while time.time() < end:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError(f"not within {seconds} s: {what}")

    def picture(self, file):
        whole = self.run("return document.documentElement.scrollHeight")
        height = int(os.environ.get("SILC_TEST_HEIGHT", whole))
        width = self.run("return innerWidth")
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=min(height, 8000), deviceScaleFactor=1, mobile=width < 500)
        time.sleep(0.3)
        with open(file, "wb") as out:
            out.write(base64.b64decode(self.devtools("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        try:
            self.call("DELETE", "")
        except (AssertionError, OSError):
            pass
        self.driver.terminate()
        self.driver.wait()


def rows_shown(browser, table=".results"):
    return browser.run(
        "return Array.from(document.querySelectorAll(arguments[0] + ' tbody tr')).filter(row => !row.hidden)"
        ".map(row => row.dataset.row)", table)


def check_sort(browser, _):
    """A click on a header sorts from the top, another from the bottom; rows without a value stay last."""
    keys = ("return Array.from(document.querySelectorAll('.results tbody tr')).map(row => row.cells[1].dataset.sort)")
    browser.click(".results thead th:nth-child(2) button")
    first = browser.run(keys)
    browser.click(".results thead th:nth-child(2) button")
    second = browser.run(keys)
    numbers = [float(key) for key in first if key]
    assert numbers == sorted(numbers, reverse=True) and first[-1] == "", first
    assert [float(key) for key in second if key] == sorted(numbers) and second[-1] == "", second
    assert browser.run("return document.querySelector('.results thead th:nth-child(2)').getAttribute('aria-sort')") == "ascending"
    browser.click(".results thead th:nth-child(1) button")
    names = rows_shown(browser)
    assert names[1:] == sorted(names[1:], key=str.lower) or names == sorted(names, key=str.lower), names


def check_filter(browser, _):
    """What is typed leaves the rows that have it in their names, in tables, lists and plots."""
    everything = rows_shown(browser)
    browser.keys("/")
    browser.keys(*"sil")
    assert rows_shown(browser) == ["SILC"], rows_shown(browser)
    assert set(rows_shown(browser, ".cells")) == {"SILC"}
    faded = browser.run("return Array.from(document.querySelectorAll('svg [data-row].faded')).map(row => row.dataset.row)")
    assert "SILC" not in faded and "CLIP" in faded, faded
    assert "1 of" in browser.run("return document.getElementById('announcement').textContent")
    browser.keys("\ue003", "\ue003", "\ue003")
    assert rows_shown(browser) == everything


def check_open(browser, _):
    """A click on a cell opens its settings, warnings and log; Escape closes it, and the focus goes back."""
    browser.click(".cells tr[data-row=SILC] button.open")
    browser.wait("return document.getElementById('details').open", "the cell's details")
    text = browser.run("return document.getElementById('details-body').textContent")
    for word in ("seed 0", "All settings", "teacher_entropy", "not bold", "finished"):
        assert word in text, (word, text)
    assert browser.run("return document.querySelectorAll('#details-body b').length") == 0
    browser.keys("\ue00c")
    browser.wait("return !document.getElementById('details').open", "closing by Escape")
    assert browser.run("return document.activeElement.className") == "open"


def check_metric(browser, _):
    """Another metric in a list shows its plot."""
    before = browser.run("return document.querySelector('#curves-1 svg').getAttribute('aria-label')")
    browser.run("const list = document.querySelector('#curves-1 select'); list.value = 'curves:teacher_entropy';"
                "list.dispatchEvent(new Event('change', {bubbles: true}))")
    browser.wait("return document.querySelector('#curves-1 svg').getAttribute('aria-label').startsWith('teacher_entropy')",
                 "the other metric's plot")
    assert before.startswith("loss"), before


def check_keyboard(browser, _):
    """Arrow keys in a plot read its values; a row that is switched off fades."""
    browser.run("document.querySelector('#curves-1 svg').focus()")
    browser.keys("\ue014", "\ue014")
    browser.wait("return !document.getElementById('tip').hidden", "values beside the cursor")
    text = browser.run("return document.getElementById('tip').textContent")
    assert "examples seen" in text and "CLIP" in text, text
    browser.click(".legend[data-row=CLIP]")
    assert browser.run("return document.querySelector('#curves-1 .series[data-row=CLIP]').classList.contains('faded')")
    assert browser.run("return document.querySelector('.legend[data-row=CLIP]').getAttribute('aria-pressed')") == "false"


def check_hostile(browser, name):
    """A name full of markup is a name, wherever it stands."""
    assert name in rows_shown(browser), rows_shown(browser)
    row = browser.run("return Array.from(document.querySelectorAll('.cells button.open')).findIndex("
                      "button => button.closest('tr').dataset.row === arguments[0])", name)
    browser.run("document.querySelectorAll('.cells button.open')[arguments[0]].click()", row)
    browser.wait("return document.getElementById('details').open", "the cell's details")
    assert name in browser.run("return document.querySelector('#details-body h2').textContent")
    assert browser.run("return document.images.length") == 0
    assert browser.run("return window.hacked === undefined")


def check_phone(browser, _):
    """Nothing but tables reaches beyond a narrow window."""
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def check_labels(browser, _):
    """Everything that can be used has a name, every picture a text, and every id is there once."""
    nameless = browser.run(
        "return Array.from(document.querySelectorAll('button, select, input, a')).filter(element => !(element.textContent.trim()"
        " || element.getAttribute('aria-label') || element.labels?.length)).map(element => element.outerHTML)")
    assert not nameless, nameless
    assert browser.run("return Array.from(document.querySelectorAll('svg[role=img]')).every(svg => svg.getAttribute('aria-label'))")
    ids = browser.run("return Array.from(document.querySelectorAll('[id]')).map(element => element.id)")
    assert len(ids) == len(set(ids)), sorted(each for each in ids if ids.count(each) > 1)


def check_grows(browser, command):
    """While the command makes a cell go on, its curve and state change without the page being loaded again."""
    browser.run("window.same = true")
    script = "return document.querySelector('.cells tr[data-row=\"not started\"] .state').textContent"
    assert browser.run(script) == "not started"
    browser.run("const list = document.querySelector('#curves-1 select'); list.value = 'curves:teacher_entropy';"
                "list.dispatchEvent(new Event('change', {bubbles: true}))")
    browser.click(".results thead th:nth-child(2) button")
    order = rows_shown(browser)
    subprocess.run(command, shell=True, check=True)
    browser.wait(script.replace("textContent", "textContent !== 'not started'"), "the cell's new state")
    browser.wait("return document.querySelector('#curves-1 .series[data-row=\"not started\"]')", "the new curve")
    assert browser.run("return window.same"), "the page was loaded again"
    assert browser.run("return document.querySelector('#curves-1 select').value") == "curves:teacher_entropy"
    assert rows_shown(browser)[:2] == order[:2], "sorted as before"


def check_picture(browser, file):
    """A picture of the whole page."""
    browser.picture(file)


def check_quiet(browser, address):
    """No error in the console, and nothing asked of any other place than where the page comes from."""
    errors = [entry["message"] for entry in browser.log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not errors, errors
    origin = "file://" if address.startswith("file:") else re.match(r"https?://[^/]+", address).group(0)
    for entry in browser.log("performance"):
        event = json.loads(entry["message"])["message"]
        if event["method"] == "Network.requestWillBeSent":
            url = event["params"]["request"]["url"]
            assert url.startswith((origin, "data:")), url


def main():
    address, check = sys.argv[1:3]
    argument = sys.argv[3] if len(sys.argv) > 3 else ""
    scheme = os.environ.get("SILC_TEST_SCHEME", "light")
    browser = Browser(int(os.environ.get("SILC_TEST_WIDTH", "390" if check == "phone" else "1280")), scheme)
    try:
        browser.open(address)
        browser.wait("return document.documentElement.classList.contains('js')", "the page's script")
        globals()["check_" + check](browser, argument)
        check_quiet(browser, address)
    except AssertionError as fault:
        print(f"{check}: {fault}")
        return 1
    finally:
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
