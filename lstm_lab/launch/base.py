"""What it takes to run trials somewhere: groups of them go in, an outcome for each comes out.

A group is what one program serves, such as the learning rates of a search: it runs as a whole, in one place.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstm_lab.errors import LabError, LockedError
from lstm_lab.progress import Watcher
from lstm_lab.rundir import RunDirectory
from lstm_lab.signals import Stop
from lstm_lab.trial import Trial

Group = Sequence[Trial]
Outcome = dict[str, Any] | LabError
"""The contents of `result.json`, or why there is none."""


@dataclass(frozen=True)
class Terms:
    """How trials are run, whatever they are: nothing here changes a result.

    Attributes:
        save_every: seconds between checkpoints.
        allow_nonbitwise: resume even where versions, code or devices have changed since.
        limit: seconds after which a group is stopped, compiling included; None for none.
        cache: directory that keeps compiled programs; none where None.
        groups: of the whole experiment, those that have ended too; None for those that are to run. By it a machine is
            shared out: a checkpoint belongs to a number of devices, which must not grow as other groups end.
    """

    save_every: float = 60.0
    allow_nonbitwise: bool = False
    limit: float | None = None
    cache: Path | None = None
    groups: int | None = None


class Launcher(ABC):
    """A place where groups of trials run."""

    @abstractmethod
    def run(
        self, groups: Sequence[Group], parent: Path, terms: Terms, stop: Stop, watcher: Watcher
    ) -> Iterator[tuple[Trial, Outcome]]:
        """Run groups of trials, each to its results or to what ended it.

        Args:
            groups: what to run.
            parent: the directory that holds the trials' own, named after their `id`.
            terms: how.
            stop: asked whether to save and leave; then what has not ended gets no outcome.
            watcher: told how it goes.

        Yields:
            Each trial that ended, with its outcome, as soon as its group has.
        """


def note(trial: Trial, parent: Path, status: str, reason: str) -> None:
    """Write down why a trial has no result, if nobody is at it and it has none.

    Args:
        trial: which.
        parent: the directory that holds its own.
        status: one word or two, such as "crashed".
        reason: one line.

    Raises:
        StorageError: it cannot be written.
    """
    labels = {"model": trial.model.label, "task": trial.task.label}
    with contextlib.suppress(LockedError), RunDirectory(parent / trial.id) as files:
        if not files.finished:
            files.fail(status, reason, trial=trial.id, experiment=trial.experiment, **labels)
