"""Training compiled: K steps in one call, and examinations, of all seeds of a trial, or of several, beside each other.

Between calls the host sees the losses of K steps at once and never waits for one.

Trials that differ in numbers alone, those that `Numbers` holds and those of initialisers, run in one program
beside each other, as more seeds of one trial would: R runs are S seeds of the first trial, S of the next.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from lstm_lab.cells.initial import Initialiser
from lstm_lab.compiled import Compiler
from lstm_lab.devices import SeedAxis
from lstm_lab.errors import UsageError
from lstm_lab.modules.dropout import Noise
from lstm_lab.tasks.base import Task
from lstm_lab.train import Network, Numbers, Progress, Scores, TrainState, examine, train_step
from lstm_lab.trial import Trial


def program_key(trial: Trial) -> Hashable:
    """What two trials share that can run in one program: all but names and the numbers it takes as arguments.

    Args:
        trial: any.

    Returns:
        A value, equal for such trials.
    """

    def shared(value: Any) -> Hashable:
        if isinstance(value, tuple):
            return tuple(map(shared, value))
        if not is_dataclass(value):
            return value
        own = [getattr(value, field.name) for field in fields(value)]
        if isinstance(value, Initialiser):
            # How parameters are drawn makes no other step.
            own = [None if isinstance(setting, int | float) else setting for setting in own]
        return type(value), *map(shared, own)

    return shared(_without_numbers(trial))


def _without_numbers(trial: Trial) -> Trial:
    """A trial without name and numbers. Whether there is clipping, a price or noise at all is no number: it stays."""

    def blank(value: Any, names: Sequence[str]) -> Any:
        return replace(value, **{name: 0.5 if getattr(value, name) else 0.0 for name in names})

    optimizer = replace(blank(trial.optimizer, ["clip"]), learning_rate=0.0, weight_decay=0.0)
    model = replace(blank(trial.model, Noise._fields), name="")
    penalty = blank(trial.penalty, ["activation", "temporal"])
    return replace(trial, model=model, optimizer=optimizer, penalty=penalty)


class Program:
    """The compiled functions of one trial, or of several that one program serves, over all their runs.

    Args:
        *trials: what is run, of equal `program_key`.
        devices: where; on all devices where None.

    Raises:
        UsageError: the trials need programs of their own.
    """

    def __init__(self, *trials: Trial, devices: Sequence[jax.Device] | None = None) -> None:
        self.trials = trials
        self.trial = trial = trials[0]
        if len({program_key(trial) for trial in trials}) > 1:
            raise UsageError(
                f"trials: {', '.join(trial.id for trial in trials)}: they differ in more than numbers of "
                "the optimiser, of initialisers, of the penalty and of noise: run them one by one"
            )
        self.networks = [Network(trial) for trial in trials]
        self.network = self.networks[0]
        self.runs = len(trials) * trial.seeds
        self.axis = SeedAxis(self.runs, trial.batch, devices)
        self.optimizer = trial.optimizer.chain(trial.steps)
        self.compiler = Compiler()
        models = [_without_numbers(trial).model for trial in trials]
        first = [models.index(model) for model in models]
        self._draws = [self.networks[i].init for i in dict.fromkeys(first)]
        draw = [list(dict.fromkeys(first)).index(i) for i in first]
        self._draw_of_run = np.repeat(np.array(draw, np.int32), trial.seeds)
        each = [Numbers.of(trial) for trial in trials]
        self.numbers = self.axis.put(
            jax.tree.map(lambda *of: np.repeat(np.array(of, np.float32), trial.seeds), *each)
        )
        seed: Any = self.axis.sharding
        self._laid = TrainState(seed, seed, self.axis.row_sharding, seed, seed)

    @cached_property
    def data(self) -> Any:
        """What the task's `load` returned, on every device."""
        return self.axis.share(self.trial.task.load())

    @cached_property
    def test_data(self) -> Any:
        """The same for the final examination."""
        return self.trial.task.test_data(self.data)

    def init(self) -> TrainState:
        """The state before the first step, leaves `[padded R, ...]` laid over the devices."""
        seeds = np.tile(np.arange(self.trial.seeds, dtype=np.uint32), len(self.trials))
        runs = self.axis.put((seeds, self._draw_of_run))
        start = self.axis.map(self._start)
        return self.compiler.call("init", start, *runs, once=True, out_shardings=self._laid)

    def put(self, state: TrainState) -> TrainState:
        """Lay a state `[R, ...]` from the host over the devices, as `init` would."""
        carry = self.axis.put(state.carry, rows=True)
        return self.axis.put(state._replace(carry=()))._replace(carry=carry)

    def template(self) -> TrainState:
        """Shapes and dtypes of one trial's states on the host, leaves `[S, ...]`."""
        seeds = jnp.arange(self.trial.seeds, dtype=jnp.uint32)
        return jax.eval_shape(jax.vmap(self._start), seeds)

    def advance(
        self, state: TrainState, active: np.ndarray, steps: int
    ) -> tuple[TrainState, Progress]:
        """Take some steps in one compiled call; the state passed in is donated.

        Args:
            state: before, leaves `[padded R, ...]`.
            active: bool `[R]`, False for a run that has stopped and stays as it is.
            steps: how many, K.

        Returns:
            The state after, and losses and gradient norms `[padded R, K]`; zeros for stopped runs.
        """
        call = self.axis.map(partial(self._steps, steps), shared=1)
        arguments = (state, self._active(active), self.numbers, self.data)
        return self.compiler.call(
            ("advance", steps),
            call,
            *arguments,
            donate_argnums=0,
            out_shardings=(self._laid, self.axis.sharding),
        )

    def examine(
        self, params: Any, active: np.ndarray, test: bool = False, task: Task | None = None
    ) -> Scores:
        """Score every active run's parameters; zeros for the others.

        Args:
            params: leaves `[padded R, ...]`.
            active: bool `[R]`.
            test: show examples that no examination during training has shown, where the task has any.
            task: another of the same widths to examine them on, in place of their own.

        Returns:
            The task's metrics, each `[R]`.

        Raises:
            UsageError: the other task has other widths.
        """
        # The same for every seed and model, so that all are asked the same.
        key = self.axis.share(jax.random.key(2 if test else 1))
        network, data = self.network, self.test_data if test else self.data
        if task is not None:
            network, data = Network(replace(self.trial, task=task)), self.axis.share(task.load())
            data = task.test_data(data) if test else data
            if network.widths != self.network.widths:
                raise UsageError(
                    f"{task.label}: a network trained on {self.trial.task.label} does not fit it: "
                    "give a task of the same inputs and outputs"
                )
        call = self.axis.map(partial(self._score, network), shared=2)
        arguments = (params, self._active(active), data, key)
        # A part of its own is of its own size; the same data is the same program.
        name = ("examine", task, data is self.data)
        return self.axis.take(self.compiler.call(name, call, *arguments))

    def judge(self, state: TrainState, active: np.ndarray, loss: np.ndarray) -> TrainState:
        """Tell an optimiser that averages what the active runs' examination said.

        Args:
            state: leaves `[padded R, ...]`; that of the optimiser is donated.
            active: bool `[R]`.
            loss: held-out, `[R]`; what stands there for other runs is not looked at.

        Returns:
            The state to go on with.
        """

        def each(opt_state: Any, active: Array, loss: Array) -> Any:
            heard = self.trial.optimizer.judge(opt_state, loss)
            return jax.tree.map(partial(jnp.where, active), heard, opt_state)

        arguments = (state.opt_state, self._active(active), self.axis.put(loss))
        opt_state = self.compiler.call(
            "judge",
            self.axis.map(each),
            *arguments,
            once=True,
            donate_argnums=0,
            out_shardings=self.axis.sharding,
        )
        return state._replace(opt_state=opt_state)

    def examined(self, state: TrainState) -> Any:
        """The parameters of a state that are examined and kept: an average, where the optimiser has one."""
        return self.trial.optimizer.examined(state.params, state.opt_state)

    def _active(self, active: np.ndarray) -> Array:
        padded = np.zeros(self.axis.padded, bool)
        padded[: len(active)] = active
        return jax.device_put(padded, self.axis.sharding)

    def _start(self, seed: Array, draw: Array | None = None) -> TrainState:
        key, key_params = jax.random.split(jax.random.key(seed))
        several = draw is not None and len(self._draws) > 1
        params = (
            lax.switch(draw, self._draws, key_params) if several else self._draws[0](key_params)
        )
        stateful = self.trial.task.stateful
        carry = self.network.initial_carry(params, self.trial.batch) if stateful else ()
        return TrainState(params, self.optimizer.init(params), carry, key, jnp.zeros((), jnp.int32))

    def _steps(
        self, steps: int, state: TrainState, active: Array, numbers: Numbers, data: Any
    ) -> tuple[TrainState, Progress]:
        optimizer = self.trial.optimizer.chain(self.trial.steps, numbers.rates)
        step = partial(
            train_step, self.network, optimizer, data, cut=self.axis.cut, numbers=numbers
        )

        def run(state: TrainState) -> tuple[TrainState, Progress]:
            return lax.scan(lambda state, _: step(state), state, length=steps)

        def rest(state: TrainState) -> tuple[TrainState, Progress]:
            return state, Progress(*jnp.zeros((2, steps), jnp.float32))

        return lax.cond(active, run, rest, state)

    def _score(
        self, network: Network, params: Any, active: Array, data: Any, key: Array
    ) -> dict[str, Array]:
        evaluate = self.trial.evaluate
        dictated = network.task.evaluation(data, evaluate.batch)
        batches = evaluate.batches if dictated is None else dictated
        run: Callable[[Any], dict[str, Array]] = partial(
            examine, network, data, batches, key, cut=self.axis.cut
        )
        shapes = jax.eval_shape(run, params)
        return lax.cond(
            active,
            run,
            lambda _: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes),
            params,
        )
