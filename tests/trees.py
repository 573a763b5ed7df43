"""Trees of arrays, in NumPy: eager JAX would compile every little operation for every shape."""

from typing import Any

import jax
import numpy as np


def draw(tree: Any, seed: int) -> Any:
    """A tree of the same shapes, filled with normal variates in double precision."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), tree)


def put(like: Any, *places: tuple[Any, Any]) -> Any:
    """Zeros, but for some places: a NumPy array's `.at[index].set(value)`."""
    out = np.zeros_like(like)
    for index, value in places:
        out[index] = value
    return out


def evaluated(tree: Any) -> Any:
    """The same in NumPy."""
    return jax.tree.map(np.asarray, tree)


def inner(a: Any, b: Any) -> Any:
    """The inner product of two trees as vectors."""
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return sum((u * v).sum() for u, v in leaves)


def assert_close(
    got: Any, wanted: Any, tolerance: float = 1e-10, absolute: float | None = None
) -> None:
    """Two trees agree but for rounding, leaf by leaf; near zero by what is absolute, if it is not the same."""
    near = tolerance if absolute is None else absolute
    jax.tree.map(
        lambda g, w: np.testing.assert_allclose(g, w, rtol=tolerance, atol=near), got, wanted
    )


def assert_close_in_single(got: Any, wanted: Any) -> None:
    """They do by what rounding to 32 bits leaves of a short computation."""
    assert_close(got, wanted, 1e-5, 1e-6)


def assert_close_by_size(got: Any, wanted: Any, tolerance: float) -> None:
    """They do, each leaf relative to its greatest value."""

    def check(got: Any, wanted: Any) -> None:
        scale = float(np.abs(wanted).max())
        np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * scale)

    jax.tree.map(check, got, wanted)
