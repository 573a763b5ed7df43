"""What a network says of each symbol of a text, and which inputs it leaned on.

    surprise   -log2 p(x_t | x_0 .. x_{t-1})                                     bits
    influence  ‖∂ log p(x_{t+1} | x_0 .. x_t) / ∂e_{t-k}‖₂                       at lags k = 0, 1, ...

e_t is what the lowest layer reads of symbol t: its embedding, or its one-hot vector. It is the first-derivative
saliency of J. Li, X. Chen, E. Hovy and D. Jurafsky, "Visualizing and understanding neural models in NLP" (2016), in one
number per symbol: what a small change of it would do. After the last symbol, whose successor is not known, the
likeliest takes its place.

The text is read in blocks of as many symbols as there are lags. Each is differentiated together with the block before
it, so that every lag is exact, and what is held does not grow with the text.
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array, lax

from lstm_lab.probe.gradients import Nudged

if TYPE_CHECKING:
    from lstm_lab.architecture import Architecture

LAGS = 50
# Predictions told of each position.
TOP = 5
# Positions whose gradients are taken side by side: one-hot vectors of a large vocabulary are wide.
ABREAST = 10
UNKNOWN = -1


class Said(NamedTuple):
    """What a network said of T symbols.

    Attributes:
        bits: surprise at each symbol, float `[T]`; NaN at the first, which nothing predicted.
        top: the likeliest next symbols after each, the likeliest first, int `[T, K]`.
        probability: theirs, fractions 0-1, `[T, K]`.
        influence: of the input at each lag on the log probability (nats) of the symbol that came next, `[T, LAGS]`;
            0 before the first symbol.
    """

    bits: np.ndarray
    top: np.ndarray
    probability: np.ndarray
    influence: np.ndarray


def say(network: "Architecture", params: Any, ids: np.ndarray) -> Said:
    """Read a text from the initial carry.

    Args:
        network: the model and its task.
        params: one seed's parameters.
        ids: the text, int `[T]`.

    Returns:
        What was said of it.
    """
    T = len(ids)
    blocks = -(-T // LAGS)
    padded = np.full((blocks + 1) * LAGS + 1, UNKNOWN, np.int32)
    padded[LAGS : LAGS + T] = ids

    def block(params: Any, carry: Any, window: Array, first: Array) -> Any:
        return _block(network, params, carry, window, first)

    carry, found = network.initial_carry(params, 1), []
    for n in range(blocks):
        window = jnp.asarray(padded[n * LAGS : (n + 2) * LAGS + 1])
        carry, *said = network.compiler.call(
            "inspected block", block, params, carry, window, jnp.asarray(n == 0)
        )
        found.append(jax.device_get(said))
    log_p, top, probability, influence = (
        np.concatenate(part)[:T] for part in zip(*found, strict=True)
    )
    bits = np.concatenate([[np.nan], -log_p[:-1] / math.log(2)])
    return Said(bits, top, probability, influence)


def _block(
    network: "Architecture", params: Any, carry: Any, window: Array, first: Array
) -> tuple[Any, Array, Array, Array, Array]:
    """Read two blocks, the carry being that before them, and differentiate what is said after each step of the second.

    Returns:
        The carry before the second block, log p of the next symbols, and the rest as in `Said`.
    """
    ids = jnp.maximum(window, 0)
    start = network.initial_carry(params, 1)
    width = nnx.merge(network.graph, params).body.d_in

    def read(ids: Array, carry: Any, nudge: Array) -> tuple[Any, Array]:
        model: Any = nnx.merge(network.graph, params)
        model.body = Nudged(model.body, nudge[None])
        reading = model.read(ids[None], carry=carry)
        return reading.carry, model.answer(reading)[0]

    def log_p_of_next(nudge: Array) -> tuple[Array, tuple[Any, Array]]:
        before, _ = read(ids[:LAGS], carry, nudge[:LAGS])
        # The first block has nothing before it.
        before = jax.tree.map(lambda s, b: jnp.where(first, s, b), start, before)
        _, logits = read(ids[LAGS:-1], before, nudge[LAGS:])
        log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
        following = window[LAGS + 1 :]
        following = jnp.where(following == UNKNOWN, log_p.argmax(axis=-1), following)
        return jnp.take_along_axis(log_p, following[:, None], axis=1)[:, 0], (before, log_p)

    nudge = jnp.zeros((2 * LAGS, width), jnp.float32)
    said, pull_back, (before, log_p) = jax.vjp(log_p_of_next, nudge, has_aux=True)

    def norms(position: Array) -> Array:
        (gradient,) = pull_back(jax.nn.one_hot(position, LAGS, dtype=jnp.float32))
        return jnp.linalg.norm(gradient, axis=-1)

    of_inputs = lax.map(norms, jnp.arange(LAGS), batch_size=ABREAST)
    at = LAGS + np.arange(LAGS)[:, None] - np.arange(LAGS)
    influence = jnp.take_along_axis(of_inputs, jnp.asarray(at), axis=1)
    log_top, top = lax.top_k(log_p, min(TOP, log_p.shape[-1]))
    return before, said, top, jnp.exp(log_top), influence


def reach(influence: np.ndarray, share: float) -> int:
    """Count the last inputs that hold a share of a prediction's influence, at the median position.

    Args:
        influence: `[T, K]`, lag 0 first.
        share: fraction 0-1.

    Returns:
        How many, at least 1.

    >>> reach(np.array([[4.0, 3.0, 2.0, 1.0]]), 0.5)
    2
    """
    held = np.cumsum(influence, axis=1)
    return int(np.median(np.argmax(held >= share * held[:, -1:], axis=1))) + 1
