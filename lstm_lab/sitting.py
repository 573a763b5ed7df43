"""The host's loop: trials that one program serves, from the step at which they all stand to their results.

It calls the compiled program for a handful of steps at a time, hands each trial its own rows, examines, and
saves: at intervals, when asked to stop, and at the end. Seeds that have solved their task learn no more; a
trial in which a number is not finite ends, and no other with it.
"""

import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_lab.config import to_json
from lstm_lab.processes import greatest, stopping
from lstm_lab.program import Program
from lstm_lab.progress import Watcher
from lstm_lab.run import Run
from lstm_lab.signals import Stop
from lstm_lab.tasks.base import Task
from lstm_lab.train import Scores, TrainState

# Most steps per compiled call: often enough to stop soon when asked, seldom enough to cost nothing.
CHUNK = 50


class Sitting:
    """One sitting of the trials that one program serves, from the step at which they all stand.

    Args:
        program: compiled for them.
        runs: the trials, in the program's order.
        save_every: seconds between checkpoints.
        stop: asked whether to save and leave.
        watcher: told how training goes.
    """

    def __init__(
        self, program: Program, runs: list[Run], save_every: float, stop: Stop, watcher: Watcher
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
        """Take the steps that are left, and leave a checkpoint of the last.

        Args:
            step: how many have been taken.

        Returns:
            The state after the last, leaves `[padded R, ...]`.

        Raises:
            StorageError: something could not be written.
            Interrupted: asked to stop; all states are saved.
        """
        state = self._begin()
        more = f" and {len(self.runs) - 1} like it" if len(self.runs) > 1 else ""
        self.watcher.start(
            f"{self.trial.model.label} on {self.trial.task.label}{more}", self.trial.steps, step
        )
        saved_step = step
        while step < self.trial.steps and self.active.any() and not self._out_of_time():
            state, step = self._advance(state, step)
            if step % self.every == 0:
                state = self._examine(state, step)
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

    def _out_of_time(self) -> bool:
        """Whether training steps have taken all the seconds that the trials give them."""
        spent = max(run.record.learning for run in self.runs)
        return bool(greatest(self.trial.seconds is not None and spent >= self.trial.seconds))

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
            run.record.learning += spent
            with run.surviving():
                run.learned(step, *own)
        rate = active.sum() * self.chunk * self.trial.batch / max(spent, 1e-9)
        if (left := self.active).any():
            median = float(np.median(loss.mean(axis=1)[left]))
            self.watcher.update(step, median, rate, int(left.sum()))
        return state, step

    def _examine(self, state: TrainState, step: int) -> TrainState:
        """Examine running seeds, keep the best parameters, and let the optimiser know."""
        program, active, examined = self.program, self.active, self.program.examined(state)
        scores = program.examine(examined, active)
        for run, own in zip(self.runs, self._parts(scores), strict=True):
            with run.surviving():
                run.examined(step, own)
        better = [run.better for run in self.runs]
        if np.any(better):
            params = self._parts(program.axis.take(examined))
            for run, own in zip(self.runs, params, strict=True):
                run.best = _choose(run.better, own, run.best)
        if self.trial.optimizer.averages:
            return program.judge(state, active, scores["loss"])
        return state

    def _save(self, state: TrainState, step: int) -> None:
        for run, own in zip(self.runs, self._parts(self.program.axis.take(state)), strict=True):
            if run.outcome is None:
                with run.surviving():
                    run.save(step, own)
        self.saved = time.monotonic()

    def finish(self, state: TrainState) -> None:
        """Examine the last weights on fresh examples, take the probes, and finish every trial.

        Args:
            state: what `train` returned.

        Raises:
            StorageError: a result could not be written.
        """
        program = self.program
        left = np.repeat([run.outcome is None for run in self.runs], self.trial.seeds)
        if not left.any():
            return
        examined = program.examined(state)
        final = self._parts(program.examine(examined, left, test=True))
        steps = self._parts(program.axis.take(state.step))
        elsewhere = [
            self._parts(program.examine(examined, left, test=True, task=task))
            for task in self.trial.also
        ]
        trained = time.monotonic()
        data = jax.device_get(program.data)
        task = self.trial.task
        chance = task.conclude(task.chance, task.test_data(data))
        params = self._moments(state)
        baselines = task.baselines(data)
        device = jax.devices()[0].device_kind
        for i, run in enumerate(self.runs):
            if run.outcome is not None:
                continue
            probes = {
                probe.name: {
                    moment: probe.measure(program.network, params[moment][i], data)
                    for moment in probe.moments
                }
                for probe in self.trial.probes
            }
            measured = {
                "parameters": program.network.parameters,
                "steps": steps[i].tolist(),
                "final": _plain(final[i]),
                "elsewhere": [
                    _elsewhere(task, scores[i])
                    for task, scores in zip(self.trial.also, elsewhere, strict=True)
                ],
                "chance": {metric: float(value) for metric, value in chance.items()},
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
        states = {"after": self.program.examined(state)}
        if any("before" in probe.moments for probe in self.trial.probes):
            states["before"] = self.program.init().params
        return {name: self._parts(self.program.axis.take(tree)) for name, tree in states.items()}


def _plain(scores: Scores) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in scores.items()}


def _elsewhere(task: Task, scores: Scores) -> dict[str, Any]:
    """What a network trained on another task scores on this one."""
    about = {"task": task.label, "task_config": to_json(task), "metric": task.metric}
    return {**about, "chance": task.chance, "scores": _plain(scores)}


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
