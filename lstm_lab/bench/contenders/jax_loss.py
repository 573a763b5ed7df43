"""What the contenders on JAX share: the loss, the calls that wait, and names for trees of arrays."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


def mean_square(y: Array, target: Array, counts: Array | None) -> Array:
    """The mean over all outputs of the squared error, zero where a step does not count."""
    error = y - target if counts is None else (y - target) * counts
    return jnp.mean(error * error)


def run(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call, and wait for the answer."""
    return jax.block_until_ready(function(*arguments))


def on_host(tree: Any) -> Any:
    """The same with NumPy arrays."""
    return jax.tree.map(np.asarray, tree)
