"""One trial under way: its directory, what the host knows of its seeds, and how it is resumed.

A checkpoint holds the state, the best parameters so far, the record, and the length of the metrics file,
so a resumed run ends with the bits and the rows of one never interrupted.

Where several processes run one trial (`lstm_lab.processes`), each reads the same checkpoint to go on from;
only the first holds the directory and writes.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lstm_lab.checkpoint import Checkpoints
from lstm_lab.config import to_json
from lstm_lab.errors import CheckpointError, DataError, LabError, NonFiniteError
from lstm_lab.processes import greatest, leads, together
from lstm_lab.provenance import differences, environment
from lstm_lab.record import Record
from lstm_lab.rundir import Onlooker, RunDirectory
from lstm_lab.tasks.base import Task
from lstm_lab.text import tokenisers
from lstm_lab.train import Scores, TrainState
from lstm_lab.trial import Trial


class Run:
    """One of the trials that run beside each other: its directory, and what the host keeps for it.

    Args:
        trial: what is run.
        path: its run directory.

    Attributes:
        record: what is known of each seed.
        outcome: the contents of `result.json`, or why there is none; None while it is under way.
        state: what a checkpoint gave, leaves `[S, ...]`, until training takes it; None for none.
        best: each seed's best parameters so far, leaves `[S, ...]`.
        better: the seeds that the newest examination found better than ever, bool `[S]`.
        begin: when it would have begun, had it run without a pause; of the monotonic clock, seconds.
    """

    best: Any

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
        """Read the newest checkpoint, if any.

        Args:
            template: shapes and dtypes of the state, leaves `[S, ...]`.

        Returns:
            The step it is of, 0 for none; where it cannot be resumed from, `outcome` says so.
        """
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
        """See that the K steps up to this one are finite, and write a row for each running seed.

        Args:
            step: how many have been taken.
            loss: of the last K, `[S, K]`.
            norm: the gradient's, `[S, K]`.

        Raises:
            NonFiniteError: one of them is not.
        """
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
        """Note which seeds are better than ever, and stop those that have solved the task.

        Args:
            step: how many have been taken.
            scores: the task's metrics, each `[S]`.

        Raises:
            NonFiniteError: a running seed's score is not.
        """
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
        """Write a checkpoint of a state, leaves `[S, ...]`.

        Raises:
            NonFiniteError: a parameter is not; nothing is written.
            StorageError: it could not be written.
        """
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
        published = trial.task.published(trial.batch)
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
            "solved": trial.task.solved,
            "published": published and asdict(published),
            "optimizer": to_json(trial.optimizer),
            **measured,
            "status": "finished",
        }
        self.files.finish(result)
        return result


def _prepare(files: RunDirectory, trial: Trial, allow_nonbitwise: bool) -> None:
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
    recorded, before = files.read("config.json"), files.read("env.json")
    vocabulary = _vocabulary(trial.task)
    if recorded is None or before is None:
        files.start(config, now, vocabulary)
        return
    if recorded.get("trial") != config["trial"]:
        raise CheckpointError(
            f"{files.path}: holds another configuration: give another --out, or remove it"
        )
    if before.get("data") != now.get("data"):
        raise DataError(
            f"{trial.task.label}: sha256 {now.get('data')}, but {files.path} began with "
            f"{before.get('data')}: put the corpus back, or give another --out"
        )
    if vocabulary != (files.read("vocabulary.json") or vocabulary):
        raise DataError(
            f"{files.path}: its vocabulary.json is not what the corpus and the tokeniser of today give: "
            "put back the file and the packages it was made with, or give another --out"
        )
    if (changed := differences(before, now)) and not allow_nonbitwise:
        raise CheckpointError(
            f"{files.path}: {'; '.join(changed)}: resuming would not give the same bits; "
            "add --allow-nonbitwise to go on all the same, or remove it to begin anew"
        )


def _vocabulary(task: Task) -> dict[str, Any] | None:
    """What a task's symbols stand for, as JSON; None where it has none."""
    return tokenisers.to_json(task.vocabulary()) if hasattr(task, "vocabulary") else None
