"""What a projection adds last is found where there is such a thing, and nowhere else."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from lstm_lab.cells.base import Cell
from lstm_lab.unroll.offset import apart
from tests.variants import CELLS, name

D, G = 3, 4
X = jax.random.normal(jax.random.key(0), (5, 2, D))
W, V = (jax.random.normal(jax.random.key(n), (D, G)) for n in (1, 2))
b = jnp.arange(1.0, 1 + G)

# A projection, and whether it adds something last that x has no part in and that every step has alike.
PROJECTIONS: dict[str, tuple[Callable[[Array], Array], bool]] = {
    "after the product": (lambda x: x @ W + b, True),
    "before it": (lambda x: b + x @ W, True),
    "computed": (lambda x: x @ W + jnp.pad(jnp.tanh(b[:2]), (2, 0)), True),
    "to what is no product": (lambda x: jnp.tanh(x @ W) + b, True),
    "nothing": (lambda x: x @ W, False),
    "not last": (lambda x: jnp.tanh(x @ W + b), False),
    "something of x": (lambda x: x @ W + x @ V, False),
    "something of x's first row": (lambda x: x @ W + (x @ V)[:1, :1], False),
    "a number": (lambda x: x @ W + 1.0, False),
    "other to each step": (lambda x: x @ W + jnp.arange(5.0)[:, None, None] * b, False),
    "x is not asked": (lambda x: jnp.broadcast_to(b, (*x.shape[:-1], G)), False),
    "x itself": (lambda x: x, False),
}


@pytest.mark.parametrize(("project", "adds"), PROJECTIONS.values(), ids=PROJECTIONS.keys())
def test_what_is_added_last_is_found(project: Callable[[Array], Array], adds: bool) -> None:
    rest, offset = jax.jit(lambda x: apart(project, x))(X)
    assert (offset is not None) == adds
    if offset is not None:
        assert offset.shape == (G,)
        assert not np.array_equal(rest, project(X))
        rest = rest + offset
    np.testing.assert_allclose(rest, project(X), rtol=1e-6, atol=1e-6)


def test_what_a_projection_says_on_its_way_is_said() -> None:
    heard: list[Array] = []

    def project(x: Array) -> Array:
        jax.debug.callback(heard.append, jnp.sum(x))
        return x @ W + b

    jax.block_until_ready(jax.jit(lambda x: apart(project, x))(X))
    jax.effects_barrier()
    assert len(heard) == 1


@pytest.mark.parametrize("cell", CELLS, ids=name)
def test_of_every_cell_the_parts_make_the_projection(cell: Cell) -> None:
    params = cell.prepare(cell.init(jax.random.key(0), D, 8))
    # No parameter is zero, as biases are at first.
    params = jax.tree.map(lambda a: a + 0.1, params)
    rest, offset = apart(lambda x: cell.project(params, x), X)
    whole = cell.project(params, X)
    np.testing.assert_allclose(
        rest if offset is None else rest + offset, whole, rtol=1e-5, atol=1e-6
    )
