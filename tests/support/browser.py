"""A headless Chromium, driven by the WebDriver protocol, which is plain JSON over HTTP."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SECONDS = 30
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the member that WebDriver has for elements
_QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1400,1000"),
)


class BrowserError(Exception):
    """What the browser could not do, in the words of its driver."""


def missing() -> str | None:
    """Say what is not installed; None when all is there."""
    names = ("chromium", "chromedriver")
    return next((f"{name} is not installed" for name in names if not shutil.which(name)), None)


class Browser:
    """One page. Whatever is looked for is waited for."""

    def __init__(self, driver: str, session: str) -> None:
        self._base = f"{driver}/session/{session}"

    def open(self, url: str) -> None:
        """Go to a page. Nothing glides there: a click would miss it."""
        self._send("POST", "url", {"url": url})
        self.run(_STAND_STILL)

    def url(self) -> str:
        """Where it is."""
        return str(self._send("GET", "url"))

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a JavaScript function's body."""
        return self._send("POST", "execute/sync", {"script": script, "args": list(arguments)})

    def text(self) -> str:
        """All text that is shown."""
        return str(self.run("return document.body.innerText"))

    def click(self, css: str, text: str = "") -> None:
        """Click the first visible element of that kind that has the text."""
        self._act(css, text, "click", {})

    def write(self, css: str, text: str) -> None:
        """Type into an element."""
        self._act(css, "", "value", {"text": text})

    def wait(self, what: str, script: str, *arguments: Any) -> Any:
        """The first value of a JavaScript function's body that is true; the page itself looks."""
        end = time.monotonic() + _SECONDS
        body = {"script": _UNTIL, "args": [script, arguments]}
        while time.monotonic() < end:
            # A page that is left takes what it was asked with it: the next one is asked again.
            with contextlib.suppress(BrowserError):
                return self._send("POST", "execute/async", body)
        raise BrowserError(f"{what} did not come; {self.url()} shows: {self.text()[:2000]}")

    def wait_for_text(self, text: str) -> None:
        """Wait until the page shows a text."""
        shown = "return document.body.innerText.includes(arguments[0])"
        self.wait(f"the text {text!r}", shown, text)

    def picture(self, file: Path) -> None:
        """Write what the page looks like, as PNG."""
        file.write_bytes(base64.b64decode(self._send("GET", "screenshot")))

    def _act(self, css: str, text: str, action: str, body: dict[str, Any]) -> None:
        end = time.monotonic() + _SECONDS
        while True:
            element = self.wait(f"{css} {text!r}", _FIND, css, text)[_ELEMENT]
            try:
                self._send("POST", f"element/{element}/{action}", body)
            except BrowserError:
                # Pages are drawn anew at any time; then the element is looked for again.
                if time.monotonic() > end:
                    raise
            else:
                return

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return _send(method, f"{self._base}/{path}", body)


_FIND = """
const [css, text] = arguments;
const shown = (element) => element.getClientRects().length > 0;
return [...document.querySelectorAll(css)].find(
  (element) => shown(element) && element.innerText.includes(text)) || null;
"""

_STAND_STILL = """
const style = document.createElement("style");
style.textContent = "* { transition: none !important; }";
document.head.append(style);
"""
_UNTIL = """
const [script, values, done] = arguments;
const look = new Function(script);
const check = () => {
  const found = look(...values);
  if (found) done(found); else setTimeout(check, 20);
};
check();
"""


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser that keeps what it needs in the folder."""
    with subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            driver = _address(process.stdout)
            session = _new_session(driver, folder)
            yield Browser(driver, session)
            _send("DELETE", f"{driver}/session/{session}")
        finally:
            process.terminate()


def _address(lines: Iterator[str]) -> str:
    for line in lines:
        if found := re.search(r"started successfully on port (\d+)", line):
            return f"http://127.0.0.1:{found[1]}"
    raise BrowserError("chromedriver did not start")


def _new_session(driver: str, folder: Path) -> str:
    options = {
        "binary": shutil.which("chromium"),
        "args": [*_QUIET, f"--user-data-dir={folder / 'chromium'}"],
    }
    wanted = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
    made = _send("POST", f"{driver}/session", {"capabilities": wanted})
    return str(made["sessionId"])


def _send(method: str, url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        said = json.load(error)["value"]
        raise BrowserError(f"{said['error']}: {said['message']}") from None
