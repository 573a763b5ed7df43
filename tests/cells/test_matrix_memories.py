"""Cells whose state is a matrix: what they store, and what a query finds of it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.base import Cell
from lstm_lab.cells.delta_net import DeltaNet
from lstm_lab.cells.linear_attention import LinearAttention
from lstm_lab.cells.mlstm import MLSTM
from lstm_lab.unroll import unroll

D, H = 5, 4


@pytest.mark.parametrize(
    ("cell", "parameters"),
    [
        (LinearAttention(), 3 * D * H),
        (DeltaNet(), 3 * D * H + D + 1),
        (MLSTM(), 4 * D * H + 2 * D + H + 2),
    ],
)
def test_parameters_are_what_the_equations_hold(cell: Cell, parameters: int) -> None:
    leaves = jax.tree.leaves(cell.init(jax.random.key(0), D, H))
    assert sum(leaf.size for leaf in leaves) == parameters


def test_linear_attention_is_a_weighted_mean_of_all_values() -> None:
    cell = LinearAttention()
    params = cell.init(jax.random.key(0), D, H)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 6, D)), jnp.float32)
    _, y = unroll(cell, params, x)
    q, k, v = np.split(np.asarray(x[0] @ params.W), 3, axis=-1)
    q, k = (np.where(a > 0, a + 1, np.exp(a)) for a in (q, k))
    weights = np.tril(q @ k.T)
    np.testing.assert_allclose(y[0], weights @ v / weights.sum(1, keepdims=True), rtol=1e-4)


def store(cell: Cell, params: Any, *values: float) -> float:
    """What the same key finds after it was stored with one value after the other."""
    x = jnp.array([[[1.0, value] for value in values]], jnp.float32)
    return float(unroll(cell, params, x)[1][0, -1, 0])


def test_the_delta_rule_replaces_where_linear_attention_can_only_add() -> None:
    # One unit: the key is a constant, the first input; the value is the second.
    W = jnp.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    attention = LinearAttention().init(jax.random.key(0), 2, 1)._replace(W=W)
    delta = DeltaNet().init(jax.random.key(0), 2, 1)
    always = jnp.array([100.0, 0.0])[:, None]
    delta = delta._replace(W=jnp.concatenate([W, always], axis=1))
    assert store(DeltaNet(), delta, 3.0, -1.0) == pytest.approx(-1.0, abs=1e-5)
    assert store(LinearAttention(), attention, 3.0, -1.0) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("size", [1e2, 1e4])
def test_exponential_gates_stay_finite(size: float) -> None:
    cell = MLSTM()
    params = cell.init(jax.random.key(0), D, H)
    x = size * jnp.asarray(np.random.default_rng(0).normal(size=(2, 50, D)), jnp.float32)

    def loss(params: Any) -> jax.Array:
        return jnp.sum(unroll(cell, params, x)[1] ** 2)

    value, gradient = jax.value_and_grad(loss)(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((value, gradient)))
