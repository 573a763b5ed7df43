"""What the modules draw at random in training, and never without a key."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Noise(NamedTuple):
    """How much a `SequenceModel` draws at random in training: numbers, or 0 where there is nothing to draw.

    Attributes:
        dropout: fraction of every upper layer's input set to zero.
        embedding_dropout: fraction of the tokens whose embedding is zero for a whole batch.
        input_noise: standard deviation of what is added to the first layer's input.
        input_dropout: fraction of the first layer's input set to zero, alike at all steps of a row.
        output_dropout: fraction of the last layer's output set to zero, alike at all steps of a row.
    """

    dropout: Any = 0.0
    embedding_dropout: Any = 0.0
    input_noise: Any = 0.0
    input_dropout: Any = 0.0
    output_dropout: Any = 0.0


def split(key: Array | None, n: int) -> Any:
    """n keys of one, or n times None."""
    return [None] * n if key is None else jax.random.split(key, n)


def drawn(rate: Any, key: Array | None) -> bool:
    """Whether there is anything to draw; a rate that a program takes as an argument is never 0."""
    return key is not None and not (isinstance(rate, int | float) and rate == 0)


def drop(x: Array, rate: Any, key: Array | None, shape: tuple[int, ...] | None = None) -> Array:
    """Zero a fraction of x and scale the rest to keep its expectation; nothing without a key.

    The mask has the shape given, which is broadcast, or that of x.
    """
    if not drawn(rate, key):
        return x
    assert key is not None
    kept = jax.random.bernoulli(key, 1 - rate, x.shape if shape is None else shape)
    return jnp.where(kept, x / (1 - rate), jnp.zeros_like(x))


def lock(x: Array, rate: Any, key: Array | None) -> Array:
    """Drop the same features at every step of a row of x, `[B, T, D]` or `[B, D]`."""
    steps = (1,) * (x.ndim - 2)
    return drop(x, rate, key, (x.shape[0], *steps, x.shape[-1]))


def blur(x: Array, deviation: Any, key: Array | None) -> Array:
    """Add independent Gaussian noise of a standard deviation to every number of x; nothing without a key."""
    if not drawn(deviation, key):
        return x
    assert key is not None
    return x + deviation * jax.random.normal(key, x.shape, x.dtype)
