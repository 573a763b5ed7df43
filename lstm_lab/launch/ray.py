"""On a Ray cluster, each group a task of its own.

Which cluster is Ray's to say: the one that `RAY_ADDRESS` names, or else one that runs on this machine. On every
node lstm_lab is installed, in the same version. Ray counts cores and binds nobody to them, so a group is told how
many are its own; accelerators are hidden from it but for those it has.
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lstm_lab.errors import LostError, UsageError, one_line
from lstm_lab.launch.base import Terms
from lstm_lab.launch.cluster import Cluster, Job, Submit, package
from lstm_lab.launch.job import answer
from lstm_lab.signals import PatientStop

# What a group may ask for, of the options of Ray's tasks.
RESOURCES = ("num_cpus", "num_gpus", "memory", "accelerator_type", "resources", "label_selector")

# What of this process's environment its groups have too; a task of Ray's has that of its node.
HANDED_ON = ("LSTM_LAB_", "JAX_", "XLA_", "HF_", "NPROC")


class Ray(Cluster):
    """A Ray cluster, which is connected to at once: Ray takes over signals when it is.

    Args:
        jobs: as for `Cluster`.
        resources: what each group asks for: some of `RESOURCES`, as Ray's tasks have them; one core where nothing.

    Raises:
        UsageError: Ray is not installed, does not understand the resources, or no cluster is there.
    """

    def __init__(self, jobs: int = 0, resources: dict[str, Any] | None = None) -> None:
        super().__init__(jobs)
        asked = resources or {}
        if unknown := sorted(set(asked) - set(RESOURCES)):
            raise UsageError(
                f"resources: {', '.join(unknown)}: no such resource: use {', '.join(RESOURCES)}"
            )
        self._ray = package("ray", "ray")
        try:
            # What is lost is sent out again by the launcher, which says so.
            self._task = self._ray.remote(_answer).options(max_retries=0, **asked)
        except (TypeError, ValueError) as error:
            raise UsageError(f"resources: {one_line(error)}") from None
        cores = str(max(1, int(asked.get("num_cpus", 1))))
        counted = ("NPROC", "OPENBLAS_NUM_THREADS", "LSTM_LAB_CPU_DEVICES")
        own = {name: value for name, value in os.environ.items() if name.startswith(HANDED_ON)}
        self.environment = dict.fromkeys(counted, cores) | own
        if not self._ray.is_initialized():
            self._connect()

    def _connect(self) -> None:
        try:
            self._ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            named = os.environ.get("RAY_ADDRESS")
            what = f"{named}: {one_line(error)}" if named else "no cluster runs on this machine"
            raise UsageError(
                f"ray: {what}: start one with `ray start --head`, or name one that runs in RAY_ADDRESS"
            ) from None

    @contextlib.contextmanager
    def opened(self, parent: Path, terms: Terms) -> Iterator[Submit]:
        """Be ready to submit; see `Cluster.opened`."""

        def submit(request: str) -> Job:
            return _Job(self._ray, self._task.remote(request))

        yield submit


def _answer(request: str) -> str:
    """What a task runs; Ray pickles it by its name."""
    with PatientStop() as stop:
        return answer(request, stop)


class _Job:
    """A task of Ray's."""

    def __init__(self, ray: Any, reference: Any) -> None:
        self._ray, self._reference = ray, reference

    def done(self) -> bool:
        return bool(self._ray.wait([self._reference], timeout=0)[0])

    def reply(self) -> str:
        try:
            return str(self._ray.get(self._reference))
        except self._ray.exceptions.RayError as error:
            first = str(error).strip().partition("\n")[0]
            raise LostError(f"{type(error).__name__}: {one_line(first)}") from None

    def cancel(self) -> None:
        self._ray.cancel(self._reference)
