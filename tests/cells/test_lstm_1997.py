"""The first LSTM beside today's, and how it starts."""

import jax
import jax.numpy as jnp
import numpy as np

from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.lstm_1997 import LSTM1997
from lstm_lab.unroll import unroll

D, H = 5, 6
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 30, D)), jnp.float32)


def test_it_has_three_blocks_of_one_matrix_per_source_and_one_bias() -> None:
    shapes = jax.tree.map(np.shape, LSTM1997().init(jax.random.key(0), D, H))
    assert shapes == ((5, 18), (6, 18), (18,))
    # 3 · 6 · (5 + 6 + 1)
    assert sum(map(np.prod, shapes)) == 216


def test_weights_start_within_a_tenth_and_only_the_gates_have_a_bias() -> None:
    cell = LSTM1997(input_bias=-2.0, output_bias=-1.0)
    W, U, b = cell.init(jax.random.key(0), 50, 50)
    for weights in (W, U):
        assert 0.099 < np.abs(weights).max() <= 0.1
    i, g, o = np.split(np.asarray(b), 3)
    assert (i == -2).all()
    assert not g.any()
    assert (o == -1).all()


def test_it_is_the_lstm_that_never_forgets_with_half_the_candidate() -> None:
    params = LSTM1997(input_bias=0.0).init(jax.random.key(0), D, H)
    # As large as makes every squashing bend.
    params = jax.tree.map(lambda leaf: 20 * leaf, params)

    def today(leaf: jax.Array, forget: float) -> jax.Array:
        i, g, o = jnp.split(leaf, 3, axis=-1)
        return jnp.concatenate([i, jnp.full_like(i, forget), g / 2, o], axis=-1)

    own = (
        LSTM()
        .init(jax.random.key(1), D, H)
        ._replace(W=today(params.W, 0.0), U=today(params.U, 0.0), b=today(params.b, 100.0))
    )
    first, y = unroll(LSTM1997(), params, X)
    second, wanted = unroll(LSTM(), own, X)
    np.testing.assert_allclose(y, wanted, atol=1e-5)
    np.testing.assert_allclose(first.c, 2 * second.c, atol=1e-4)


def test_a_closed_input_gate_keeps_the_cell_state_as_it_is() -> None:
    cell = LSTM1997(input_bias=-100.0)
    params = cell.init(jax.random.key(0), D, H)
    carry = jax.tree.map(lambda leaf: leaf + 0.5, cell.carry(params, 2))
    final, _ = unroll(cell, params, X, carry=carry)
    np.testing.assert_array_equal(final.c, carry.c)


def test_the_label_names_what_is_not_the_default() -> None:
    assert LSTM1997().label == "LSTM 1997"
    assert LSTM1997(-2.0, -1.0).label == "LSTM 1997 input bias -2 output bias -1"
