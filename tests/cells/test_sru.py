"""A simple recurrent unit: size, its highway, and what it keeps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.sru import SRU
from lstm_lab.unroll import unroll

D, H = 5, 6


def inputs(steps: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=(2, steps, D)), jnp.float32)


def test_it_has_four_products_and_two_biases() -> None:
    shapes = jax.tree.map(np.shape, SRU().init(jax.random.key(0), D, H))
    assert shapes == ((5, 24), (12,))
    assert sum(map(np.prod, shapes)) == 4 * H * D + 2 * H


def test_weights_have_the_variance_of_one_over_the_inputs() -> None:
    W = np.asarray(SRU().init(jax.random.key(0), 64, 256).W)
    assert np.abs(W).max() <= (3 / 64) ** 0.5
    assert W.var() == pytest.approx(1 / 64, rel=0.02)


def test_a_closed_output_gate_shows_the_input_alone() -> None:
    params = SRU().init(jax.random.key(0), D, H)
    closed = params._replace(b=params.b.at[H:].set(-100.0))
    x = inputs(8)
    _, y = unroll(SRU(), closed, x)
    np.testing.assert_allclose(y, x @ params.W[:, 3 * H :], rtol=1e-5, atol=1e-6)


def test_an_open_output_gate_shows_the_state_alone() -> None:
    params = SRU().init(jax.random.key(0), D, H)
    opened = params._replace(b=params.b.at[H:].set(100.0))
    x = inputs(8)
    final, tanh = unroll(SRU(), opened, x)
    _, plain = unroll(SRU(activation="identity"), opened, x)
    np.testing.assert_allclose(plain[:, -1], final.c, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(tanh, np.tanh(plain), rtol=1e-5, atol=1e-6)


def test_an_open_forget_gate_keeps_the_past_as_it_is() -> None:
    params = SRU().init(jax.random.key(0), D, H)
    kept = params._replace(b=params.b.at[:H].set(100.0))
    carry = jax.tree.map(lambda c: c + 0.5, SRU().carry(params, 2))
    final, _ = unroll(SRU(), kept, inputs(30), carry=carry)
    np.testing.assert_allclose(final.c, carry.c, rtol=1e-6)
