"""A continuous system seen at discrete steps, and where it starts."""

from math import pi

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.initial import InvFrequencies
from lstm_lab.cells.s4d import S4D, S4DCarry, S4DParams
from lstm_lab.errors import UsageError
from lstm_lab.unroll import unroll

D, H, N = 5, 6, 3
CELL = S4D(state=N)


@pytest.fixture(scope="module")
def params() -> S4DParams:
    return CELL.init(jax.random.key(0), D, H)


def continuous(params: S4DParams) -> np.ndarray:
    """A as complex numbers."""
    return -np.exp(np.float64(params.A_log)) + 1j * np.float64(params.A_im)


def complexes(carry: S4DCarry) -> np.ndarray:
    return np.asarray(carry.re, np.float64) + 1j * np.asarray(carry.im, np.float64)


def test_it_has_an_input_matrix_two_numbers_per_channel_and_four_per_state(
    params: S4DParams,
) -> None:
    assert jax.tree.map(np.shape, params) == ((5, 6), (6,), (3, 6), (3, 6), (3, 6), (3, 6), (6,))
    # 5 · 6, 2 · 6 and 4 · 6 · 3
    assert sum(leaf.size for leaf in params) == 30 + 12 + 72
    assert jax.tree.map(np.shape, CELL.carry(params, 2)) == ((2, 3, 6), (2, 3, 6))


def test_lin_starts_with_frequencies_in_equal_steps(params: S4DParams) -> None:
    wanted = np.tile([[-0.5], [-0.5 + 1j * pi], [-0.5 + 2j * pi]], H)
    np.testing.assert_allclose(continuous(params), wanted, rtol=1e-6)


def test_inv_starts_with_inverse_frequencies() -> None:
    params = S4D(state=N, frequencies=InvFrequencies()).init(jax.random.key(0), D, H)
    # 6/π (6 - 1), 6/π (2 - 1) and 6/π (6/5 - 1)
    wanted = np.tile(-0.5 + 1j * np.array([[30], [6], [1.2]]) / pi, H)
    np.testing.assert_allclose(continuous(params), wanted, rtol=1e-5)


def test_time_steps_are_log_uniform_and_weights_of_variance_one() -> None:
    params = S4D(state=64).init(jax.random.key(0), D, 1024)
    low, high = np.log([0.001, 0.1])
    assert params.log_dt.min() == pytest.approx(low, abs=0.02)
    assert params.log_dt.max() == pytest.approx(high, abs=0.02)
    # The mean within four standard errors.
    error = (high - low) / np.sqrt(12 * 1024)
    assert params.log_dt.mean() == pytest.approx((low + high) / 2, abs=4 * error)
    assert float(params.D.var()) == pytest.approx(1, rel=0.2)
    assert float((params.C_re**2 + params.C_im**2).mean()) == pytest.approx(1, rel=0.02)
    assert float(params.W.var()) == pytest.approx(1 / D, rel=0.1)


def test_a_constant_input_is_followed_exactly_whatever_the_step(params: S4DParams) -> None:
    x = np.random.default_rng(0).normal(size=(2, 1, D)).astype(np.float32)
    coarse, _ = unroll(CELL, params, jnp.asarray(np.repeat(x, 8, axis=1)))
    halved = params._replace(log_dt=params.log_dt - jnp.log(2.0))
    fine, _ = unroll(CELL, halved, jnp.asarray(np.repeat(x, 16, axis=1)))
    A, dt = continuous(params), np.exp(np.float64(params.log_dt))
    # s' = A s + u from s = 0, after eight steps of length Δ.
    wanted = np.expm1(8 * dt * A) / A * (x @ np.asarray(params.W))
    np.testing.assert_allclose(complexes(coarse), wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(complexes(fine), wanted, rtol=1e-4, atol=1e-6)


def test_the_shortest_step_keeps_its_digits() -> None:
    params = CELL.init(jax.random.key(0), D, H)
    short = params._replace(log_dt=jnp.full(H, np.log(1e-6), jnp.float32))
    prepared = CELL.prepare(short)
    # To first order B̄ is Δ, and Ā - 1 has only one digit of it left in single precision.
    np.testing.assert_allclose(prepared.B_re, np.full((N, H), 1e-6), rtol=1e-4)


def test_without_c_the_skip_is_all_there_is(params: S4DParams) -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, D)), jnp.float32)
    none = jnp.zeros((N, H), jnp.float32)
    _, y = unroll(CELL, params._replace(C_re=none, C_im=none), x)
    np.testing.assert_allclose(y, params.D * (x @ params.W), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("state", [0, -1])
def test_a_channel_without_state_is_refused(state: int) -> None:
    with pytest.raises(UsageError, match=f"state: {state}: give at least 1"):
        S4D(state=state)


def test_the_label_names_the_initialisation_and_another_state() -> None:
    assert S4D().label == "S4D-Lin"
    assert S4D(32, InvFrequencies()).label == "S4D-Inv state 32"
