"""On this machine, several groups at once: a process for each share of the cores, watched over.

A process that dies takes its group with it and no other; one whose group runs out of time is asked to save,
and killed if it does not. Both are written down beside the trials. The next group gets a new process.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any

from lstm_lab.errors import LostError, OutOfTimeError, UsageError, one_line
from lstm_lab.launch.base import Group, Launcher, Outcome, Terms, note
from lstm_lab.launch.messages import check, read_reply, request
from lstm_lab.progress import Watcher
from lstm_lab.signals import Stop
from lstm_lab.trial import Trial

# Seconds a process gets to save what it has when it is asked to stop.
GRACE = 30.0

# Seconds between looks at the clock and at whether to stop.
TICK = 0.2


class Workers(Launcher):
    """Processes of this machine.

    Args:
        jobs: how many groups run at once; each has its share of the cores.

    Raises:
        UsageError: fewer than one.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise UsageError(f"jobs: {jobs}: give at least 1, or 0 for one per core")
        self.jobs = jobs

    def run(
        self, groups: Sequence[Group], parent: Path, terms: Terms, stop: Stop, watcher: Watcher
    ) -> Iterator[tuple[Trial, Outcome]]:
        """Run groups of trials; see `Launcher.run`."""
        for trial in (trial for group in groups for trial in group):
            check(trial)
        left = deque(groups)
        shares = _shares(min(self.jobs, terms.groups or len(groups)))[: len(groups)]
        with contextlib.ExitStack() as opened:
            selector = opened.enter_context(DefaultSelector())
            workers = [opened.enter_context(_Worker(share, selector, watcher)) for share in shares]
            while left or any(worker.group for worker in workers):
                for worker in workers:
                    if left and worker.group is None and not stop.signum:
                        worker.begin(left.popleft(), parent, terms)
                if stop.signum and not any(worker.group for worker in workers):
                    return
                selector.select(TICK)
                for worker in workers:
                    group = worker.group
                    if group is None:
                        continue
                    if stop.signum:
                        worker.ask_to_leave("interrupted")
                    outcomes = worker.look()
                    if outcomes is not None and not worker.interrupted:
                        yield from zip(group, outcomes, strict=True)


def _shares(jobs: int) -> list[list[int]]:
    """Cores for each process: an equal share, or one that several have to share."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    each = max(1, len(cores) // jobs)
    return [[cores[(i * each + k) % len(cores)] for k in range(each)] for i in range(jobs)]


class _Worker:
    """One process and the group it is at.

    Attributes:
        group: what it runs; None between groups.
        interrupted: it was asked to leave because all were.
    """

    def __init__(self, cores: list[int], selector: DefaultSelector, watcher: Watcher) -> None:
        self.group: Group | None = None
        self.interrupted = False
        self._cores, self._selector, self._watcher = cores, selector, watcher
        self._process: subprocess.Popen[bytes] | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit, with the process
        self._buffer = b""
        self._asked: float | None = None

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()
        self._said.close()

    def begin(self, group: Group, parent: Path, terms: Terms) -> None:
        """Hand it a group."""
        self.group, self._parent, self._terms = group, parent, terms
        self._begun, self._asked, self._why = time.monotonic(), None, ""
        process = self._start()
        assert process.stdin is not None
        # One that has died since its last group is found out by `look`.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request(group, parent, terms)).encode() + b"\n")
            process.stdin.flush()

    def look(self) -> list[Outcome] | None:
        """Read what it says, and watch its clock.

        Returns:
            The outcomes where its group has ended, one way or another; else None.

        Raises:
            StorageError: it could not write, and neither will the others.
        """
        reply = self._read()
        assert self.group is not None
        if reply is not None:
            outcomes = [
                self._outcome(trial, one) for trial, one in zip(self.group, reply, strict=True)
            ]
            self.group = None
            return outcomes
        limit = self._terms.limit
        if limit is not None and time.monotonic() - self._begun > limit:
            self.ask_to_leave("out of time")
        if self._asked is not None and time.monotonic() - self._asked > GRACE:
            self._kill()
        if self._process is None or self._process.poll() is not None:
            outcomes = [self._dead(trial) for trial in self.group]
            self._end()
            self.group = None
            return outcomes
        return None

    def ask_to_leave(self, why: str) -> None:
        """Have it save and stop, once."""
        if self._asked is None and self._process is not None:
            self._asked, self._why = time.monotonic(), why
            self.interrupted = why == "interrupted"
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._said.truncate(0)
            # A session of its own: Ctrl-C reaches this process alone, which asks the others to save.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lstm_lab.launch.worker", ",".join(map(str, self._cores))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                # NumPy's products would spin a thread on every core of the machine.
                env={"OPENBLAS_NUM_THREADS": str(len(self._cores)), **os.environ},
                start_new_session=True,
            )
            assert self._process.stdout is not None
            os.set_blocking(self._process.stdout.fileno(), False)
            self._selector.register(self._process.stdout, EVENT_READ)
            self._buffer = b""
        return self._process

    def _read(self) -> list[Any] | None:
        """Pass on what it has to say; the outcomes where it gave them."""
        assert self._process is not None
        assert self._process.stdout is not None
        while more := self._process.stdout.read():
            self._buffer += more
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            reply = json.loads(line)
            if "outcomes" in reply:
                return reply["outcomes"]
            self._watcher.finish(reply["say"])
        return None

    def _outcome(self, trial: Trial, reply: dict[str, Any] | None) -> Outcome:
        """What one of its replies says of a trial."""
        late = self._why == "out of time"
        if late and reply is not None and reply["code"] == 128 + signal.SIGTERM:
            return self._too_long(trial)
        return read_reply(reply, self._parent / trial.id)

    def _dead(self, trial: Trial) -> Outcome:
        """What is to say of a trial whose process has ended without a word of it."""
        if self._why == "out of time":
            return self._too_long(trial)
        status = self._process.returncode if self._process else None
        how = (
            f"by signal {-status}" if status is not None and status < 0 else f"with status {status}"
        )
        self._said.seek(0)
        last = self._said.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        error = LostError(f"its process ended {how}" + (f": {one_line(last)}" if last else ""))
        if not self.interrupted:
            note(trial, self._parent, "crashed", str(error))
        return error

    def _too_long(self, trial: Trial) -> OutOfTimeError:
        error = OutOfTimeError(
            f"time limit: {self._terms.limit:g} s: it took longer: give more, and it goes on from its checkpoint"
        )
        note(trial, self._parent, "timeout", str(error))
        return error

    def _kill(self) -> None:
        """End it and what it may have started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _end(self) -> None:
        if self._process is None:
            return
        self._kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(pipe)
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._process = None
