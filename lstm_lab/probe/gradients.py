"""Gradients: how much of the task's loss arrives at every layer and step, and at every layer's parameters.

    n_{l,k} = √ E_b ‖∂L_b / ∂u_{l,T-1-k}‖²          u_{l,t}: what layer l reads at step t of T

L_b is what example b adds to the loss, as if it stood alone. A gradient that fades with the lag k leaves nothing
to learn from at far steps: S. Hochreiter and J. Schmidhuber, "Long short-term memory" (1997), section 3.1. The
layer's own recurrence lies between u_t and the loss. It would not for the layer's output y_t: where the answer is
asked at the end, the last layer's y_t matters at no other step. For h_t = a h_{t-1} + x_t it is n_k = aᵏ n_0.

Lags count back from each row's own last step, so for a layer that reads backwards the far lags are the near ones.
They are log-spaced, 64 at most, up to the longest row's first step. Each layer reads its input plus an array of
zeros, and the loss is differentiated by that array: layers as they train know nothing of it.

The result, for S seeds, L layers from the input upwards and K lags:

    layers           L, where both directions of a layer are one
    lag              [K]            steps before a row's last
    norm             [S][L][K]      n_{l,k}
    parameter_norm   [S][L]         ‖∂L/∂θ_l‖ over all parameters of a layer, L the loss of the whole batch
    decades          [S]            powers of ten by which the lowest layer's norm at the longest lag stands below
                                    its greatest; null where nothing arrives there
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from lstm_lab.modules import Reading, Stack
from lstm_lab.probe.base import Probe
from lstm_lab.probe.held_out import held_out, lengths
from lstm_lab.probe.spacing import log_spaced
from lstm_lab.tasks.base import Batch

if TYPE_CHECKING:
    from lstm_lab.train import Network

# Lags handed over at most.
MOST = 64


@dataclass(frozen=True)
class Gradients(Probe):
    """The norm of the loss's gradient by what each layer reads at each lag, and by each layer's parameters.

    Attributes:
        examples: held-out inputs it is averaged over.
    """

    examples: int = 32

    name: ClassVar[str] = "gradients"
    moments: ClassVar[tuple[str, ...]] = ("before", "after")

    def measure(self, network: "Network", params: Any, data: Any) -> dict[str, Any]:
        """Take one reverse pass per seed; see `Probe.measure`."""
        batch = held_out(network.task, data, self.examples)
        long = lengths(batch)
        lag = log_spaced(long.max(), MOST)
        step = long[:, None] - 1 - lag

        def all_seeds(params: Any, batch: Batch, step: Array) -> tuple[list[Array], Array]:
            return jax.lax.map(partial(_of_one_seed, network, batch, step), params)

        by_inputs, by_parameters = network.compiler.call(
            self, all_seeds, params, batch, step, once=True
        )
        norm = np.stack([_norm(gradient, step >= 0) for gradient in by_inputs], axis=1)
        return {
            "layers": len(by_inputs),
            "lag": lag.tolist(),
            "norm": norm.tolist(),
            "parameter_norm": np.asarray(by_parameters).tolist(),
            "decades": [decades(of_lowest) for of_lowest in norm[:, 0]],
        }


def decades(norm: np.ndarray) -> float:
    """Find how far a norm has fallen at its longest lag.

    Args:
        norm: at ascending lags.

    Returns:
        Powers of ten below its greatest value; NaN where it is zero or not finite.

    >>> decades(np.array([1.0, 100.0, 1.0]))
    2.0
    """
    if not (np.isfinite(norm).all() and norm[-1] > 0):
        return float("nan")
    return float(np.log10(norm.max()) - np.log10(norm[-1]))


def _norm(gradient: Any, counted: np.ndarray) -> np.ndarray:
    """The root mean square `[S, K]` of gradients `[S, B, K, D]` over the rows that count, bool `[B, K]`."""
    # In single precision the square of a gradient that has nearly vanished is zero.
    squares = np.sum(np.asarray(gradient, np.float64) ** 2, axis=-1)
    return np.sqrt(np.mean(squares, axis=1, where=counted))


def _of_one_seed(
    network: "Network", batch: Batch, step: Array, params: Any
) -> tuple[list[Array], Array]:
    """The gradients by each layer's input at these steps, `[B, K, D]`, and norms by parameters `[L]`."""
    task = network.task
    B, T = batch.x.shape[:2]
    weight = task.weight(batch)

    def loss_of(params: Any, nudges: Sequence[Array]) -> Array:
        model = nnx.merge(network.graph, params)
        _nudge(model, nudges)
        reading = model.read(batch.x, lengths=batch.lengths, reset=batch.reset)
        loss = task.loss(model.answer(reading), batch)
        return jnp.sum(loss * weight) / jnp.maximum(jnp.sum(weight), jnp.ones_like(weight[0]))

    layers = _layers(nnx.merge(network.graph, params))
    nudges = [jnp.zeros((B, T, layer.d_in), jnp.float32) for layer in layers]
    by_params, by_inputs = jax.grad(loss_of, argnums=(0, 1))(params, nudges)
    # As parameters, the gradient is told apart by layers as they are.
    own = [nnx.state(layer, nnx.Param) for layer in _layers(nnx.merge(network.graph, by_params))]
    at = jnp.maximum(step, 0)[..., None]
    alone = [B * jnp.take_along_axis(gradient, at, axis=1) for gradient in by_inputs]
    return alone, jnp.stack([optax.tree.norm(gradient) for gradient in own])


class Nudged(nnx.Module):
    """A layer that reads its input plus an array `[B, T, D]`."""

    def __init__(self, layer: Any, nudge: Array) -> None:
        self.layer = layer
        self.nudge = nudge

    def __call__(self, x: Array, **call: Any) -> Reading:
        return self.layer(x + self.nudge, **call)


def _layers(model: Any) -> list[Any]:
    """A model's layers, from the input upwards."""
    return list(model.body.layers) if isinstance(model.body, Stack) else [model.body]


def _nudge(model: Any, nudges: Sequence[Array]) -> None:
    """Have every layer of a model read its input plus an array."""
    body, pairs = model.body, zip(_layers(model), nudges, strict=True)
    nudged: list[Any] = [Nudged(layer, nudge) for layer, nudge in pairs]
    if isinstance(body, Stack):
        body.layers = nnx.List(nudged)
    else:
        (model.body,) = nudged
