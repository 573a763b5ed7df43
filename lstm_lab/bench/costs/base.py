"""A question about the lab's own costs, asked in a process of its own, and the numbers that answer it."""

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from lstm_lab.bench.schedules import difference
from lstm_lab.errors import one_line

# Losses of the same training, laid out or compiled in another way, agree to this fraction of the greatest. Adam
# divides by gradients that may be no more than rounding, so a few steps make more of it than a single gradient.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Cost:
    """One number that is asked for.

    Attributes:
        name: what it is of.
        at: the sizes it was measured at.
        unit: of what was measured.
        measured: in rounds.
        against: what it is divided by, round by round; empty where it stands for itself.
        bar: what the ratio, or what stands for itself, is to stay below; None where nothing is asked.
        problem: why it was not measured; empty where it was.
    """

    name: str
    at: str
    unit: Literal["s", "bytes"]
    measured: list[float] = field(default_factory=list)
    against: list[float] = field(default_factory=list)
    bar: float | None = None
    problem: str = ""

    @property
    def judged(self) -> list[float]:
        """What the bar is held against: ratios where there is something to divide by."""
        if not self.against:
            return self.measured
        return [m / a for m, a in zip(self.measured, self.against, strict=True)]


class Question(ABC):
    """A value: the sizes of something to be measured."""

    name: ClassVar[str]
    """What tells it from the others."""
    environment: ClassVar[Mapping[str, str]] = {}
    """Variables that its process needs beyond those of this one."""

    @property
    @abstractmethod
    def at(self) -> str:
        """Its sizes in words."""

    @abstractmethod
    def measure(self) -> dict[str, Any]:
        """Measure in this process, whose devices are laid out; the answer is ready for JSON."""

    @abstractmethod
    def costs(self) -> list[Cost]:
        """Measure in processes of its own.

        Raises:
            RuntimeError: one failed; the message is its own.
        """

    @property
    def title(self) -> str:
        """What is asked, and at which sizes."""
        return f"{self.name}: {self.at}"

    @property
    def label(self) -> str:
        """What `--only` finds it by."""
        return f"costs: {self.name}"

    def ask(self) -> dict[str, Any]:
        """`measure` in a new process."""
        words = [type(self).__name__, json.dumps(asdict(self))]  # type: ignore[call-overload]  # all are dataclasses
        done = subprocess.run(
            [sys.executable, "-m", "lstm_lab.bench.costs", *words],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit {done.returncode}"]
            raise RuntimeError(one_line(last[0])[:200])
        return json.loads(done.stdout.splitlines()[-1])


def measured(question: Question) -> list[Cost]:
    """A question's costs; where its process failed, one that says why."""
    try:
        return question.costs()
    except RuntimeError as error:
        return [Cost(question.name, question.at, "s", problem=one_line(error))]


def agree(one: np.ndarray, other: np.ndarray) -> None:
    """Refuse to compare two trainings that are not the same.

    Raises:
        RuntimeError: their losses differ.
    """
    if not (error := difference(one, other)) <= TOLERANCE:
        raise RuntimeError(f"the losses of both sides differ by {error:.1e}: not the same training")
