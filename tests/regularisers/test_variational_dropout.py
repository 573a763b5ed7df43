"""Variational dropout: masks that last, and where they act."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.base import Cell
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.mgu import MGU
from lstm_lab.cells.min_gru import MinGRU
from lstm_lab.errors import UsageError
from lstm_lab.regularisers.variational_dropout import VariationalDropout
from lstm_lab.regularisers.zoneout import Zoneout
from tests import oracles
from tests.cells.contract import B, D, H, T, problem
from tests.trees import assert_close

pytestmark = pytest.mark.usefixtures("double_precision")


def test_masks_are_the_same_at_every_step_and_others_in_every_row() -> None:
    cell = VariationalDropout(LSTM(), input=0.25, state=0.5, output=0.75)
    params = problem(cell, d_hidden=40).params
    masks = np.asarray(cell.disturb(params, jnp.ones((30, 5, 40)), jax.random.key(0)))
    assert masks.shape == (30, 5, 120)
    assert np.array_equal(masks, np.broadcast_to(masks[:, :1], masks.shape))
    for mask, rate in zip(np.split(masks[:, 0], 3, axis=-1), (0.25, 0.5, 0.75), strict=True):
        assert {*np.unique(mask)} == {0, 1 / (1 - rate)}
        error = (rate * (1 - rate) / mask.size) ** 0.5
        assert abs((mask == 0).mean() - rate) < 5 * error
        assert len(np.unique(mask, axis=0)) == len(mask)


@pytest.mark.parametrize("inner", [GRU(), LSTM()], ids=["GRU", "LSTM"])
def test_masks_act_on_the_input_the_recurrent_product_and_the_output_alone(inner: Cell) -> None:
    cell = VariationalDropout(inner, input=0.5, state=0.5, output=0.5)
    given = problem(cell)
    disturbed = np.asarray(cell.disturb(given.params, jnp.asarray(given.x), jax.random.key(1)))
    x, m_h, m_y = np.split(disturbed[:, 0], [D, D + H], axis=-1)
    assert all((m == 0).any() and m.any() for m in (x, m_h, m_y))

    @jax.jit
    def step(x: jax.Array) -> Any:
        z, r = cell.project(given.params, x), cell.recur(given.params, given.carry)
        return cell.gates(given.params, given.carry, z, r)

    after, y = step(jnp.asarray(disturbed[:, 0]))
    oracle = getattr(oracles, type(inner).__name__.lower())
    for row in range(B):
        # Dropping a state on its way into a product is dropping the rows of the matrix it meets.
        params = given.params._replace(U=m_h[row][:, None] * given.params.U)
        carry = tuple(leaf[row] for leaf in given.carry)
        wanted, h = oracle(inner, params, carry, x[row])
        assert_close(tuple(leaf[row] for leaf in after), wanted, 1e-12)
        assert_close(np.asarray(y)[row], m_y[row] * h, 1e-12)


def test_without_a_state_mask_the_product_stays_outside_the_gates() -> None:
    def width(cell: Cell) -> int:
        given = problem(cell)
        return jax.eval_shape(cell.recur, given.params, given.carry).shape[-1]

    assert width(VariationalDropout(LSTM(), input=0.5, output=0.5)) == 4 * H
    assert width(VariationalDropout(LSTM(), state=0.5)) == 0


def test_nested_masks_multiply() -> None:
    cell = VariationalDropout(VariationalDropout(MinGRU(), input=0.5), input=0.5)
    given = problem(cell)
    x = np.asarray(cell.disturb(given.params, jnp.ones((50, T, D)), jax.random.key(0)))
    assert {*np.unique(x)} == {0, 4}
    assert 0 < (x == 4).mean() < 0.5


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: VariationalDropout(input=1.0), "input: 1.0: give a fraction"),
        (
            lambda: problem(VariationalDropout(MinGRU(), state=0.5)),
            "minGRU has no recurrent product",
        ),
        (
            lambda: problem(VariationalDropout(VariationalDropout(state=0.5), state=0.5)),
            "state 0.5 has no recurrent product",
        ),
        (
            lambda: problem(VariationalDropout(GRU("before"), state=0.5)),
            "GRU reset before .* inside",
        ),
        (lambda: problem(VariationalDropout(Zoneout(MGU()), state=0.5)), "MGU.* inside its gates"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(build: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refusal:
        build()
    assert "\n" not in str(refusal.value)
