"""A real browser, as a test drives it: by Chromium's own protocol, over a pipe."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE_S = 90.0


class Refused(Exception):
    """What the browser says of a call that cannot be made, as while a page is loaded."""


class Browser:
    """One that is installed; a context manager."""

    def __init__(self, profile):
        program = next(filter(None, map(shutil.which, BROWSERS)))
        reads, self._writes = os.pipe()
        self._reads, writes = os.pipe()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        command = [program, *options, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        script = f'exec "$@" 3<&{reads} 4>&{writes}'  # its protocol is at these two descriptors
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(["bash", "-c", script, "bash", *command], pass_fds=(reads, writes), **quiet)
        os.close(reads)
        os.close(writes)
        self._held, self._number = b"", 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.close(self._writes)
        os.close(self._reads)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, method, session=None, **parameters):
        """Call a method of the protocol; its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        data = json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        while data:
            data = data[os.write(self._writes, data) :]
        while (answer := self._next()).get("id") != self._number:
            pass
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["result"]

    def _next(self):
        while b"\0" not in self._held:
            piece = os.read(self._reads, 1 << 16)
            assert piece, "the browser has ended"
            self._held += piece
        message, _, self._held = self._held.partition(b"\0")
        return json.loads(message)

    def open(self, url):
        """A new page."""
        target = self.call("Target.createTarget", url=url)["targetId"]
        return Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])


class Page:
    """A page that is open."""

    def __init__(self, browser, session):
        self._browser, self._session = browser, session

    def ask(self, expression):
        """The value of a JavaScript expression."""
        found = self._browser.call("Runtime.evaluate", self._session, expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression):
        """Wait until an expression is true."""
        late, last = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < late:
            try:
                last = self.ask(expression)
            except (Refused, AssertionError) as error:  # its script has not begun
                last = error
            if last is True:
                return
            time.sleep(0.05)
        raise AssertionError(f"{expression} does not become true: {last}")

    def picture(self):
        """What it looks like, as PNG."""
        return base64.b64decode(self._browser.call("Page.captureScreenshot", self._session)["data"])
