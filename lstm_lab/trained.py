"""What a run has trained: one seed's network, from the run's newest checkpoint."""

from typing import Any, Literal, NamedTuple

import jax

from lstm_lab.checkpoint import Checkpoints
from lstm_lab.errors import CheckpointError, UsageError
from lstm_lab.program import Program
from lstm_lab.rundir import RunDirectory
from lstm_lab.train import Network
from lstm_lab.trial import Trial

Weights = Literal["best", "last"]


class Trained(NamedTuple):
    """One seed's network.

    Attributes:
        network: the static half.
        params: its parameters, on the host.
        steps: training steps that the run had taken.
    """

    network: Network
    params: Any
    steps: int


def check_seed(run: RunDirectory, trial: Trial, seed: int) -> None:
    """Raise a UsageError for a seed that a run does not have."""
    if not 0 <= seed < trial.seeds:
        raise UsageError(f"of-seed: {seed}: {run.path} has seeds 0 to {trial.seeds - 1}")


def trained(run: RunDirectory, trial: Trial, weights: Weights, seed: int) -> Trained:
    """Load one seed's network.

    Args:
        run: the run directory.
        trial: what is run there; of its task the widths alone are asked for.
        weights: the best on held-out data, or the last, which averaged SGD means of several.
        seed: which of the run's seeds.

    Returns:
        The network.

    Raises:
        UsageError: there is no such seed.
        CheckpointError: there is nothing to load.
    """
    check_seed(run, trial, seed)
    program = Program(trial)
    template = program.template()
    found = Checkpoints(run.checkpoints).latest({"state": template, "best": template.params})
    if found is None:
        raise CheckpointError(f"{run.path}: no checkpoint yet: train it first")
    steps, arrays, _ = found
    params = arrays["best"] if weights == "best" else program.examined(arrays["state"])
    return Trained(program.network, jax.tree.map(lambda leaf: leaf[seed], params), steps)
