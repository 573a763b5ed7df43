"""What a framework must be able to do to be timed."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import metadata
from typing import ClassVar

import numpy as np

from lstm_lab.bench.workload import Workload

Arrays = Mapping[str, np.ndarray]
"""Arrays by name. Parameters are `layer/direction/name`, in the framework's own layout."""


class Contender(ABC):
    """One framework with one workload; every call returns when the answer is there.

    Args:
        workload: what to build.
        data: `Workload.data`.
        weights: the parameters to begin with.
    """

    name: ClassVar[str]
    """What tables call it."""

    layout: ClassVar[str]
    """The function in `layouts` that makes its parameters of ours."""

    package: ClassVar[str]
    """The distribution that `version` asks for."""

    lacks: ClassVar[tuple[str, ...]] = ()
    """Names of our parameters that it has no place for; they are zero in its workloads."""

    @staticmethod
    def start() -> None:
        """What its process does first, before anything is computed; nothing by default."""
        return

    @abstractmethod
    def __init__(self, workload: Workload, data: Arrays, weights: Arrays) -> None: ...

    @classmethod
    def version(cls) -> str:
        """The version installed, without importing it, which takes seconds.

        Raises:
            ImportError: it is not installed, or has nothing to run on; the message says which.
        """
        try:
            return metadata.version(cls.package)
        except metadata.PackageNotFoundError as error:
            raise ImportError(f"{cls.package} is not installed: `make peers` adds it") from error

    @staticmethod
    def refusal(workload: Workload) -> str:
        """Why it cannot run a workload; empty where it can."""
        del workload
        return ""

    @abstractmethod
    def forward(self) -> np.ndarray:
        """Read the batch; returns a view or copy of the outputs `[B, T, outputs]`."""

    @abstractmethod
    def gradient(self) -> dict[str, np.ndarray]:
        """The loss's gradient by every parameter, named as `weights` are, and by the input, `x`."""

    @abstractmethod
    def train(self, steps: int) -> None:
        """Take steps of plain gradient descent, as the framework's users do."""


# Small enough that no training diverges while it is timed.
LEARNING_RATE = 1e-3
