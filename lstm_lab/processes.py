"""Several processes, on one host or many, that run one program together.

Each runs the same command. Their devices make one mesh, and what the host decides they decide together,
for a process that leaves a compiled call out would keep the others waiting. The first alone writes; all
read the run directory, so it must lie on a file system they share.

    LSTM_LAB_COORDINATOR   HOST:PORT of the first process, or "auto" to ask the cluster: SLURM, Open MPI, TPU
                           pods and what else `jax.distributed.initialize` knows; unset for a single process
    LSTM_LAB_PROCESSES     how many there are       } by hand only
    LSTM_LAB_PROCESS       which this one is, from 0 }

"auto" must be asked for: a cluster's tasks may as well be runs of their own. Where a process is lost, JAX
ends the others once it finds out; the same command goes on from the last checkpoint.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
from jax.experimental import multihost_utils

from lstm_lab.errors import LabError, UsageError
from lstm_lab.signals import Stop


def join() -> None:
    """Meet the other processes the environment speaks of, if any; call it before JAX starts its backend.

    Raises:
        UsageError: the variables name no process of a run.
    """
    coordinator = os.environ.get("LSTM_LAB_COORDINATOR")
    if not coordinator or jax.distributed.is_initialized():
        return
    # Its own handler of SIGTERM would stand in the way of ours.
    jax.config.update("jax_enable_preemption_service", False)
    if coordinator == "auto":
        jax.distributed.initialize()
        return
    names = ("LSTM_LAB_PROCESSES", "LSTM_LAB_PROCESS")
    given = [os.environ.get(name, "") for name in names]
    if not all(number.isdigit() for number in given) or int(given[1]) >= int(given[0]):
        raise UsageError(
            f"{', '.join(names)}: {', '.join(map(repr, given))}: give how many processes there are, "
            "and which this is, from 0"
        )
    processes, process = map(int, given)
    jax.distributed.initialize(coordinator, processes, process)


def leads() -> bool:
    """Whether this process is the first, the one that writes."""
    return jax.process_index() == 0


def greatest(number: int) -> int:
    """The greatest of the numbers that the processes give; each must ask."""
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.process_allgather(np.array(number)).max())


def stopping(stop: Stop) -> bool:
    """Whether any process was asked to stop, which then goes for all."""
    if signum := greatest(stop.signum or 0):
        stop.signum = signum
    return bool(signum)


@contextmanager
def together() -> Iterator[None]:
    """Around what one process may be refused: where one is, all are.

    Raises:
        LabError: the refusal, elsewhere one of the same exit code.
    """
    refusal: LabError | None = None
    try:
        yield
    except LabError as error:
        refusal = error
    code = greatest(refusal.exit_code if refusal else 0)
    if refusal:
        raise refusal
    if code:
        elsewhere = LabError("another process was refused: its own message says why")
        elsewhere.exit_code = code
        raise elsewhere
