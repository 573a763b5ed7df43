"""What somebody waiting sees: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import Protocol, Self

# Seconds between plain lines: a log stays readable over hours.
LINE_EVERY = 10.0


class Watcher(Protocol):
    """Whoever is told how training goes."""

    def start(self, label: str, steps: int, done: int) -> None:
        """Training of a trial begins, or resumes with some steps done."""

    def update(self, step: int, loss: float, rate: float, seeds: int) -> None:
        """So many steps are done, at a median loss and sequences per second, with seeds still running."""

    def finish(self, line: str) -> None:
        """The trial is over; one line says how it went."""


class Silent:
    """Tells nobody."""

    def start(self, label: str, steps: int, done: int) -> None:
        """Say nothing."""

    def update(self, step: int, loss: float, rate: float, seeds: int) -> None:
        """Say nothing."""

    def finish(self, line: str) -> None:
        """Say nothing."""


class Lines:
    """Plain lines on stdout, at most one every ten seconds while a trial runs."""

    def __init__(self) -> None:
        self._last = 0.0
        self._label, self._steps = "", 0

    def start(self, label: str, steps: int, done: int) -> None:
        """Say which trial begins."""
        self._label, self._steps, self._last = label, steps, time.monotonic()
        resumed = f", resumed at step {done}" if done else ""
        print(f"{label}: {steps} steps{resumed}", flush=True)

    def update(self, step: int, loss: float, rate: float, seeds: int) -> None:
        """Say how far it is, if ten seconds have passed."""
        if time.monotonic() - self._last >= LINE_EVERY:
            self._last = time.monotonic()
            print(
                f"{self._label}: step {step}/{self._steps}, loss {loss:.4f}, "
                f"{rate:.0f} sequences/s, {seeds} seeds running",
                flush=True,
            )

    def finish(self, line: str) -> None:
        """Say how it went."""
        print(line, flush=True)


class Bar:
    """A rich progress bar: steps, loss, sequences per second, time left."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total} steps"),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def start(self, label: str, steps: int, done: int) -> None:
        """Begin a bar."""
        self._task = self._progress.add_task(label, total=steps, completed=done, loss="compiling")

    def update(self, step: int, loss: float, rate: float, seeds: int) -> None:
        """Move it."""
        text = f"loss {loss:.4f}  {rate:,.0f} sequences/s  {seeds} seeds"
        assert self._task is not None
        self._progress.update(self._task, completed=step, loss=text)

    def finish(self, line: str) -> None:
        """Replace it by a line that stays."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        self._progress.console.print(line, markup=False, highlight=False)


def on_terminal() -> bool:
    """Whether stdout is a terminal somebody may be looking at."""
    return sys.stdout.isatty()
