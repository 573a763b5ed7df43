"""From an experiment to its run directories: every trial that has no result yet.

Trials that one program serves, such as those of a search over learning rates, make a group and run beside each
other; where groups run, and how many at once, is a launcher's to say (`lstm_lab.launch`).

The same command in several processes runs them together, see `lstm_lab.processes`.
"""

import dataclasses
import time
from collections.abc import Hashable, Sequence
from pathlib import Path

from lstm_lab import __version__
from lstm_lab.config import to_json
from lstm_lab.errors import AbsentError, LabError, SweepIncomplete, UsageError
from lstm_lab.experiment import Experiment
from lstm_lab.files import make_directory, write_json, writing
from lstm_lab.launch.base import Launcher, Terms, note
from lstm_lab.launch.here import Here
from lstm_lab.progress import Silent, Watcher
from lstm_lab.signals import Stop
from lstm_lab.trial import Trial


def run(
    experiment: Experiment,
    out: Path,
    command: str,
    watcher: Watcher,
    *,
    terms: Terms | None = None,
    launcher: Launcher | None = None,
    only: str = "",
    forecast: bool = False,
) -> None:
    """Run what is left of an experiment.

    Args:
        experiment: named and valid.
        out: the directory of all runs; this experiment's is made inside it.
        command: what would run it again, for the report.
        watcher: told how training goes.
        terms: how trials are run; the defaults where None.
        launcher: where; in this process where None.
        only: those trials alone whose id contains this; empty for all.
        forecast: measure first, and say how long it will take.

    Raises:
        UsageError: no trial's id contains `only`.
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
    labels = [
        {
            "id": trial.id,
            "model": trial.model.label,
            "task": trial.task.label,
            "command": f"{command} --only {trial.id}",
        }
        for trial in trials
    ]
    picture = {"experiment": to_json(experiment), "command": command, "trials": labels}
    if leads():
        with writing(directory):
            make_directory(directory)
        write_json(directory / "experiment.json", {**picture, "version": __version__})
    wanted = [trial for trial in trials if only in trial.id]
    if not wanted:
        raise UsageError(
            f"only: {only!r}: no such trial: their ids are {', '.join(trial.id for trial in trials)}"
        )
    left = [trial for trial in wanted if not (directory / trial.id / "result.json").is_file()]
    if done := len(wanted) - len(left):
        watcher.finish(f"{experiment.name}: {done} of {len(wanted)} trials done before")
    left = _with_data(left, directory, watcher, write=leads())
    if forecast and left:
        seconds = estimate(_groups(left))
        watcher.finish(
            f"{experiment.name}: {len(left)} trials, at most {seconds / 60:.0f} minutes "
            "by a measured step; seeds that solve their task stop early"
        )
    if left:
        terms = dataclasses.replace(terms or Terms(), groups=len(_groups(trials)))
        _run_all(left, directory, launcher or Here(), terms, watcher)


def _with_data(
    trials: Sequence[Trial], directory: Path, watcher: Watcher, write: bool
) -> list[Trial]:
    """The trials whose data is there; of the others it is said, and written down, what is missing."""
    missing: dict[str, str] = {}
    present = []
    for trial in trials:
        try:
            trial.task.validate()
            present.append(trial)
        except AbsentError as error:
            missing[trial.task.label] = str(error)
            if write:
                note(trial, directory, "not run", str(error))
    for task, reason in missing.items():
        watcher.finish(f"{task}: not run: {reason}")
    return present


def _run_all(
    trials: Sequence[Trial], directory: Path, launcher: Launcher, terms: Terms, watcher: Watcher
) -> None:
    failed: list[LabError] = []
    done = 0
    with Stop() as stop:
        for trial, outcome in launcher.run(_groups(trials), directory, terms, stop, watcher):
            done += 1
            # What ends a group leaves those of its trials alone that had their result by then.
            if (
                not isinstance(outcome, LabError)
                or (directory / trial.id / "result.json").is_file()
            ):
                continue
            # Another trial may fare better, unless the disk is full.
            if len(trials) == 1 or outcome.exit_code == 7:
                raise outcome
            failed.append(outcome)
            watcher.finish(f"{trial.model.label} on {trial.task.label}: failed: {outcome}")
        if stop.signum:
            raise stop.error(f"{directory}: {done} of {len(trials)} trials ended")
    if failed:
        raise SweepIncomplete(
            f"{directory}: {len(failed)} of {len(trials)} trials failed, the first with {failed[0]!s}"
        )


def _groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Put trials together that one program serves, in the order of their first."""
    from lstm_lab.program import program_key

    groups: dict[Hashable, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(program_key(trial), []).append(trial)
    return list(groups.values())


def estimate(groups: Sequence[Sequence[Trial]]) -> float:
    """Measure how long groups of trials that run together will take at most, in seconds.

    Of every model the groups with the shortest and the longest sequences are compiled and run for a few steps;
    the seconds per step of those between are put on the line through the two, by the length of what they read.
    """
    by_model: dict[str, list[Sequence[Trial]]] = {}
    for group in groups:
        by_model.setdefault(group[0].model.label, []).append(group)
    total = 0.0
    for same in by_model.values():
        shortest, longest = (pick(same, key=lambda group: _length(group[0])) for pick in (min, max))
        (t0, c0, s0), (t1, c1, s1) = _measure(shortest), _measure(longest)
        for trial, *_ in same:
            at = (_length(trial) - t0) / (t1 - t0) if t1 > t0 else 0.0
            total += c0 + at * (c1 - c0) + trial.steps * (s0 + at * (s1 - s0))
    return total


def _measure(group: Sequence[Trial]) -> tuple[int, float, float]:
    """Time steps T, seconds to compile, and seconds per training step of trials that run together."""
    import jax
    import numpy as np

    from lstm_lab.program import Program

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
