"""What every cell around a cell promises: the cells' contract with a key, noise only with one, its mean kept."""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from lstm_lab.cells.base import Cell
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.greff_lstm import GreffLSTM
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.regularisers.base import Around
from lstm_lab.regularisers.variational_dropout import VariationalDropout
from lstm_lab.regularisers.weight_drop import WeightDrop
from lstm_lab.regularisers.zoneout import Zoneout
from lstm_lab.unroll import Schedule, Sequential, unroll
from tests.cells.contract import PLAIN, B, D, H, Problem, T, initial, problem
from tests.trees import assert_close, evaluated, put

pytestmark = pytest.mark.usefixtures("double_precision")

NEST = VariationalDropout(WeightDrop(Zoneout(GreffLSTM("FGR"), 0.3, 0.4), 0.3), 0.3, 0.4, 0.2)
CELLS: list[Around] = [
    Zoneout(LSTM(), 0.3, 0.5),
    VariationalDropout(LSTM(), 0.3, 0.3, 0.3),
    WeightDrop(GRU("before"), 0.5),
    NEST,
]
every_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.label)
both_ways = pytest.mark.parametrize(
    ("cell", "reverse"),
    [
        *(pytest.param(cell, False, id=cell.label) for cell in CELLS[2:]),
        *(
            pytest.param(cell, False, marks=pytest.mark.variant, id=cell.label)
            for cell in CELLS[:2]
        ),
        pytest.param(NEST, True, marks=pytest.mark.variant, id="all of them in reverse"),
    ],
)


@lru_cache
def reading(cell: Cell, reverse: bool = False, schedule: Schedule = Sequential()) -> Any:
    """A compiled `(Problem, key) -> (final carry, y), (d_params, d_carry, d_x)`."""

    @jax.jit
    def read(given: Problem, key: Array) -> Any:
        def run(params: Any, carry: Any, x: Array) -> Any:
            how: dict[str, Any] = {"reverse": reverse, "schedule": schedule, "key": key}
            rows: dict[str, Any] = {"lengths": given.lengths, "reset": given.reset}
            return unroll(cell, params, x, carry=carry, **rows, **how)

        out, pull = jax.vjp(run, *given[:3])
        return out, pull(given.cotangents)

    return lambda given: evaluated(read(given, jax.random.key(0)))


@lru_cache
def outputs(cell: Cell) -> Any:
    """A compiled `(Problem, key or None) -> y`."""

    @jax.jit
    def read(given: Problem, key: Array | None) -> Array:
        rows: dict[str, Any] = {"lengths": given.lengths, "reset": given.reset}
        x = jnp.asarray(given.x)
        return unroll(cell, given.params, x, carry=given.carry, key=key, **rows)[1]

    return lambda given, key: np.asarray(read(given, key))


@both_ways
def test_the_adjoint_is_the_derivative_of_the_noisy_loop(cell: Around, reverse: bool) -> None:
    given = problem(cell)
    assert_close(reading(cell, reverse)(given), reading(cell, reverse, PLAIN)(given))


@pytest.mark.variant
def test_rematerialised_chunks_see_the_same_noise() -> None:
    given = problem(NEST)
    assert_close(reading(NEST, schedule=Sequential(unroll=2, remat=4))(given), reading(NEST)(given))


@every_cell
def test_noise_is_a_function_of_the_key_and_absent_without_one(cell: Around) -> None:
    given, read = problem(cell), outputs(cell)
    y, again, other = (read(given, jax.random.key(seed)) for seed in (0, 0, 1))
    silent = read(given, None)
    assert_close(again, y, 0.0)
    for different in (other, silent):
        assert np.abs(different - y).max() > 1e-3
    assert_close(read(given, None), silent, 0.0)


@pytest.mark.parametrize("cell", CELLS[1:3], ids=lambda cell: cell.label)
def test_without_a_key_dropout_leaves_the_cell_inside(cell: Around) -> None:
    given = problem(cell)
    assert_close(outputs(cell)(given, None), outputs(cell.core)(given, None), 1e-12)


@both_ways
@pytest.mark.parametrize("garbage", [np.nan, np.inf], ids=str)
def test_padding_reaches_neither_outputs_nor_gradients(
    cell: Around, reverse: bool, garbage: float
) -> None:
    given, read = problem(cell), reading(cell, reverse)
    padding = np.arange(T) >= given.lengths[:, None]
    got = read(given._replace(x=np.where(padding[..., None], garbage, given.x)))
    assert_close(got, read(given), 0.0)
    assert not got[0][1][padding].any()
    assert not got[1][2][padding].any()


@both_ways
def test_an_empty_row_returns_the_carry_it_was_given(cell: Around, reverse: bool) -> None:
    given = problem(cell)
    (final, _), (_, d_carry, _) = reading(cell, reverse)(given)
    empty = int(np.argmin(given.lengths))
    for got, wanted in ((final, given.carry), (d_carry, given.cotangents[0])):
        got, wanted = (jax.tree.map(lambda a: a[empty], tree) for tree in (got, wanted))
        assert_close(got, wanted, 0.0)


@both_ways
def test_nothing_crosses_a_reset(cell: Around, reverse: bool) -> None:
    given = problem(cell)
    row, border = 0, 4
    assert given.reset[row, border]
    before, after = (
        (slice(border, T), slice(border)) if reverse else (slice(border), slice(border, T))
    )
    d_final, dy = given.cotangents
    cotangents = (
        jax.tree.map(np.zeros_like, d_final),
        put(dy, (np.s_[row, after], dy[row, after])),
    )
    _, (_, d_carry, dx) = reading(cell, reverse)(given._replace(cotangents=cotangents))
    assert not dx[row, before].any()
    assert dx[row, after].any()
    assert not any(leaf.any() for leaf in jax.tree.leaves(d_carry))


@every_cell
def test_parameters_are_those_of_the_cell_inside(cell: Around) -> None:
    drawn, inside = (initial(c, jax.random.key(3), D, H) for c in (cell, cell.core))
    assert_close(drawn, inside, 0.0)


@pytest.mark.variant
def test_bfloat16_stays_bfloat16_and_finite() -> None:
    given = problem(NEST)
    params, carry, x, cotangents = jax.tree.map(
        lambda a: a.astype(jnp.bfloat16), (*given[:3], given.cotangents)
    )
    low = given._replace(params=params, carry=carry, x=x, cotangents=cotangents)
    for leaf in jax.tree.leaves(reading(NEST)(low)):
        assert leaf.dtype == jnp.bfloat16
        assert np.isfinite(np.asarray(leaf, np.float64)).all()


LINEAR = Elman("linear")


@pytest.mark.parametrize(
    ("cell", "steps"),
    [
        # d_t is independent of all before it, so in a linear cell means pass through every step.
        (Zoneout(LINEAR, hidden=0.3), T),
        (VariationalDropout(LINEAR, input=0.3, output=0.3), T),
        # A mask met twice is squared, so these keep the mean of one step: all masks independent.
        (VariationalDropout(WeightDrop(LINEAR, 0.4), 0.3, 0.3, 0.3), 1),
    ],
    ids=["zoneout", "masks on inputs and outputs", "masks on all that one step multiplies"],
)
def test_the_mean_over_many_draws_is_what_evaluation_computes(cell: Around, steps: int) -> None:
    given, draws = problem(cell), 4000

    @jax.jit
    def read(key: Array | None) -> Any:
        x = jnp.asarray(given.x[:, :steps])
        return unroll(cell, given.params, x, carry=given.carry, key=key)[1]

    drawn = np.asarray(jax.vmap(read)(jax.random.split(jax.random.key(0), draws)))
    error = drawn.std(axis=0) / draws**0.5
    assert drawn.shape == (draws, B, steps, H)
    assert (error > 0).all()
    assert (np.abs(drawn.mean(axis=0) - read(None)) < 5 * error).all()
