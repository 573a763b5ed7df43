"""Trials from their first step to their results, whatever happens in between.

Those that one program serves are fitted beside each other, in one sitting for each step at which
checkpoints left some of them. Where several processes run one trial (`lstm_lab.processes`), each goes
through all of this.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lstm_lab.errors import LabError
from lstm_lab.program import Program
from lstm_lab.progress import Silent, Watcher
from lstm_lab.run import Run
from lstm_lab.signals import Stop
from lstm_lab.sitting import Sitting
from lstm_lab.trial import Trial


def fit(
    trial: Trial,
    directory: Path | str,
    *,
    save_every: float = 60.0,
    allow_nonbitwise: bool = False,
    stop: Stop | None = None,
    watcher: Watcher | None = None,
) -> dict[str, Any]:
    """Train a trial's seeds, or finish training them, and measure what came of it.

    Args:
        trial: what to run.
        directory: its run directory; one that has a result is not run again.
        save_every: seconds between checkpoints.
        allow_nonbitwise: resume even where versions, code or devices have changed since.
        stop: asked between compiled calls whether to save and leave.
        watcher: told how training goes.

    Returns:
        The contents of `result.json`.

    Raises:
        LockedError: another process is at it.
        CheckpointError: what is there cannot be resumed from.
        DataError: the corpus is not the one the run began with.
        NonFiniteError: a loss or gradient was not finite; nothing of that step is saved.
        StorageError: something could not be written.
        Interrupted: asked to stop; the state is saved.
    """
    (outcome,) = fit_together(
        {directory: trial},
        save_every=save_every,
        allow_nonbitwise=allow_nonbitwise,
        stop=stop,
        watcher=watcher,
    )
    if isinstance(outcome, LabError):
        raise outcome
    return outcome


def fit_together(
    trials: Mapping[Path | str, Trial],
    *,
    save_every: float = 60.0,
    allow_nonbitwise: bool = False,
    stop: Stop | None = None,
    watcher: Watcher | None = None,
) -> list[dict[str, Any] | LabError]:
    """Train the trials that one program serves beside each other, each as `fit` would alone.

    What ends one leaves the others running. Those that stand at the same step go on together. The seconds
    in their results are those that all of them took. The rest is what each is alone: to the bit where runs
    go in turn and no batch is cut over devices, as on a CPU with no more cores than seeds; else but for rounding.

    Args:
        trials: by run directory, of equal `program_key`.
        save_every: as `fit`, like all that follow.
        allow_nonbitwise: see there.
        stop: see there.
        watcher: see there.

    Returns:
        In the order given the contents of each `result.json`, or why there is none.

    Raises:
        StorageError: something could not be written while training.
        Interrupted: asked to stop; all states are saved.
    """
    with contextlib.ExitStack() as opened:
        runs = [Run(trial, Path(directory)) for directory, trial in trials.items()]
        for run in runs:
            run.open(opened, allow_nonbitwise)
        for program, members, step in _by_step([run for run in runs if run.outcome is None]):
            sitting = Sitting(program, members, save_every, stop or Stop(), watcher or Silent())
            sitting.finish(sitting.train(step))
    return [run.outcome for run in runs if run.outcome is not None]


def _by_step(runs: list[Run]) -> Iterator[tuple[Program, list[Run], int]]:
    """Part runs by the step that their checkpoints hold, and give each part its program."""
    if not runs:
        return
    program = Program(*(run.trial for run in runs))
    template = program.template()
    parts: dict[int, list[Run]] = {}
    for run in runs:
        step = run.restore(template)
        if run.outcome is None:
            parts.setdefault(step, []).append(run)
    for step, members in sorted(parts.items()):
        whole = len(members) == len(runs)
        yield program if whole else Program(*(run.trial for run in members)), members, step
