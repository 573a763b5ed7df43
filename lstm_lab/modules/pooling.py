"""What one answer per sequence is made from: the last step read, or all of them.

    last    y at each row's own last step read
    mean    sum_t m_t y_t / sum_t m_t
    max     max_t y_t over the steps with m_t = 1, unit by unit

m_t is 1 at the steps that are read, so padding never changes the answer; a row of length zero gives zeros.
"""

from typing import Literal

import jax.numpy as jnp
from jax import Array

Pool = Literal["last", "mean", "max"]


def pooled(pool: Literal["mean", "max"], y: Array, mask: Array | None) -> Array:
    """Make one vector of every row's steps.

    Args:
        pool: how.
        y: an output per step, `[B, T, H]`.
        mask: bool `[B, T]`, True where a step is read; None where all are.

    Returns:
        `[B, H]`.
    """
    read = jnp.ones((*y.shape[:2], 1), bool) if mask is None else mask[..., None]
    if pool == "mean":
        count = jnp.maximum(read.sum(axis=1, dtype=y.dtype), jnp.ones((), y.dtype))
        return jnp.where(read, y, jnp.zeros_like(y)).sum(axis=1) / count
    most = jnp.where(read, y, jnp.full_like(y, -jnp.inf)).max(axis=1)
    return jnp.where(read.any(axis=1), most, jnp.zeros_like(most))
