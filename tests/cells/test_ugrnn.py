"""What lies at either end of the update gate, where the gate starts, and its size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.elman import Elman, ElmanParams
from lstm_lab.cells.ugrnn import UGRNN
from lstm_lab.unroll import unroll

D, H = 5, 6
X = np.random.default_rng(0).normal(size=(2, 30, D)).astype(np.float32)


def test_it_has_two_blocks_of_one_matrix_per_source_and_one_bias() -> None:
    shapes = jax.tree.map(np.shape, UGRNN().init(jax.random.key(0), D, H))
    assert shapes == ((5, 12), (6, 12), (12,))
    # 2 · 6 · (5 + 6 + 1): the paper's b_fg is no parameter of its own.
    assert sum(map(np.prod, shapes)) == 144


@pytest.mark.parametrize("value", [0.0, 1.0, 2.5])
def test_only_the_gate_starts_with_a_bias(value: float) -> None:
    c, g = np.split(np.asarray(UGRNN(forget_bias=value).init(jax.random.key(0), D, H).b), 2)
    assert (g == value).all()
    assert not c.any()


def test_a_gate_at_one_keeps_the_past_as_it_is() -> None:
    cell = UGRNN(forget_bias=100.0)
    params = cell.init(jax.random.key(0), D, H)
    carry = jax.tree.map(lambda h: h + 0.5, cell.carry(params, 2))
    final, _ = unroll(cell, params, jnp.asarray(X), carry=carry)
    np.testing.assert_allclose(final.h, carry.h, rtol=1e-5)


def test_a_gate_at_zero_leaves_an_elman_network() -> None:
    cell = UGRNN(forget_bias=-100.0)
    params = cell.init(jax.random.key(0), D, H)
    elman = ElmanParams(*(leaf[..., :H] for leaf in params))
    _, y = unroll(cell, params, jnp.asarray(X))
    _, expected = unroll(Elman(), elman, jnp.asarray(X))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
