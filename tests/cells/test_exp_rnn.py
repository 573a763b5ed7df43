"""The recurrent matrix is a rotation whatever is learned, and turns by the angles drawn."""

from math import pi

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.cells.exp_rnn import ExpRNN, ExpRNNCarry, ExpRNNParams
from lstm_lab.cells.initial import Cayley
from lstm_lab.unroll import unroll

D, H = 5, 7
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, D)), jnp.float32)


def drawn(cell: ExpRNN, d_hidden: int) -> tuple[ExpRNNParams, np.ndarray]:
    """Parameters, and the recurrent matrix they stand for."""
    params = cell.init(jax.random.key(0), D, d_hidden)
    return params, np.asarray(cell.prepare(params).U)


def test_it_has_half_a_recurrent_matrix() -> None:
    shapes = jax.tree.map(np.shape, ExpRNN().init(jax.random.key(0), D, H))
    assert shapes == ((5, 7), (21,), (7,))
    # 5 · 7 + 7 · 6 / 2 + 7
    assert sum(map(np.prod, shapes)) == 63


@pytest.mark.parametrize("size", [0.1, 1.0, 10.0])
def test_any_parameters_make_a_rotation(size: float) -> None:
    params, _ = drawn(ExpRNN(), 32)
    entries = size * np.random.default_rng(0).normal(size=32 * 31 // 2)
    U = np.asarray(ExpRNN().prepare(params._replace(A=jnp.asarray(entries, jnp.float32))).U)
    np.testing.assert_allclose(U.T @ U, np.eye(32), atol=1e-5)
    assert np.linalg.det(U) == pytest.approx(1, abs=1e-4)


def test_henaff_turns_pairs_of_units_by_angles_of_a_full_turn() -> None:
    _, U = drawn(ExpRNN(), 201)
    angles = np.angle(np.linalg.eigvals(U))
    # The odd one out does not turn; uniform on [-π, π], half the others turn by more than a quarter.
    assert np.abs(angles).min() == pytest.approx(0, abs=1e-6)
    assert 0.4 < np.mean(np.abs(angles) > pi / 2) < 0.6
    paired = np.kron(np.eye(101), np.ones((2, 2)))[:201, :201]
    assert not U[paired == 0].any()


def test_cayley_turns_pairs_of_units_one_way_by_one_radian_at_most() -> None:
    _, U = drawn(ExpRNN(Cayley()), 200)
    above = U[np.arange(0, 200, 2), np.arange(1, 200, 2)]
    # The tangent of π/4 is 1, and the rotations go one way.
    assert -np.sin(1) <= above.min() < -0.75
    assert -0.05 < above.max() <= 0


def test_weights_and_biases_are_drawn_as_published() -> None:
    params = ExpRNN().init(jax.random.key(0), 50, 200)
    assert float(params.W.std()) == pytest.approx((2 / 50) ** 0.5, rel=0.05)
    assert 0.0095 < np.abs(params.b).max() <= 0.01


def test_without_bias_it_is_the_linear_elman_network() -> None:
    params, U = drawn(ExpRNN(), H)
    params = params._replace(b=jnp.zeros(H, jnp.float32))
    elman = Elman(activation="linear")
    own = elman.init(jax.random.key(1), D, H)._replace(W=params.W, U=jnp.asarray(U), b=params.b)
    np.testing.assert_allclose(
        unroll(ExpRNN(), params, X)[1], unroll(elman, own, X)[1], rtol=1e-4, atol=1e-5
    )


def test_without_bias_and_input_the_state_keeps_its_length() -> None:
    params, _ = drawn(ExpRNN(), H)
    params = params._replace(b=jnp.zeros(H, jnp.float32))
    carry = ExpRNNCarry(jnp.asarray(np.random.default_rng(0).normal(size=(2, H)), jnp.float32))
    final, _ = unroll(ExpRNN(), params, jnp.zeros((2, 300, D)), carry=carry)
    np.testing.assert_allclose(
        np.linalg.norm(final.h, axis=1), np.linalg.norm(carry.h, axis=1), rtol=1e-3
    )


def test_a_negative_bias_silences_what_is_smaller() -> None:
    params, _ = drawn(ExpRNN(), H)
    z = jnp.asarray(np.linspace(-1, 1, H), jnp.float32)
    cell, prepared = ExpRNN(), ExpRNN().prepare(params._replace(b=jnp.full(H, -0.5, jnp.float32)))
    _, y = cell.gates(prepared, cell.carry(prepared, 1), z, jnp.zeros(H, jnp.float32))
    wanted = np.sign(z) * np.maximum(np.abs(z) - 0.5, 0)
    np.testing.assert_allclose(y, wanted, atol=1e-7)


def test_a_single_unit_has_nothing_to_turn_with() -> None:
    params, U = drawn(ExpRNN(), 1)
    assert params.A is None
    np.testing.assert_array_equal(U, [[1.0]])
    assert np.isfinite(unroll(ExpRNN(), params, X)[1]).all()
