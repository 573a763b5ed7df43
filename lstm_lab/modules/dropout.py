"""What the modules draw at random in training, and never without a key."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def split(key: Array | None, n: int) -> Any:
    """n keys of one, or n times None."""
    return [None] * n if key is None else jax.random.split(key, n)


def drop(x: Array, rate: float, key: Array | None, shape: tuple[int, ...] | None = None) -> Array:
    """Zero a fraction of x and scale the rest to keep its expectation; nothing without a key.

    The mask has the shape given, which is broadcast, or that of x.
    """
    if key is None or rate == 0:
        return x
    kept = jax.random.bernoulli(key, 1 - rate, x.shape if shape is None else shape)
    return jnp.where(kept, x / (1 - rate), jnp.zeros_like(x))


def lock(x: Array, rate: float, key: Array | None) -> Array:
    """Drop the same features at every step of a row of x, `[B, T, D]` or `[B, D]`."""
    steps = (1,) * (x.ndim - 2)
    return drop(x, rate, key, (x.shape[0], *steps, x.shape[-1]))
