"""Training as pure functions of a state: one step, one examination. `program` compiles them.

All state of training is a `TrainState`. A batch is a pure function of (seed, step), so there is no
iterator whose position could be lost, and a run that resumes from a saved state takes the very steps it
would have taken.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax

from lstm_lab.architecture import Architecture
from lstm_lab.modules import Reading
from lstm_lab.modules.dropout import Noise
from lstm_lab.optimizer import Rates
from lstm_lab.regularisers.activity import Prices
from lstm_lab.tasks.base import Batch
from lstm_lab.trial import Trial

Scores = dict[str, np.ndarray]
"""A number per run for each metric, `[R]`."""


class TrainState(NamedTuple):
    """All state of one seed's training.

    Attributes:
        params: the network's parameters.
        opt_state: the optimiser's running statistics.
        carry: recurrent state `[B, H]` for tasks whose batches continue each other; () for others.
        key: PRNG key of the seed, never advanced: what a step draws depends on it and `step` alone.
        step: steps taken, int32.
    """

    params: Any
    opt_state: Any
    carry: Any
    key: Array
    step: Array


class Progress(NamedTuple):
    """What K steps of one seed report: `loss [K]` and the gradient's global `norm [K]`."""

    loss: Array
    norm: Array


class Network(Architecture):
    """The network of a trial.

    Args:
        trial: gives the model, the task and the width.
    """

    def __init__(self, trial: Trial) -> None:
        super().__init__(trial.model, trial.task, trial.d_hidden)
        self.trial = trial
        self.task = trial.task


class Numbers(NamedTuple):
    """The settings that a training step takes as arguments, so that all their values share one program.

    Attributes:
        rates: the optimiser's.
        prices: the penalty's.
        noise: of dropout and of noise on the input.
    """

    rates: Rates
    prices: Prices
    noise: Noise

    @classmethod
    def of(cls, trial: Trial) -> "Numbers":
        """Those of a trial."""
        noise = Noise(*(getattr(trial.model, name) for name in Noise._fields))
        return cls(trial.optimizer.rates, trial.penalty.prices, noise)


def _whole(batch: Batch) -> Batch:
    return batch


def train_step(
    network: Network,
    optimizer: optax.GradientTransformation,
    data: Any,
    state: TrainState,
    cut: Callable[[Batch], Batch] = _whole,
    numbers: Numbers | None = None,
) -> tuple[TrainState, Progress]:
    """Take one step of one seed.

    Args:
        network: the model and its task.
        optimizer: from gradients to updates.
        data: what the task's `load` returned.
        state: before the step.
        cut: lays the batch's rows along devices.
        numbers: of penalty and noise, scalars, traced or not; the trial's own where None.

    Returns:
        The state after it, and its loss, without the trial's penalty, and gradient norm, scalars.
    """
    task, batch_size = network.task, network.trial.batch
    own = Numbers.of(network.trial)
    prices, noise = (own if numbers is None else numbers)[1:]
    # What a trial has nothing of is not drawn.
    noise = Noise(*(given if there else 0.0 for given, there in zip(noise, own.noise, strict=True)))
    key_data, key_model = jax.random.split(state.key)
    batch = cut(task.sample(data, key_data, state.step, batch_size))
    carry = state.carry if task.stateful else None

    def loss_of(params: Any) -> tuple[Array, Any]:
        key = jax.random.fold_in(key_model, state.step)
        reading, outputs = _read(network, params, batch, carry, key, noise)
        loss = _mean(task.loss(outputs, batch), task.weight(batch))
        penalty = network.trial.penalty(reading.y, batch.lengths, batch.reset, prices)
        return loss + penalty, (loss, reading.carry)

    (_, (loss, carry_after)), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    # Adam's bias correction raises a float to an integer power, which strict promotion refuses.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
    # The carry goes on as a value: truncated backpropagation ends at the window's border.
    after = lax.stop_gradient(carry_after) if task.stateful else state.carry
    progress = Progress(loss, optax.tree.norm(gradient))
    return TrainState(params, opt_state, after, state.key, state.step + 1), progress


def examine(
    network: Network,
    data: Any,
    batches: int,
    key: Array,
    params: Any,
    cut: Callable[[Batch], Batch] = _whole,
) -> dict[str, Array]:
    """Score one seed's parameters on held-out batches.

    Args:
        network: the model and its task.
        data: what the task's `load` returned.
        batches: how many.
        key: decides which, where the task draws them.
        params: the parameters.
        cut: lays a batch's rows along devices.

    Returns:
        Each of the task's metrics, a mean over counted steps, and what it makes of them, scalars.
    """
    task, size = network.task, network.trial.evaluate.batch

    def one(carry: Any, index: Array) -> tuple[Any, tuple[dict[str, Array], Array]]:
        batch = cut(task.evaluation_batch(data, key, index, size))
        before = carry if batch.reset is not None else None
        reading, outputs = _read(network, params, batch, before, None)
        weight = task.weight(batch)
        scores = {
            name: jnp.sum(score * weight) for name, score in task.metrics(outputs, batch).items()
        }
        after = reading.carry if batch.reset is not None else carry
        return after, (scores, jnp.sum(weight))

    start = network.initial_carry(params, size)
    _, (scores, weights) = lax.scan(one, start, jnp.arange(batches, dtype=jnp.int32))
    means = {name: jnp.sum(score) / jnp.sum(weights) for name, score in scores.items()}
    return task.conclude(means, data)


def _read(
    network: Network,
    params: Any,
    batch: Batch,
    carry: Any,
    key: Array | None,
    noise: Noise | None = None,
) -> tuple[Reading, Array]:
    how: dict[str, Any] = {"lengths": batch.lengths, "reset": batch.reset}
    return network.read(params, batch.x, carry=carry, key=key, noise=noise, **how)


def _mean(loss: Array, weight: Array) -> Array:
    """Average losses `[B]` by counted steps, finite where nothing counts."""
    return jnp.sum(loss * weight) / jnp.maximum(jnp.sum(weight), jnp.ones((), weight.dtype))
