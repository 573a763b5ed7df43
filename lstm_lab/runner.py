"""From an experiment to its run directories: every trial that has no result yet.

Trials that one program serves, such as those of a sweep over learning rates, run beside each other; else one
runs after the other.

The same command in several processes runs them together, see `lstm_lab.processes`.
"""

import dataclasses
import time
from collections.abc import Hashable, Sequence
from pathlib import Path

from lstm_lab import __version__
from lstm_lab.config import to_json
from lstm_lab.errors import LabError, SweepIncomplete
from lstm_lab.experiment import Experiment
from lstm_lab.files import make_directory, write_json, writing
from lstm_lab.progress import Silent, Watcher
from lstm_lab.signals import Stop
from lstm_lab.trial import Trial


def run(
    experiment: Experiment,
    out: Path,
    command: str,
    watcher: Watcher,
    *,
    save_every: float = 60.0,
    allow_nonbitwise: bool = False,
    forecast: bool = False,
) -> None:
    """Run what is left of an experiment.

    Args:
        experiment: named and valid.
        out: the directory of all runs; this experiment's is made inside it.
        command: what would run it again, for the report.
        watcher: told how training goes.
        save_every: seconds between checkpoints.
        allow_nonbitwise: resume even where versions, code or devices have changed since.
        forecast: measure first, and say how long it will take.

    Raises:
        LabError: the only trial failed, or nothing more can be done (disk full, interrupted).
        SweepIncomplete: some of several trials failed; the others ran.
    """
    # JAX's backend starts with the first trial, and the devices must be counted out before it does.
    from lstm_lab.devices import use_all_cores
    from lstm_lab.processes import join, leads

    use_all_cores()
    join()
    if not leads():
        watcher = Silent()
    trials = list(experiment.trials())
    directory = out / experiment.name
    labels = [{"id": t.id, "model": t.model.label, "task": t.task.label} for t in trials]
    picture = {"experiment": to_json(experiment), "command": command, "trials": labels}
    if leads():
        with writing(directory):
            make_directory(directory)
        write_json(directory / "experiment.json", {**picture, "version": __version__})
    left = [trial for trial in trials if not (directory / trial.id / "result.json").is_file()]
    if done := len(trials) - len(left):
        watcher.finish(f"{experiment.name}: {done} of {len(trials)} trials done before")
    if forecast and left:
        seconds = estimate(_groups(left))
        watcher.finish(
            f"{experiment.name}: {len(left)} trials, at most {seconds / 60:.0f} minutes "
            "by a measured step; seeds that solve their task stop early"
        )
    _run_all(left, directory, watcher, save_every, allow_nonbitwise)


def _run_all(
    trials: Sequence[Trial],
    directory: Path,
    watcher: Watcher,
    save_every: float,
    allow_nonbitwise: bool,
) -> None:
    from lstm_lab.fit import fit_together
    from lstm_lab.processes import stopping

    failed: list[LabError] = []
    with Stop() as stop:
        for group in _groups(trials):
            outcomes = fit_together(
                {directory / trial.id: trial for trial in group},
                save_every=save_every,
                allow_nonbitwise=allow_nonbitwise,
                stop=stop,
                watcher=watcher,
            )
            for trial, outcome in zip(group, outcomes, strict=True):
                if not isinstance(outcome, LabError):
                    continue
                # Another trial may fare better, unless the disk is full.
                if len(trials) == 1 or outcome.exit_code == 7:
                    raise outcome
                failed.append(outcome)
                watcher.finish(f"{trial.model.label} on {trial.task.label}: failed: {outcome}")
            if stopping(stop):
                raise stop.error(f"{directory} is complete up to {group[-1].id}")
    if failed:
        raise SweepIncomplete(
            f"{directory}: {len(failed)} of {len(trials)} trials failed, the first with {failed[0]!s}"
        )


def _groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Put trials together that one program serves, in the order of their first."""
    from lstm_lab.train import program_key

    groups: dict[Hashable, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(program_key(trial), []).append(trial)
    return list(groups.values())


def estimate(groups: Sequence[Sequence[Trial]]) -> float:
    """Measure how long groups of trials that run together will take at most, in seconds.

    The first and the last group of every model are compiled and run for a few steps; the seconds per
    step of those between are put on the line through the two, by the length of what they read.
    """
    by_model: dict[str, list[Sequence[Trial]]] = {}
    for group in groups:
        by_model.setdefault(group[0].model.label, []).append(group)
    total = 0.0
    for same in by_model.values():
        (t0, c0, s0), (t1, c1, s1) = _measure(same[0]), _measure(same[-1])
        for trial, *_ in same:
            at = (_length(trial) - t0) / (t1 - t0) if t1 > t0 else 0.0
            total += c0 + at * (c1 - c0) + trial.steps * (s0 + at * (s1 - s0))
    return total


def _measure(group: Sequence[Trial]) -> tuple[int, float, float]:
    """Time steps T, seconds to compile, and seconds per training step of trials that run together."""
    import jax
    import numpy as np

    from lstm_lab.train import Program

    program = Program(*group)
    everyone = np.ones(program.runs, bool)
    steps = 5
    state, _ = program.advance(program.init(), everyone, steps)
    jax.block_until_ready(state)
    begin = time.perf_counter()
    state, _ = program.advance(state, everyone, steps)
    jax.block_until_ready(state)
    return _length(group[0]), program.compiler.seconds, (time.perf_counter() - begin) / steps


def _length(trial: Trial) -> int:
    """Steps T of the sequences a trial reads."""
    import jax

    task = trial.task
    batch = jax.eval_shape(lambda: task.sample(task.load(), jax.random.key(0), 0, 1))
    return int(batch.x.shape[1])


def named(experiment: Experiment, path: Path) -> Experiment:
    """Name an experiment after its file, where it has no name of its own."""
    return experiment if experiment.name else dataclasses.replace(experiment, name=path.stem)
