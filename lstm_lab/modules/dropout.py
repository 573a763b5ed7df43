"""What the modules draw at random in training, and never without a key."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def split(key: Array | None, n: int) -> Any:
    """n keys of one, or n times None."""
    return [None] * n if key is None else jax.random.split(key, n)


def drop(x: Array, rate: float, key: Array | None) -> Array:
    """Zero a fraction of x and scale the rest to keep its expectation; nothing without a key."""
    if key is None or rate == 0:
        return x
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), jnp.zeros_like(x))
