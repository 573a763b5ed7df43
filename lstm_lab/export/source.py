"""From a run directory to a network by itself."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import jax

from lstm_lab.checkpoint import Checkpoints
from lstm_lab.config import from_json
from lstm_lab.errors import CheckpointError, UsageError
from lstm_lab.export.exported import Exported
from lstm_lab.model import Widths
from lstm_lab.rundir import RunDirectory
from lstm_lab.tasks.text import Text
from lstm_lab.text.writer import find_run, remembered
from lstm_lab.train import Program
from lstm_lab.trial import Trial


def from_run(path: Path, weights: Literal["best", "last"] = "best", seed: int = 0) -> Exported:
    """Take one seed's network out of a run.

    Args:
        path: the run directory, or one that holds a single run.
        weights: the best on held-out data, or the last.
        seed: which of the run's seeds.

    Returns:
        The network.

    Raises:
        UsageError: there is no run, or no such seed.
        DataError: the run holds no vocabulary, and its corpus is not the one that was trained on.
        CheckpointError: there is nothing to load.
    """
    run = RunDirectory(find_run(path))
    config, env = run.read("config.json") or {}, run.read("env.json") or {}
    trial = from_json(config.get("trial"))
    if not isinstance(trial, Trial):
        raise UsageError(f"{run.path}: not a run: name a run directory, such as runs/text/<trial>")
    if not 0 <= seed < trial.seeds:
        raise UsageError(f"of-seed: {seed}: {run.path} has seeds 0 to {trial.seeds - 1}")
    task = trial.task
    if isinstance(task, Text):
        task = remembered(run, task)
    program = Program(replace(trial, task=task))
    template = program.template()
    found = Checkpoints(run.checkpoints).latest({"state": template, "best": template.params})
    if found is None:
        raise CheckpointError(f"{run.path}: no checkpoint yet: train it first")
    step, arrays, _ = found
    params = arrays["best"] if weights == "best" else arrays["state"].params
    return Exported(
        trial.model,
        Widths.of(task),
        trial.d_hidden,
        jax.tree.map(lambda leaf: leaf[seed], params),
        task.vocabulary() if isinstance(task, Text) else None,
        {
            "experiment": trial.experiment,
            "trial": trial.id,
            "task": task.label,
            "data": env.get("data"),
            "seed": seed,
            "weights": weights,
            "steps": step,
        },
    )
