"""A headless browser and its developer tools, spoken to over a pipe: a JSON message each way, ended by a zero byte."""

import json
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

# Seconds after which a browser that says nothing, or a page that does not become what is waited for, is a failure.
PATIENCE = 20


class Browser:
    """One page.

    Args:
        profile: an empty folder.

    Attributes:
        complaints: what the page's console said, and which requests failed.
    """

    def __init__(self, profile: Path) -> None:
        names = ("chromium", "chromium-browser", "google-chrome")
        found = next(filter(None, map(shutil.which, names)), None)
        if found is None:
            pytest.skip("no chromium or google-chrome on the path")
        self.complaints: list[str] = []
        self._number = 0
        their_in, self._out = os.pipe()
        our_in, their_out = os.pipe()
        self._in = os.fdopen(our_in, "rb")
        words = [
            found, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank",
        ]  # fmt: skip
        # It reads descriptor 3 and writes descriptor 4, which the shell puts there.
        command = f"exec {shlex.join(words)} 3<&{their_in} 4>&{their_out}"
        self._process = subprocess.Popen(
            ["bash", "-c", command], pass_fds=(their_in, their_out), stderr=subprocess.DEVNULL
        )
        os.close(their_in)
        os.close(their_out)
        self._session = ""
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **params: Any) -> Any:
        """Call a method of the developer tools and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._hear()).get("id") != self._number:
            name, told = answer.get("method", ""), answer.get("params", {})
            if name in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
                self.complaints.append(json.dumps(told))
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, address: str) -> None:
        """Go to a page and wait until it is there."""
        assert "errorText" not in self("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """Evaluate JavaScript in the page; what it throws is a failure."""
        told = self("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        until = time.monotonic() + PATIENCE
        while not self.value(expression):
            assert time.monotonic() < until, (
                f"{expression}: {self.value('document.body.innerText')}"
            )
            time.sleep(0.02)

    def press(self, key: str, code: int, modifiers: int = 0) -> None:
        """Press and release a key; modifiers as the tools count them, 2 for Ctrl."""
        for kind in ("rawKeyDown", "keyUp"):
            self(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                modifiers=modifiers,
            )

    def write(self, text: str) -> None:
        """Type into what has the focus."""
        self("Input.insertText", text=text)

    def click(self, selector: str, across: float = 0.5) -> None:
        """Click an element, in the middle or at another fraction of its width."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.value(f"{found}.scrollIntoView({{block: 'nearest'}})")
        box = f"{found}.getBoundingClientRect()"
        x, y = self.value(f"(b => [b.x + b.width * {across}, b.y + b.height / 2])({box})")
        for kind in ("mousePressed", "mouseReleased"):
            self("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # It ends by itself when nobody speaks to it.
        os.close(self._out)
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._in.close()

    def _hear(self) -> dict[str, Any]:
        letters = bytearray()
        while (letter := self._in.read(1)) != b"\0":
            assert letter, "the browser has gone"
            letters += letter
        message: dict[str, Any] = json.loads(letters)
        return message
