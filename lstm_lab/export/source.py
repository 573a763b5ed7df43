"""From a run directory to a network by itself."""

from dataclasses import replace
from pathlib import Path

from lstm_lab.config import from_json
from lstm_lab.errors import UsageError
from lstm_lab.export.exported import Exported
from lstm_lab.model import Widths
from lstm_lab.rundir import RunDirectory
from lstm_lab.tasks.text import Text
from lstm_lab.text.writer import find_run, remembered
from lstm_lab.trained import Weights, trained
from lstm_lab.trial import Trial


def from_run(path: Path, weights: Weights = "best", seed: int = 0) -> Exported:
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
    task = trial.task
    if isinstance(task, Text):
        task = remembered(run, task)
    _, params, steps = trained(run, replace(trial, task=task), weights, seed)
    return Exported(
        trial.model,
        Widths.of(task),
        trial.d_hidden,
        params,
        task.vocabulary() if hasattr(task, "vocabulary") else None,
        {
            "experiment": trial.experiment,
            "trial": trial.id,
            "task": task.label,
            "data": env.get("data"),
            "seed": seed,
            "weights": weights,
            "steps": steps,
        },
    )
