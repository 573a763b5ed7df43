"""One trial, from its first step to its result, whatever happens in between.

The host's part of training. It calls the compiled program for a handful of steps at a time, appends
rows to `metrics.jsonl`, examines, stops seeds that have solved their task, and saves: at intervals, when
asked to stop, and at the end. A checkpoint holds the state, the best parameters so far, and the length of
the metrics file, so a resumed run ends with the bits and the rows of one never interrupted.

Where several processes run one trial (`lstm_lab.processes`), each goes through all of this, and reads the
same checkpoint to go on from; only the first holds the directory and writes.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_lab.checkpoint import Checkpoints
from lstm_lab.config import to_json
from lstm_lab.errors import CheckpointError, DataError, LabError, NonFiniteError
from lstm_lab.processes import greatest, leads, stopping, together
from lstm_lab.progress import Silent, Watcher
from lstm_lab.provenance import differences, environment
from lstm_lab.rundir import Onlooker, RunDirectory
from lstm_lab.signals import Stop
from lstm_lab.train import Program, Scores, TrainState
from lstm_lab.trial import Trial

# Most steps per compiled call: often enough to stop soon when asked, seldom enough to cost nothing.
CHUNK = 50


@dataclasses.dataclass
class Record:
    """What the host knows of each seed besides its state; saved with it.

    Attributes:
        active: bool `[S]`, False once a seed has stopped.
        best: the headline metric's best held-out value, `[S]`; NaN before the first.
        best_step: the step of it, `[S]`.
        solved_step: the step at which a seed was first found solved, `[S]`; -1 for never.
        seconds: spent training, earlier sittings included.
    """

    active: np.ndarray
    best: np.ndarray
    best_step: np.ndarray
    solved_step: np.ndarray
    seconds: float = 0.0

    @classmethod
    def blank(cls, seeds: int) -> "Record":
        """The record before the first step."""
        nothing = np.full(seeds, -1)
        return cls(np.ones(seeds, bool), np.full(seeds, np.nan), nothing, nothing.copy())

    def to_json(self) -> dict[str, Any]:
        """Its picture for a checkpoint; NaN as None."""
        best = [None if math.isnan(value) else value for value in self.best.tolist()]
        rest = {
            name: getattr(self, name).tolist() for name in ("active", "best_step", "solved_step")
        }
        return {**rest, "best": best, "seconds": self.seconds}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Record":
        """Rebuild it from its picture."""
        return cls(
            np.array(data["active"], bool),
            np.array(data["best"], float),
            np.array(data["best_step"]),
            np.array(data["solved_step"]),
            data["seconds"],
        )


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
        runs = [_Run(trial, Path(directory)) for directory, trial in trials.items()]
        for run in runs:
            run.open(opened, allow_nonbitwise)
        for program, members, step in _by_step([run for run in runs if run.outcome is None]):
            sitting = _Sitting(program, members, save_every, stop or Stop(), watcher or Silent())
            sitting.finish(sitting.train(step))
    return [run.outcome for run in runs if run.outcome is not None]


def _by_step(runs: list["_Run"]) -> Iterator[tuple[Program, list["_Run"], int]]:
    """Part runs by the step that their checkpoints hold, and give each part its program."""
    if not runs:
        return
    program = Program(*(run.trial for run in runs))
    template = program.template()
    parts: dict[int, list[_Run]] = {}
    for run in runs:
        step = run.restore(template)
        if run.outcome is None:
            parts.setdefault(step, []).append(run)
    for step, members in sorted(parts.items()):
        whole = len(members) == len(runs)
        yield program if whole else Program(*(run.trial for run in members)), members, step


def _prepare(run: RunDirectory, trial: Trial, allow_nonbitwise: bool) -> None:
    """Write down what is run and on what, or refuse to go on with another run's state."""
    config = {
        "experiment": trial.experiment,
        "model": trial.model.label,
        "task": trial.task.label,
        "trial": to_json(trial),
    }
    now = environment()
    if hasattr(trial.task, "sha256"):
        now["data"] = trial.task.sha256()
    recorded, before = run.read("config.json"), run.read("env.json")
    if recorded is None or before is None:
        run.start(config, now)
        return
    if recorded.get("trial") != config["trial"]:
        raise CheckpointError(
            f"{run.path}: holds another configuration: give another --out, or remove it"
        )
    if before.get("data") != now.get("data"):
        raise DataError(
            f"{trial.task.label}: sha256 {now.get('data')}, but {run.path} began with "
            f"{before.get('data')}: put the corpus back, or give another --out"
        )
    if (changed := differences(before, now)) and not allow_nonbitwise:
        raise CheckpointError(
            f"{run.path}: {'; '.join(changed)}: resuming would not give the same bits; "
            "add --allow-nonbitwise to go on all the same, or remove it to begin anew"
        )


class _Run:
    """One of the trials that run beside each other: its directory, and what the host keeps for it.

    Args:
        trial: what is run.
        path: its run directory.
    """

    def __init__(self, trial: Trial, path: Path) -> None:
        self.trial, self.path = trial, path
        self.record = Record.blank(trial.seeds)
        self.outcome: dict[str, Any] | LabError | None = None
        self.state: TrainState | None = None
        self.better = np.zeros(trial.seeds, bool)
        self.begin = time.monotonic()

    @property
    def active(self) -> np.ndarray:
        """The seeds that still learn, bool `[S]`; none of a trial that is over."""
        return self.record.active & (self.outcome is None)

    def open(self, opened: contextlib.ExitStack, allow_nonbitwise: bool) -> None:
        """Take the directory, for as long as the stack is open; or learn that there is nothing to do."""
        try:
            with together():
                kind = RunDirectory if leads() else Onlooker
                self.files = opened.enter_context(kind(self.path))
                self.checkpoints = Checkpoints(self.files.checkpoints)
                if self.files.finished:
                    self.outcome = self.files.result
                if leads() and self.outcome is None:
                    _prepare(self.files, self.trial, allow_nonbitwise)
        except LabError as error:
            self.outcome = error

    def restore(self, template: TrainState) -> int:
        """Read the newest checkpoint, if any, and return its step."""
        step = 0
        try:
            with together():
                found = self.checkpoints.latest({"state": template, "best": template.params})
                step = found[0] if found else 0
            newest = greatest(step)
            with together():
                if step != newest:
                    raise CheckpointError(
                        f"{self.path}: step {step} here, step {newest} for another process: "
                        "give an --out on a file system that all processes share"
                    )
                if found is None:
                    self.files.metrics.truncate(0)
                    return 0
                _, arrays, meta = found
                self.files.metrics.truncate(meta["metrics"])
        except LabError as error:
            self.outcome = error
            return step
        self.record = Record.from_json(meta["record"])
        self.state, self.best = arrays["state"], arrays["best"]
        return step

    @contextlib.contextmanager
    def surviving(self) -> Iterator[None]:
        """Where a number is not finite, end this trial and no other."""
        try:
            yield
        except NonFiniteError as error:
            trial = self.trial
            labels = {"model": trial.model.label, "task": trial.task.label}
            self.files.fail(
                "diverged", str(error), trial=trial.id, experiment=trial.experiment, **labels
            )
            self.outcome = error

    def learned(self, step: int, loss: np.ndarray, norm: np.ndarray) -> None:
        """See that the K steps up to this one are finite, and write a row for each running seed."""
        self._check_finite(step - loss.shape[1], {"loss": loss, "gradient norm": norm})
        means = {"loss": loss.mean(axis=1), "gradient_norm": norm.mean(axis=1)}
        self._write(step, "train", self.active, means)

    def _check_finite(self, step: int, tensors: dict[str, np.ndarray]) -> None:
        bad = {name: ~np.isfinite(values) for name, values in tensors.items()}
        if not any(found.any() for found in bad.values()):
            return
        k = min(int(np.argmax(found.any(axis=0))) for found in bad.values() if found.any())
        name = next(name for name, found in bad.items() if found[:, k].any())
        seed = int(np.argmax(bad[name][:, k]))
        raise NonFiniteError(
            f"{name}: {tensors[name][seed, k]} at step {step + k + 1} of seed {seed}: "
            "nothing of it is saved; lower optimizer.learning-rate or optimizer.clip",
            step=step + k + 1,
            tensor=name,
        )

    def examined(self, step: int, scores: Scores) -> None:
        """Note which seeds are better than ever, and stop those that have solved the task."""
        task, record, active = self.trial.task, self.record, self.active
        self.better = np.zeros(len(active), bool)
        for name, values in scores.items():
            if not np.isfinite(values[active]).all():
                raise NonFiniteError(
                    f"held-out {name}: not finite at step {step}: nothing of it is saved; "
                    "lower optimizer.learning-rate or optimizer.clip",
                    step=step,
                    tensor=name,
                )
        self._write(step, "validation", active, scores)
        value = scores[task.metric]
        sign = 1 if task.higher_is_better else -1
        self.better = active & (np.isnan(record.best) | (sign * value > sign * record.best))
        record.best = np.where(self.better, value, record.best)
        record.best_step = np.where(self.better, step, record.best_step)
        if self.trial.solved_at is not None:
            solved = active & (sign * value >= sign * self.trial.solved_at)
            record.solved_step = np.where(solved, step, record.solved_step)
            record.active = active & ~solved

    def _write(self, step: int, split: str, active: np.ndarray, columns: Scores) -> None:
        """Append a row per running seed; "time" is the only field that another run may not repeat."""
        now = round(time.monotonic() - self.begin, 3)
        self.files.metrics.append(
            {
                "step": step,
                "seed": seed,
                "split": split,
                **{name: float(values[seed]) for name, values in columns.items()},
                "time": now,
            }
            for seed in np.flatnonzero(active).tolist()
        )

    def save(self, step: int, state: TrainState) -> None:
        """Write a checkpoint of a state, leaves `[S, ...]`."""
        self.record.seconds = time.monotonic() - self.begin
        # A finite loss can be followed by an update that is not.
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params)):
            raise NonFiniteError(
                f"parameters: not finite after step {step}: nothing of it is saved; "
                "lower optimizer.learning-rate or optimizer.clip",
                step=step,
                tensor="parameters",
            )
        meta = {"record": self.record.to_json(), "metrics": self.files.metrics.offset}
        self.checkpoints.save(step, {"state": state, "best": self.best}, meta)

    def finish(self, measured: Mapping[str, Any]) -> dict[str, Any]:
        """Put what this trial is and what the host knows of it around what was measured, and write it."""
        trial, record = self.trial, self.record
        self.outcome = result = {
            "trial": trial.id,
            "experiment": trial.experiment,
            "model": trial.model.label,
            "task": trial.task.label,
            "model_config": to_json(trial.model),
            "task_config": to_json(trial.task),
            "metric": trial.task.metric,
            "higher_is_better": trial.task.higher_is_better,
            "d_hidden": trial.d_hidden,
            "batch": trial.batch,
            "seeds": list(range(trial.seeds)),
            "max_steps": trial.steps,
            "solved_at": trial.solved_at,
            "solved_step": [None if step < 0 else step for step in record.solved_step.tolist()],
            "best": {trial.task.metric: record.best.tolist(), "step": record.best_step.tolist()},
            "chance": trial.task.chance,
            **measured,
            "status": "finished",
        }
        self.files.finish(result)
        return result


class _Sitting:
    """One sitting of the trials that one program serves, from the step at which they all stand.

    Args:
        program: compiled for them.
        runs: the trials, in the program's order.
        save_every: seconds between checkpoints.
        stop: asked whether to save and leave.
        watcher: told how training goes.
    """

    def __init__(
        self, program: Program, runs: list[_Run], save_every: float, stop: Stop, watcher: Watcher
    ) -> None:
        self.program, self.runs, self.save_every = program, runs, save_every
        self.stop, self.watcher = stop, watcher
        self.trial = program.trial
        self.begin = self.saved = time.monotonic()
        every = min(self.trial.evaluate.every, self.trial.steps)
        self.every = every
        self.chunk = next(k for k in range(min(CHUNK, every), 0, -1) if every % k == 0)
        for run in runs:
            run.begin = self.begin - run.record.seconds

    @property
    def active(self) -> np.ndarray:
        """The runs that still learn, bool `[R]`."""
        return np.concatenate([run.active for run in self.runs])

    def train(self, step: int) -> TrainState:
        """Take the steps that are left, leave a checkpoint of the last, and return its state."""
        state = self._begin()
        more = f" and {len(self.runs) - 1} like it" if len(self.runs) > 1 else ""
        self.watcher.start(
            f"{self.trial.model.label} on {self.trial.task.label}{more}", self.trial.steps, step
        )
        saved_step = step
        while step < self.trial.steps and self.active.any():
            state, step = self._advance(state, step)
            if step % self.every == 0:
                self._examine(state, step)
            stopped = stopping(self.stop)
            if greatest(stopped or time.monotonic() - self.saved >= self.save_every):
                self._save(state, step)
                saved_step = step
            if stopped:
                raise self.stop.error(f"saved {self.runs[0].path}{more} at step {step}")
        if saved_step != step:
            self._save(state, step)
        return state

    def _begin(self) -> TrainState:
        """The state that checkpoints gave, or the first."""
        found = [run.state for run in self.runs if run.state is not None]
        for run in self.runs:
            run.state = None
        if found:
            return self.program.put(jax.tree.map(lambda *own: jnp.concatenate(own), *found))
        state = self.program.init()
        for run, own in zip(
            self.runs, self._parts(self.program.axis.take(state.params)), strict=True
        ):
            run.best = own
        return state

    def _parts(self, tree: Any) -> list[Any]:
        """Cut host arrays `[R, ...]` into each trial's `[S, ...]`."""
        seeds = self.trial.seeds
        return [
            jax.tree.map(lambda leaf, i=i: leaf[i * seeds : (i + 1) * seeds], tree)
            for i in range(len(self.runs))
        ]

    def _advance(self, state: TrainState, step: int) -> tuple[TrainState, int]:
        """Take a chunk of steps, and hand each trial its own."""
        active = self.active
        begin = time.monotonic()
        compiled = self.program.compiler.seconds
        state, progress = self.program.advance(state, active, self.chunk)
        loss, norm = self.program.axis.take((progress.loss, progress.norm))
        spent = time.monotonic() - begin - (self.program.compiler.seconds - compiled)
        step += self.chunk
        for run, own in zip(self.runs, self._parts((loss, norm)), strict=True):
            with run.surviving():
                run.learned(step, *own)
        rate = active.sum() * self.chunk * self.trial.batch / max(spent, 1e-9)
        if (left := self.active).any():
            median = float(np.median(loss.mean(axis=1)[left]))
            self.watcher.update(step, median, rate, int(left.sum()))
        return state, step

    def _examine(self, state: TrainState, step: int) -> None:
        """Examine running seeds, and keep the best parameters."""
        scores = self.program.examine(state.params, self.active)
        for run, own in zip(self.runs, self._parts(scores), strict=True):
            with run.surviving():
                run.examined(step, own)
        better = [run.better for run in self.runs]
        if np.any(better):
            params = self._parts(self.program.axis.take(state.params))
            for run, own in zip(self.runs, params, strict=True):
                run.best = _choose(run.better, own, run.best)

    def _save(self, state: TrainState, step: int) -> None:
        for run, own in zip(self.runs, self._parts(self.program.axis.take(state)), strict=True):
            if run.outcome is None:
                with run.surviving():
                    run.save(step, own)
        self.saved = time.monotonic()

    def finish(self, state: TrainState) -> None:
        """Examine the last weights on fresh examples, take the probes, and finish every trial."""
        program = self.program
        left = np.repeat([run.outcome is None for run in self.runs], self.trial.seeds)
        if not left.any():
            return
        final = self._parts(program.examine(state.params, left, test=True))
        steps = self._parts(program.axis.take(state.step))
        trained = time.monotonic()
        data = jax.device_get(program.data)
        params = self._moments(state)
        baselines = self.trial.task.baselines(data)
        device = jax.devices()[0].device_kind
        for i, run in enumerate(self.runs):
            if run.outcome is not None:
                continue
            probes = {
                probe.name: {
                    moment: probe.measure(program.networks[i], params[moment][i], data)
                    for moment in probe.moments
                }
                for probe in self.trial.probes
            }
            measured = {
                "parameters": program.network.parameters,
                "steps": steps[i].tolist(),
                "final": {name: values.tolist() for name, values in final[i].items()},
                "baselines": baselines,
                "probes": probes,
                "seconds": {
                    "compile": round(program.compiler.seconds, 2),
                    "train": round(trained - run.begin, 2),
                    "total": round(time.monotonic() - run.begin, 2),
                },
                "device": f"{device} x{program.axis.mesh.size}",
            }
            self.watcher.finish(_line(run.finish(measured)))

    def _moments(self, state: TrainState) -> dict[str, list[Any]]:
        """Each trial's parameters on the host after training, and those drawn first if a probe asks."""
        states = {"after": state.params}
        if any("before" in probe.moments for probe in self.trial.probes):
            states["before"] = self.program.init().params
        return {name: self._parts(self.program.axis.take(tree)) for name, tree in states.items()}


def _choose(better: np.ndarray, new: Any, old: Any) -> Any:
    """Take one tree's leaves `[S, ...]` where a seed got better, the other's elsewhere."""

    def pick(n: np.ndarray, o: np.ndarray) -> np.ndarray:
        return np.where(better.reshape(-1, *[1] * (n.ndim - 1)), n, o)

    return jax.tree.map(pick, new, old)


def _line(result: Mapping[str, Any]) -> str:
    """One line for whoever is waiting: the headline metric's median beside chance and baselines."""
    metric = result["metric"]
    values = result["final"][metric]
    known = {"chance": result["chance"], **result["baselines"]}
    beside = ", ".join(f"{name} {on[metric]:.4g}" for name, on in known.items() if metric in on)
    return (
        f"{result['model']} on {result['task']}: {metric} {np.median(values):.4g}"
        + (f" ({beside})" if beside else "")
        + f", {len(values)} seeds, {max(result['steps'])} steps, {result['parameters']} parameters, "
        f"{result['seconds']['total']:.0f} s"
    )
