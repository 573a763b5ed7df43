"""Weight drop: which matrices, how many entries, and no gradient for those that are dropped."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.base import Cell
from lstm_lab.cells.co_rnn import CoRNN
from lstm_lab.cells.delta_net import DeltaNet
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.greff_lstm import GreffLSTM
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.ind_rnn import IndRNN
from lstm_lab.cells.lru import LRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.mgu import MGU
from lstm_lab.errors import UsageError
from lstm_lab.regularisers.variational_dropout import VariationalDropout
from lstm_lab.regularisers.weight_drop import WeightDrop
from lstm_lab.unroll import unroll
from tests.cells.contract import problem
from tests.trees import assert_close, evaluated
from tests.variants import name

pytestmark = pytest.mark.usefixtures("double_precision")


@pytest.mark.parametrize(
    ("inner", "matrices"),
    [
        (Elman(), "U"),
        (LSTM(), "U"),
        (GRU("after"), "U"),
        (GRU("before"), "U"),
        (MGU(), "U"),
        (CoRNN(), "W W_v"),
        (GreffLSTM("FGR"), "U R"),
        # The product inside its gates is with the same matrix.
        (VariationalDropout(LSTM(), state=0.5), "U"),
    ],
    ids=lambda value: getattr(value, "label", ""),
)
def test_the_recurrent_matrices_are_dropped_and_nothing_else(inner: Cell, matrices: str) -> None:
    cell, rate = WeightDrop(inner, 0.3), 0.3
    params = problem(cell, d_hidden=12).params
    assert_close(cell.prepare(params), params, 0.0)
    got = evaluated(cell.prepare(params, jax.random.key(0)))
    for leaf, drawn, used in zip(params._fields, params, got, strict=True):
        if leaf not in matrices.split():
            assert_close(used, drawn, 0.0)
            continue
        error = (rate * (1 - rate) / used.size) ** 0.5
        assert abs((used == 0).mean() - rate) < 5 * error
        assert_close(used, np.where(used == 0, 0, drawn / (1 - rate)), 1e-12)


def test_a_dropped_weight_gets_no_gradient() -> None:
    cell = WeightDrop(LSTM(), 0.4)
    given = problem(cell, d_hidden=10)

    @jax.jit
    def gradient(key: jax.Array) -> Any:
        return jax.grad(lambda p: unroll(cell, p, jnp.asarray(given.x), key=key)[1].sum())(
            given.params
        )

    d = evaluated(gradient(jax.random.key(0)))
    error = (0.4 * 0.6 / d.U.size) ** 0.5
    assert abs((d.U == 0).mean() - 0.4) < 5 * error
    assert d.W.all()


@pytest.mark.parametrize("inner", [IndRNN(), LRU(), DeltaNet()], ids=name)
def test_a_cell_without_a_recurrent_matrix_is_refused_by_name(inner: Cell) -> None:
    with pytest.raises(UsageError, match=f"{inner.label} has no recurrent matrix"):
        problem(WeightDrop(inner))


def test_what_is_no_rate_is_refused() -> None:
    with pytest.raises(UsageError, match=r"rate: 1.0: give a fraction"):
        WeightDrop(rate=1.0)
