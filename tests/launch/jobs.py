"""What the tests of clusters share: trials, patience that ends, and ways to disturb whoever is at a trial."""

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from lstm_lab.launch.base import Launcher, Outcome, Terms
from lstm_lab.launch.workers import Workers
from lstm_lab.progress import Silent
from lstm_lab.rundir import holder, read_metrics
from lstm_lab.signals import Stop
from lstm_lab.trial import Evaluation, Trial
from tests.test_fit import TINY

QUICK = replace(TINY, steps=5)
# Long enough to be disturbed while it trains.
LONG = replace(TINY, steps=16_000, evaluate=Evaluation(every=50, batch=8, batches=1))
ENDLESS = replace(LONG, steps=50_000_000)
# What another run may not repeat: clocks.
CLOCKS = {"seconds", "time"}


class Heard(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def finish(self, line: str) -> None:
        self.lines.append(line)


def outcomes(
    launcher: Launcher,
    trials: list[Trial],
    parent: Path,
    *,
    terms: Terms | None = None,
    stop: Stop | None = None,
    watcher: Silent | None = None,
) -> dict[Trial, Outcome]:
    """What a launcher makes of trials, each a group, saving all the time."""
    groups = [[trial] for trial in trials]
    terms = terms or Terms(save_every=0.1)
    return dict(launcher.run(groups, parent, terms, stop or Stop(), watcher or Silent()))


@cache
def undisturbed(trial: Trial) -> dict[str, Any]:
    """What a trial leaves in a process of its own where nothing disturbs it, as `left` has it."""
    with tempfile.TemporaryDirectory() as parent:
        outcomes(Workers(1), [trial], Path(parent))
        return left(trial, Path(parent))


def left(trial: Trial, parent: Path) -> dict[str, Any]:
    """A trial's result and its rows, without clocks."""
    directory = parent / trial.id
    result = json.loads((directory / "result.json").read_text())
    rows = read_metrics(directory / "metrics.jsonl")
    return timeless({"result": result, "rows": rows})


def losses(trial: Trial, parent: Path) -> list[float]:
    """What a trial's rows say of the loss."""
    return [row["loss"] for row in read_metrics(parent / trial.id / "metrics.jsonl")]


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in CLOCKS}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def failure(trial: Trial, parent: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((parent / trial.id / "failure.json").read_text())
    return found


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """End what takes longer, wherever it stands."""

    def end(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it took more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def until(true: Callable[[], Any], seconds: float = 90.0) -> Any:
    """Wait for something, and return it."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not come to be in time"
        time.sleep(0.02)
    return found


def trainer(trial: Trial, parent: Path) -> int:
    """The process that trains a trial, once it has saved and while it is at it."""
    directory = parent / trial.id

    def at_it() -> int:
        saved = any((directory / "checkpoints").glob("[0-9]*/manifest.json"))
        held = holder(directory) if saved else None
        return int(held) if held and held.isdigit() and _trains(int(held)) else 0

    return int(until(at_it))


def parent_of(process: int) -> int:
    """The process that started another."""
    return int(_stat(process)[1])


def _trains(process: int) -> bool:
    """Whether it is a living worker, and not one that notes down what became of another."""
    try:
        return b"lstm_lab.launch.worker" in Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


def _stat(process: int) -> list[str]:
    """Its state, its parent and more, after its name."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Act beside what is done within, and see it succeed."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(120)
    assert not thread.is_alive()
    assert not failed, failed


def killed(trial: Trial, parent: Path, times: int = 1) -> Callable[[], None]:
    """Kill whoever trains a trial, so many times, each another process."""

    def act() -> None:
        gone: set[int] = set()
        for _ in range(times):
            process = until(lambda: {trainer(trial, parent)} - gone).pop()
            os.kill(process, signal.SIGKILL)
            gone.add(process)

    return act
