"""Units that do not see each other, and how far each of them remembers."""

import jax
import jax.numpy as jnp
import numpy as np

from lstm_lab.cells.ind_rnn import IndRNN, IndRNNCarry
from lstm_lab.unroll import unroll

D, H = 5, 64


def test_it_has_one_recurrent_weight_per_unit() -> None:
    shapes = jax.tree.map(np.shape, IndRNN().init(jax.random.key(0), D, H))
    assert shapes == ((D, H), (H,), (H,))
    assert sum(map(np.prod, shapes)) == 64 * (5 + 2)


def test_relu_starts_with_positive_weights_and_tanh_with_either_sign() -> None:
    relu, tanh = (
        IndRNN(activation=activation).init(jax.random.key(0), D, 1000).u
        for activation in ("relu", "tanh")
    )
    for u, low in ((relu, 0), (tanh, -1)):
        assert low <= u.min() < low + 0.05
        assert 0.95 < u.max() <= 1


def test_a_unit_is_blind_to_every_other() -> None:
    cell = IndRNN(activation="tanh")
    params = cell.init(jax.random.key(0), D, H)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, D)), jnp.float32)
    start = cell.carry(params, 2)
    _, y = unroll(cell, params, x, carry=start)
    _, moved = unroll(cell, params, x, carry=IndRNNCarry(start.h.at[:, 3].set(1.0)))
    differs = np.asarray(y != moved).any((0, 1))
    np.testing.assert_array_equal(differs, np.arange(H) == 3)


def test_without_input_a_positive_state_fades_as_a_power_of_its_own_weight() -> None:
    params = IndRNN().init(jax.random.key(0), D, H)
    steps = 7
    carry = IndRNNCarry(jnp.full((1, H), 2.0))
    final, _ = unroll(IndRNN(), params, jnp.zeros((1, steps, D)), carry=carry)
    np.testing.assert_allclose(final.h[0], 2 * np.asarray(params.u) ** steps, rtol=1e-5)
