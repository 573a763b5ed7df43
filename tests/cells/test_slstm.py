"""What exponential gates are for, and what keeps them finite."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.slstm import SLSTM
from lstm_lab.unroll import unroll

D, H = 3, 4


def test_it_has_as_many_parameters_as_an_lstm() -> None:
    leaves = jax.tree.leaves(SLSTM().init(jax.random.key(0), D, H))
    assert sum(leaf.size for leaf in leaves) == 4 * (D * H + H * H + H)


@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
@pytest.mark.parametrize("size", [1e2, 1e4])
def test_gates_that_would_overflow_do_not(forget: Literal["sigmoid", "exp"], size: float) -> None:
    cell = SLSTM(forget=forget)
    params = cell.init(jax.random.key(0), D, H)
    x = size * jnp.asarray(np.random.default_rng(0).normal(size=(2, 50, D)), jnp.float32)

    def loss(params: object) -> jax.Array:
        return jnp.sum(unroll(cell, params, x)[1] ** 2)

    value, gradient = jax.value_and_grad(loss)(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((value, gradient)))


def test_a_strong_late_input_outweighs_all_before_it() -> None:
    cell = SLSTM()
    params = cell.init(jax.random.key(0), 1, H)
    # The input alone opens the input gate; the recurrent weights are silent.
    opened = jnp.zeros_like(params.W).at[:, :H].set(20.0).at[:, 2 * H : 3 * H].set(1.0)
    params = params._replace(W=opened, U=jnp.zeros_like(params.U))
    early, late = jnp.zeros((1, 9, 1)), jnp.ones((1, 1, 1))
    _, alone = unroll(cell, params, late)
    _, after = unroll(cell, params, jnp.concatenate([early, late], axis=1))
    np.testing.assert_allclose(after[:, -1], alone[:, -1], rtol=1e-4)
