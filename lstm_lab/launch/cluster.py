"""On a cluster, whichever it is: groups go out as jobs, and what becomes of each comes back.

A job is one group on some node (`lstm_lab.launch.job`). It needs nothing but its request, and writes what it trains
into the run directories: they lie on a file system that all nodes share, and whose `flock` holds between them. So
a job may be lost at any time, with its process or its node. It is sent out again, `RETRIES` times, and goes on
from the last checkpoint.

A launcher that was killed may leave jobs running. The next one finds their directories held, says so, and
waits for them in place of running anything twice.
"""

import importlib
import json
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lstm_lab.errors import LockedError, LostError, StorageError, UsageError
from lstm_lab.launch.base import Group, Launcher, Outcome, Terms, note
from lstm_lab.launch.messages import check, read_reply, request
from lstm_lab.progress import Watcher
from lstm_lab.rundir import holder
from lstm_lab.signals import Stop
from lstm_lab.trial import Trial

# How often a lost group is sent out again.
RETRIES = 2

# Seconds between looks at the jobs.
TICK = 1.0

# Seconds between looks at a directory that another process holds.
PAUSE = 5.0

# Seconds jobs get to save what they have. SLURM kills them after its KillWait, 30 unless set.
GRACE = 60.0

# Seconds after which every node should see a file: NFS keeps what it knows of a directory for up to 60.
VISIBLE = 90.0


class Job(Protocol):
    """One group on a cluster."""

    def done(self) -> bool:
        """Whether it has ended, one way or another."""

    def reply(self) -> str:
        """What `lstm_lab.launch.job.answer` returned.

        Raises:
            LostError: it ended without.
        """

    def cancel(self) -> None:
        """Have it save and stop, or never begin."""


Submit = Callable[[str], Job]
"""Sends a request out."""


class Cluster(Launcher):
    """Jobs on a cluster.

    Args:
        jobs: how many there are at once, waiting ones included; 0 for no limit.

    Raises:
        UsageError: fewer than none.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 0:
            raise UsageError(f"jobs: {jobs}: give at least 1, or 0 for no limit")
        self.jobs = jobs
        # What jobs find in their environment beside what is there.
        self.environment: dict[str, str] = {}

    @abstractmethod
    def opened(self, parent: Path, terms: Terms) -> AbstractContextManager[Submit]:
        """Be ready to submit.

        Args:
            parent: the directory that holds the trials' own.
            terms: how they are run.

        Raises:
            UsageError: the cluster cannot be used, or not with these resources.
        """

    def run(
        self, groups: Sequence[Group], parent: Path, terms: Terms, stop: Stop, watcher: Watcher
    ) -> Iterator[tuple[Trial, Outcome]]:
        """Run groups of trials; see `Launcher.run`."""
        for trial in (trial for group in groups for trial in group):
            check(trial)
        with self.opened(parent, terms) as submit:
            errands = _Errands(groups, parent, watcher)
            try:
                while errands.left and not stop.signum:
                    yield from errands.done_by_others()
                    for errand in errands.ready(self.jobs):
                        asked = request(errand.group, parent, terms)
                        text = json.dumps({**asked, "environment": self.environment})
                        errand.job = submit(text)
                        if stop.signum:
                            break
                    time.sleep(TICK)
                    yield from errands.ended()
            finally:
                errands.leave()


@dataclass(eq=False)
class _Errand:
    """A group, and its way to the cluster and back.

    Attributes:
        job: what runs it; None while it waits.
        lost: how many of its jobs were lost.
        after: when it may be looked at again, of the monotonic clock.
        told: it was said that another process is at it.
    """

    group: Group
    job: Job | None = None
    lost: int = 0
    after: float = 0.0
    told: bool = False


class _Errands:
    """All groups that have not ended.

    Attributes:
        left: those groups.
    """

    def __init__(self, groups: Sequence[Group], parent: Path, watcher: Watcher) -> None:
        self.left = deque(_Errand(group) for group in groups)
        self._parent, self._watcher = parent, watcher

    @property
    def _running(self) -> list[tuple[_Errand, Job]]:
        return [(errand, errand.job) for errand in self.left if errand.job is not None]

    def ready(self, jobs: int) -> Iterator[_Errand]:
        """Groups to send out now, so that there are no more than so many jobs."""
        for errand in list(self.left):
            if jobs and len(self._running) >= jobs:
                return
            if errand.job is None and time.monotonic() >= errand.after and not self._held(errand):
                yield errand

    def done_by_others(self) -> Iterator[tuple[Trial, Outcome]]:
        """What ended while it waited for the process that was at it."""
        for errand in [errand for errand in self.left if errand.told and errand.job is None]:
            directories = [self._parent / trial.id for trial in errand.group]
            if all((directory / "result.json").is_file() for directory in directories):
                self.left.remove(errand)
                for trial, directory in zip(errand.group, directories, strict=True):
                    yield trial, read_reply(None, directory)

    def ended(self) -> Iterator[tuple[Trial, Outcome]]:
        """What has ended; what was lost, or met another process, waits for the next time."""
        for errand, job in self._running:
            if not job.done():
                continue
            errand.job = None
            try:
                told = json.loads(job.reply())
            except LostError as error:
                told = {"said": [], "lost": str(error)}
            for line in told["said"]:
                self._watcher.finish(line)
            if "lost" in told:
                yield from self._lost(errand, told["lost"])
            else:
                yield from self._told(errand, told["outcomes"])

    def leave(self) -> None:
        """Have every job save and stop, and see it gone."""
        running = [job for _, job in self._running]
        if not running:
            return
        self._watcher.finish(f"{self._parent.name}: jobs asked to save and stop: {len(running)}")
        for job in running:
            job.cancel()
        end = time.monotonic() + GRACE
        while not all(job.done() for job in running) and time.monotonic() < end:
            time.sleep(TICK)

    def _held(self, errand: _Errand) -> bool:
        """Whether another process is at a group, which is said once."""
        for trial in errand.group:
            if other := holder(self._parent / trial.id):
                if not errand.told:
                    self._watcher.finish(
                        f"{_label(errand.group)}: held by process {other} there: waiting for it"
                    )
                errand.told, errand.after = True, time.monotonic() + PAUSE
                return True
        return False

    def _lost(self, errand: _Errand, reason: str) -> Iterator[tuple[Trial, Outcome]]:
        errand.lost += 1
        if errand.lost <= RETRIES:
            again = f"sent out again, {errand.lost} of {RETRIES}"
            self._watcher.finish(f"{_label(errand.group)}: {reason}: {again}")
            return
        self.left.remove(errand)
        error = LostError(f"{reason}: lost {errand.lost} times, and so given up")
        for trial in errand.group:
            note(trial, self._parent, "crashed", str(error))
            yield trial, error

    def _told(self, errand: _Errand, told: list[Any]) -> Iterator[tuple[Trial, Outcome]]:
        held = []
        for trial, one in zip(errand.group, told, strict=True):
            if one is not None and one["code"] == LockedError.exit_code:
                held.append(trial)
                continue
            directory = self._parent / trial.id
            if one is None:
                _await(directory / "result.json")
            yield trial, read_reply(one, directory)
        if held:
            errand.group, errand.after = held, time.monotonic() + PAUSE
        else:
            self.left.remove(errand)


def package(name: str, extra: str) -> Any:
    """Import what only some launchers need.

    Args:
        name: of the package.
        extra: of lstm_lab's, that has it.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(
            f"launcher: {name} is not installed: pip install 'lstm-lab[{extra}]', or leave the option out"
        ) from None


def resources(words: Sequence[str]) -> dict[str, Any]:
    """Read what each job asks for.

    Args:
        words: such as `num_cpus=2`; what is no JSON is a string.

    Raises:
        UsageError: one is not of that form.
    """
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise UsageError(f"resources: got {word}, wanted KEY=VALUE: such as num_cpus=2")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _await(path: Path) -> None:
    """Wait for a file that was written on another node to be seen here."""
    end = time.monotonic() + VISIBLE
    while not path.is_file():
        if time.monotonic() > end:
            raise StorageError(
                f"{path}: was written on the cluster and is not here: give an --out on a file system "
                "that all nodes share"
            )
        time.sleep(TICK)


def _label(group: Group) -> str:
    more = f" and {len(group) - 1} like it" if len(group) > 1 else ""
    return f"{group[0].model.label} on {group[0].task.label}{more}"
