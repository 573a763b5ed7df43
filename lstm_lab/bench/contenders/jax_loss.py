"""The loss of the contenders on JAX."""

import jax.numpy as jnp
from jax import Array


def mean_square(y: Array, target: Array, counts: Array | None) -> Array:
    """The mean over all outputs of the squared error, zero where a step does not count."""
    error = y - target if counts is None else (y - target) * counts
    return jnp.mean(error * error)
