"""More memory cells than outputs: size, and what the projection is to an LSTM without."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.lstm_projection import LSTMProjection
from lstm_lab.errors import UsageError
from lstm_lab.unroll import unroll

D, H = 5, 6
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 7, D)), jnp.float32)


def test_gates_are_as_wide_as_the_cells_and_feed_back_from_the_outputs() -> None:
    cell = LSTMProjection(expansion=3)
    params = cell.init(jax.random.key(0), D, H)
    shapes = jax.tree.map(np.shape, params)
    assert shapes == ((5, 72), (6, 72), (72,), (18, 6))
    # 4 · 18 · (5 + 6 + 1) for the gates, 18 · 6 for the projection.
    assert sum(map(np.prod, shapes)) == 864 + 108
    assert jax.tree.map(np.shape, cell.carry(params, 2)) == ((2, 6), (2, 18))


def test_weights_are_bounded_by_the_number_of_cells_and_only_the_forget_gate_has_a_bias() -> None:
    W, U, b, P = LSTMProjection(forget_bias=2.5).init(jax.random.key(0), 50, 50)
    for weights in (W, U, P):
        assert 0.099 < np.abs(weights).max() <= 0.1
    i, f, g, o = np.split(np.asarray(b), 4)
    assert (f == 2.5).all()
    assert not np.any([i, g, o])


def test_a_projection_onto_itself_leaves_the_lstm() -> None:
    params = LSTM().init(jax.random.key(0), D, H)
    cell = LSTMProjection(expansion=1)
    own = cell.init(jax.random.key(1), D, H)
    own = own._replace(W=params.W, U=params.U, b=params.b, P=jnp.eye(H))
    np.testing.assert_allclose(unroll(cell, own, X)[1], unroll(LSTM(), params, X)[1], atol=1e-6)


@pytest.mark.parametrize("expansion", [0, -2])
def test_fewer_cells_than_outputs_are_refused(expansion: int) -> None:
    with pytest.raises(UsageError, match=f"expansion: {expansion}: give at least 1"):
        LSTMProjection(expansion=expansion)


def test_the_label_tells_how_many_cells_stand_behind_an_output() -> None:
    assert LSTMProjection().label == "LSTM projection 2:1"
    assert LSTMProjection(4, 0.0).label == "LSTM projection 4:1 forget bias 0"
