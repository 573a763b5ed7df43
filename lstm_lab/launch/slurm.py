"""Through SLURM, each group a job of its own, by way of submitit.

submitit keeps its files in `.slurm` beside the run directories, the output of every job among them. It pickles
what jobs return: whoever can write there can have code run here. A job whose time is up, or that is preempted
with a signal beforehand, saves, is requeued, and goes on.
"""

import contextlib
import math
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lstm_lab.errors import LostError, UsageError, one_line
from lstm_lab.launch.base import Terms
from lstm_lab.launch.cluster import Cluster, Job, Submit, package
from lstm_lab.launch.job import answer
from lstm_lab.signals import PatientStop

# How often a job may run into SLURM's time limit and be requeued; each time it goes on where it was.
REQUEUES = 100

# What a group has no use for: it is one process.
SEVERAL = ("nodes", "tasks_per_node", "slurm_array_parallelism")


class Slurm(Cluster):
    """SLURM, or for a trial of it the processes that submitit starts on this machine.

    Args:
        jobs: as for `Cluster`.
        resources: what each job asks for, by submitit's names; `cluster` is slurm, or local for this machine.
            Where there is no `timeout_min`, it is what the time limit takes, and without one submitit's 5.

    Raises:
        UsageError: submitit is not installed, or SLURM is not here.
    """

    def __init__(self, jobs: int = 0, resources: dict[str, Any] | None = None) -> None:
        super().__init__(jobs)
        asked = dict(resources or {})
        self._cluster = asked.pop("cluster", "slurm")
        self._resources = asked
        if self._cluster not in ("slurm", "local"):
            raise UsageError(f"resources: cluster: got {self._cluster}, wanted slurm or local")
        if several := [name for name in SEVERAL if name in asked]:
            raise UsageError(f"resources: {several[0]}: a group is one process: leave it out")
        self._submitit = package("submitit", "slurm")
        if self._cluster == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
            raise UsageError(
                "launcher: slurm: neither sbatch nor srun is on the PATH: start it where both are, or try it on "
                "this machine with --resources cluster=local"
            )

    @contextlib.contextmanager
    def opened(self, parent: Path, terms: Terms) -> Iterator[Submit]:
        """Be ready to submit; see `Cluster.opened`."""
        asked = {"name": parent.name, **self._resources}
        if terms.limit is not None:
            # Starting and saving take their time as well.
            asked = {"timeout_min": math.ceil(terms.limit / 60) + 3, **asked}
        requeues = {f"{self._cluster}_max_num_timeout": REQUEUES}
        try:
            executor = self._submitit.AutoExecutor(
                parent / ".slurm", cluster=self._cluster, **requeues
            )
            executor.update_parameters(**asked)
        except (AssertionError, NameError, TypeError, ValueError) as error:
            raise UsageError(f"resources: {one_line(error)}") from None

        def submit(request: str) -> Job:
            try:
                job = executor.submit(Errand(), request)
            except RuntimeError as error:  # what sbatch had to say
                raise UsageError(f"slurm: {one_line(error)}: see --resources") from None
            return _LocalJob(job) if self._cluster == "local" else _Job(job)

        yield submit


class Errand:
    """What a job runs; submitit pickles it by its name."""

    def __call__(self, request: str) -> str:
        """Run a group, see `answer`; where the job's time is up, save, requeue it and leave."""
        up = _time_is_up()
        with PatientStop(up) as stop:
            reply = answer(request, stop)
        if up in stop.received:
            # submitit's own handler, in its place again, requeues and exits: better now than before all was saved.
            signal.raise_signal(up)
        return reply

    def checkpoint(self, request: str) -> Any:
        """What a requeued job runs: the same, which finds its checkpoints."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, request)


def _time_is_up() -> int:
    """The signal that SLURM is asked to send before a job's time is up."""
    return int(signal.Signals["SIG" + os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2")])


class _Job:
    """A job of submitit's."""

    def __init__(self, job: Any) -> None:
        self._job = job

    def done(self) -> bool:
        return bool(self._job.done())

    def reply(self) -> str:
        # submitit's errors hold all that was ever printed.
        if self._job.exception() is None:
            return str(self._job.result())
        said = (self._job.stderr() or "").strip().rpartition("\n")[2]
        raise LostError(
            f"job {self._job.job_id} ended without a result ({self._job.state})"
            + (f": {one_line(said)}" if said else "")
        )

    def cancel(self) -> None:
        self._job.cancel(check=False)


class _LocalJob(_Job):
    """One on this machine, where `cancel` gives a second to save: its process hands SIGTERM on and waits."""

    def cancel(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(self._job.job_id), signal.SIGTERM)
