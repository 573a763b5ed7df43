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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lstm_lab.checkpoint import Checkpoints
from lstm_lab.config import to_json
from lstm_lab.errors import CheckpointError, DataError, NonFiniteError
from lstm_lab.experiment import Trial
from lstm_lab.processes import greatest, leads, stopping, together
from lstm_lab.progress import Silent, Watcher
from lstm_lab.provenance import differences, environment
from lstm_lab.rundir import Onlooker, RunDirectory
from lstm_lab.signals import Stop
from lstm_lab.train import Program, Scores, TrainState

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
    with contextlib.ExitStack() as opened:
        with together():
            run = opened.enter_context((RunDirectory if leads() else Onlooker)(directory))
            if run.finished and (result := run.result):
                return result
            if leads():
                _prepare(run, trial, allow_nonbitwise)
        fitting = _Fitting(trial, run, save_every, stop or Stop(), watcher or Silent())
        try:
            fitting.train()
        except NonFiniteError as error:
            labels = {"model": trial.model.label, "task": trial.task.label}
            run.fail("diverged", str(error), trial=trial.id, experiment=trial.experiment, **labels)
            raise
        result = fitting.result()
        run.finish(result)
        return result


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


class _Fitting:
    """One sitting of one trial: the loop, and the state the host keeps for it."""

    def __init__(
        self, trial: Trial, run: RunDirectory, save_every: float, stop: Stop, watcher: Watcher
    ) -> None:
        self.trial, self.run, self.save_every = trial, run, save_every
        self.stop, self.watcher = stop, watcher
        self.program = Program(trial)
        self.checkpoints = Checkpoints(run.checkpoints)
        self.record = Record.blank(trial.seeds)
        self.begin = self.saved = time.monotonic()
        every = min(trial.evaluate.every, trial.steps)
        self.every = every
        self.chunk = next(k for k in range(min(CHUNK, every), 0, -1) if every % k == 0)

    def train(self) -> None:
        """Take the steps that are left, and leave a checkpoint of the last."""
        state, step = self._restore()
        self.watcher.start(
            f"{self.trial.model.label} on {self.trial.task.label}", self.trial.steps, step
        )
        saved_step = step
        while step < self.trial.steps and self.record.active.any():
            state, step = self._advance(state, step)
            if step % self.every == 0:
                self._examine(state, step)
            stopped = stopping(self.stop)
            if greatest(stopped or time.monotonic() - self.saved >= self.save_every):
                self._save(state, step)
                saved_step = step
            if stopped:
                raise self.stop.error(f"saved {self.run.path} at step {step}")
        if saved_step != step:
            self._save(state, step)
        self.state = state

    def _restore(self) -> tuple[TrainState, int]:
        """Return the newest checkpoint's state and step, or the first."""
        template = self.program.template()
        found = self.checkpoints.latest({"state": template, "best": template.params})
        step = found[0] if found else 0
        with together():
            if step != (newest := greatest(step)):
                raise CheckpointError(
                    f"{self.run.path}: step {step} here, step {newest} for another process: "
                    "give an --out on a file system that all processes share"
                )
        if found is None:
            self.run.metrics.truncate(0)
            state = self.program.init()
            self.best = self.program.axis.take(state.params)
            return state, 0
        _, arrays, meta = found
        self.run.metrics.truncate(meta["metrics"])
        self.record = Record.from_json(meta["record"])
        self.begin -= self.record.seconds
        self.best = arrays["best"]
        return self.program.put(arrays["state"]), step

    def _advance(self, state: TrainState, step: int) -> tuple[TrainState, int]:
        """Take a chunk of steps, see that they are finite, and write a row for each running seed."""
        active = self.record.active
        begin = time.monotonic()
        compiled = self.program.compiler.seconds
        state, progress = self.program.advance(state, active, self.chunk)
        loss, norm = self.program.axis.take((progress.loss, progress.norm))
        spent = time.monotonic() - begin - (self.program.compiler.seconds - compiled)
        self._check_finite(step, {"loss": loss, "gradient norm": norm})
        step += self.chunk
        means = {"loss": loss.mean(axis=1), "gradient_norm": norm.mean(axis=1)}
        self._write(step, "train", active, means)
        rate = active.sum() * self.chunk * self.trial.batch / max(spent, 1e-9)
        self.watcher.update(step, float(np.median(means["loss"][active])), rate, int(active.sum()))
        return state, step

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

    def _examine(self, state: TrainState, step: int) -> None:
        """Examine running seeds, keep the best parameters, stop those that have solved the task."""
        task, record = self.trial.task, self.record
        active = record.active.copy()
        scores = self.program.examine(state.params, active)
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
        better = active & (np.isnan(record.best) | (sign * value > sign * record.best))
        record.best = np.where(better, value, record.best)
        record.best_step = np.where(better, step, record.best_step)
        if better.any():
            self.best = _choose(better, self.program.axis.take(state.params), self.best)
        if self.trial.solved_at is not None:
            solved = active & (sign * value >= sign * self.trial.solved_at)
            record.solved_step = np.where(solved, step, record.solved_step)
            record.active = active & ~solved

    def _write(self, step: int, split: str, active: np.ndarray, columns: Scores) -> None:
        """Append a row per running seed; "time" is the only field that another run may not repeat."""
        now = round(time.monotonic() - self.begin, 3)
        self.run.metrics.append(
            {
                "step": step,
                "seed": seed,
                "split": split,
                **{name: float(values[seed]) for name, values in columns.items()},
                "time": now,
            }
            for seed in np.flatnonzero(active).tolist()
        )

    def _save(self, state: TrainState, step: int) -> None:
        self.record.seconds = time.monotonic() - self.begin
        arrays = {"state": self.program.axis.take(state), "best": self.best}
        # A finite loss can be followed by an update that is not.
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(arrays["state"].params)):
            raise NonFiniteError(
                f"parameters: not finite after step {step}: nothing of it is saved; "
                "lower optimizer.learning-rate or optimizer.clip",
                step=step,
                tensor="parameters",
            )
        meta = {"record": self.record.to_json(), "metrics": self.run.metrics.offset}
        self.checkpoints.save(step, arrays, meta)
        self.saved = time.monotonic()

    def result(self) -> dict[str, Any]:
        """Examine the last weights on fresh examples, take the probes, and put it all together."""
        trial, program, record = self.trial, self.program, self.record
        everyone = np.ones(trial.seeds, bool)
        final = program.examine(self.state.params, everyone, test=True)
        steps = program.axis.take(self.state.step)
        trained = time.monotonic() - self.begin
        data = jax.device_get(program.data)
        probes = self._probes(data)
        device = jax.devices()[0].device_kind
        result = {
            "trial": trial.id,
            "experiment": trial.experiment,
            "model": trial.model.label,
            "task": trial.task.label,
            "model_config": to_json(trial.model),
            "task_config": to_json(trial.task),
            "metric": trial.task.metric,
            "higher_is_better": trial.task.higher_is_better,
            "parameters": program.network.parameters,
            "d_hidden": trial.d_hidden,
            "batch": trial.batch,
            "seeds": list(range(trial.seeds)),
            "max_steps": trial.steps,
            "steps": steps.tolist(),
            "solved_at": trial.solved_at,
            "solved_step": [None if step < 0 else step for step in record.solved_step.tolist()],
            "final": {name: values.tolist() for name, values in final.items()},
            "best": {trial.task.metric: record.best.tolist(), "step": record.best_step.tolist()},
            "chance": trial.task.chance,
            "baselines": trial.task.baselines(data),
            "probes": probes,
            "seconds": {
                "compile": round(program.compiler.seconds, 2),
                "train": round(trained, 2),
                "total": round(time.monotonic() - self.begin, 2),
            },
            "device": f"{device} x{program.axis.mesh.size}",
            "status": "finished",
        }
        self.watcher.finish(_line(result))
        return result

    def _probes(self, data: Any) -> dict[str, Any]:
        """Take every probe at its moments, on the first weights drawn again and on the last."""
        program = self.program
        states = {"after": self.state.params}
        if any("before" in probe.moments for probe in self.trial.probes):
            states["before"] = program.init().params
        params = {moment: program.axis.take(tree) for moment, tree in states.items()}
        return {
            probe.name: {
                moment: probe.measure(program.network, params[moment], data)
                for moment in probe.moments
            }
            for probe in self.trial.probes
        }


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
