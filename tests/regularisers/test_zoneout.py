"""Zoneout: how often, what together, and the equations of evaluation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.base import Cell
from lstm_lab.cells.delta_net import DeltaNet
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.greff_lstm import GreffLSTM
from lstm_lab.cells.lru import LRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.mlstm import MLSTM
from lstm_lab.cells.slstm import SLSTM
from lstm_lab.errors import UsageError
from lstm_lab.regularisers.variational_dropout import VariationalDropout
from lstm_lab.regularisers.zoneout import Zoneout
from lstm_lab.unroll import unroll
from tests import oracles
from tests.cells.contract import problem, reading, start
from tests.trees import assert_close, evaluated
from tests.variants import name

pytestmark = pytest.mark.usefixtures("double_precision")


def one_step(cell: Cell, d_hidden: int) -> tuple[Any, Any, np.ndarray]:
    """The carry before and after one noisy step, and the output `[B, H]`."""
    given = problem(cell, d_hidden=d_hidden)

    @jax.jit
    def read(key: jax.Array) -> Any:
        return unroll(cell, given.params, jnp.asarray(given.x[:, :1]), carry=given.carry, key=key)

    after, y = evaluated(read(jax.random.key(0)))
    return given.carry, after, y[:, 0]


def assert_fraction(happened: np.ndarray, rate: float) -> None:
    """Within five standard deviations of a binomial's mean."""
    assert abs(happened.mean() - rate) < 5 * (rate * (1 - rate) / happened.size) ** 0.5


def test_units_keep_exactly_what_they_had_as_often_as_said() -> None:
    before, after, y = one_step(Zoneout(LSTM(), hidden=0.2, memory=0.6), 400)
    kept_h, kept_c = before.h == after.h, before.c == after.c
    assert_fraction(kept_h, 0.2)
    assert_fraction(kept_c, 0.6)
    # Two masks, drawn apart.
    assert_fraction(kept_h & kept_c, 0.12)
    assert_close(y, after.h, 0.0)


@pytest.mark.parametrize("inner", [SLSTM(), LRU(), GreffLSTM("FGR")], ids=name)
def test_all_numbers_of_a_unit_s_memory_are_kept_together(inner: Cell) -> None:
    before, after, _ = one_step(Zoneout(inner), 12)
    kept = {n: getattr(before, n) == getattr(after, n) for n in after._fields if n != "h"}
    first, *others = (k for leaf in kept.values() for k in np.split(leaf, leaf.shape[-1] // 12, -1))
    assert 0 < first.sum() < first.size
    assert others
    for other in others:
        assert np.array_equal(first, other)


def test_every_step_draws_anew() -> None:
    cell, rate = Zoneout(Elman(), hidden=0.3), 0.3
    given = problem(cell, d_hidden=16)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 60, given.x.shape[-1])))
    _, y = jax.jit(lambda key: unroll(cell, given.params, x, key=key))(jax.random.key(0))
    kept = np.diff(np.asarray(y), axis=1) == 0
    assert_fraction(kept, rate)
    assert_fraction(kept[:, 1:] & kept[:, :-1], rate**2)


def zoned(cell: Any, params: Any, carry: Any, x: np.ndarray) -> Any:
    """Krueger et al. 2017: the mean of the old state and the new one; LRU reads its output off it."""
    inner = cell.cell
    new, _ = getattr(oracles, type(inner).__name__.lower())(inner, params, carry, x)
    rates = [cell.hidden, cell.memory] if isinstance(inner, LSTM) else [cell.memory] * len(carry)
    state = tuple(d * old + (1 - d) * s for d, old, s in zip(rates, carry, new, strict=True))
    if isinstance(inner, LSTM):
        return state, state[0]
    return state, params.C_re.T @ state[0] - params.C_im.T @ state[1] + params.D.T @ x


@pytest.mark.parametrize("inner", [LSTM(), LRU()], ids=name)
def test_evaluation_mixes_old_and_new_by_the_rate(inner: Cell) -> None:
    cell = Zoneout(inner, hidden=0.2, memory=0.6)
    given = problem(cell)
    final, y = oracles.unroll(
        zoned,
        cell,
        given.params,
        tuple(jax.tree.leaves(start(cell, given.params))),
        given.x,
        carry=tuple(given.carry),
        lengths=given.lengths,
        reset=given.reset,
    )
    (got, got_y), _ = reading(cell)(*given)
    assert_close((tuple(got), got_y), (final, y), 1e-12)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Zoneout(hidden=1.0), r"hidden: 1.0: give a fraction"),
        (lambda: Zoneout(memory=-0.1), r"memory: -0.1: give a fraction"),
        (lambda: problem(Zoneout(DeltaNet())), "DeltaNet: its state is a matrix"),
        (lambda: problem(Zoneout(MLSTM())), "mLSTM: its state is a matrix"),
        (
            lambda: one_step(Zoneout(VariationalDropout(LSTM(), output=0.5)), 3),
            "output 0.5: its output is none of the states",
        ),
    ],
)
def test_what_zoneout_cannot_do_is_refused_in_one_line(build: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refusal:
        build()
    assert "\n" not in str(refusal.value)
