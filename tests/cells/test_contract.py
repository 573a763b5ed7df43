"""What every cell promises, checked on whatever `lstm_lab.cells` holds, in double precision."""

import copy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from lstm_lab.cells.base import Cell
from lstm_lab.errors import UsageError
from lstm_lab.unroll import unroll
from tests.cells.contract import (
    B,
    D,
    H,
    Problem,
    T,
    every_cell,
    every_cell_read,
    heavy,
    initial,
    plain_problem,
    problem,
    reading,
    sampled,
    start,
)
from tests.trees import assert_close, draw, evaluated, inner, put
from tests.variants import CELLS, name

pytestmark = pytest.mark.usefixtures("double_precision")

every_variant = pytest.mark.parametrize(
    "cell", [pytest.param(cell, marks=heavy(not sampled(cell)), id=name(cell)) for cell in CELLS]
)


@every_cell_read
def test_the_gradient_is_what_finite_differences_say(cell: Cell, reverse: bool) -> None:
    given, read, eps = problem(cell), reading(cell, reverse), 1e-5
    at = given[:3]
    direction = draw(at, 7)

    def loss(shift: float) -> Array:
        moved = jax.tree.map(lambda a, d: a + shift * d, at, direction)
        return inner(evaluated(read(*moved, *given[3:]))[0], given.cotangents)

    # Two central differences, so that the error left is of fourth order: some cells bend sharply.
    near, far = (loss(step) - loss(-step) for step in (eps, 2 * eps))
    slope = (8 * near - far) / (12 * eps)
    gradient = evaluated(read(*given))[1]
    np.testing.assert_allclose(inner(gradient, direction), slope, rtol=1e-6)


@every_cell_read
def test_no_output_depends_on_what_has_not_been_read(cell: Cell, reverse: bool) -> None:
    given = plain_problem(cell)
    reached = False
    carry, y = given.cotangents
    for t in range(T):
        only_t = put(y, (np.s_[:, t], y[:, t]))
        cotangents = (jax.tree.map(np.zeros_like, carry), only_t)
        _, (_, _, dx) = evaluated(reading(cell, reverse)(*given._replace(cotangents=cotangents)))
        unread, read = (dx[:, :t], dx[:, t:]) if reverse else (dx[:, t + 1 :], dx[:, : t + 1])
        assert not unread.any()
        reached |= read.any()
    assert reached


@every_cell_read
def test_a_sequence_read_in_two_parts_is_the_sequence_read_at_once(
    cell: Cell, reverse: bool
) -> None:
    given, read, cut = plain_problem(cell), reading(cell, reverse), 2
    d_final, dy = given.cotangents

    def part(steps: slice, carry: Any, d_carry: Any) -> Any:
        n = len(range(T)[steps])
        x, d_part = (put(a, (np.s_[:, :n], a[:, steps])) for a in (given.x, dy))
        (carry, y), grads = evaluated(
            read(given.params, carry, x, np.full(B, n), given.reset, (d_carry, d_part))
        )
        return carry, y[:, :n], grads, n

    parts = [slice(0, cut), slice(cut, T)]
    first, second = parts[::-1] if reverse else parts
    between, *_ = part(first, given.carry, d_final)
    final, y_2, (d_params_2, d_between, dx_2), n_2 = part(second, between, d_final)
    # The second part's gradient with respect to its carry is what the first part must be told.
    _, y_1, (d_params_1, d_carry, dx_1), n_1 = part(first, given.carry, d_between)

    def joined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([b, a] if reverse else [a, b], axis=1)

    d_params = jax.tree.map(np.add, d_params_1, d_params_2)
    dx = joined(dx_1[:, :n_1], dx_2[:, :n_2])
    assert_close(((final, joined(y_1, y_2)), (d_params, d_carry, dx)), read(*given))


@every_cell_read
def test_packed_sequences_are_the_sequences_kept_apart(cell: Cell, reverse: bool) -> None:
    given, read, border = problem(cell), reading(cell, reverse), 4
    d_final, dy = given.cotangents
    a, b = slice(0, border), slice(border, T)
    # Row 0 holds both; kept apart, rows 0 and 1 do. The final carry is that of the last one read.
    last = 0 if reverse else 1
    packed = Problem(
        given.params,
        start(cell, given.params),
        given.x,
        np.array([T, 0, 0]),
        put(given.reset, ((0, 0), True), ((0, border), True)),
        jax.tree.map(lambda d: put(d, (0, d[0])), given.cotangents),
    )
    n = T - border
    apart = packed._replace(
        x=put(given.x, (np.s_[0, a], given.x[0, a]), (np.s_[1, :n], given.x[0, b])),
        lengths=np.array([border, n, 0]),
        reset=np.zeros((B, T), bool),
        cotangents=(
            jax.tree.map(lambda d: put(d, (last, d[0])), d_final),
            put(dy, (np.s_[0, a], dy[0, a]), (np.s_[1, :n], dy[0, b])),
        ),
    )
    (final, y), (d_params, _, dx) = evaluated(read(*packed))
    (final_apart, y_apart), (d_params_apart, _, dx_apart) = evaluated(read(*apart))
    assert_close(d_params, d_params_apart)
    for together, kept_apart in ((y, y_apart), (dx, dx_apart)):
        assert_close(together[0, a], kept_apart[0, a])
        assert_close(together[0, b], kept_apart[1, :n])
    assert_close(
        *(jax.tree.map(lambda c, r=r: c[r], f) for f, r in ((final, 0), (final_apart, last)))
    )


@every_cell_read
@pytest.mark.parametrize("garbage", [1e6, np.nan, np.inf], ids=str)
def test_padding_reaches_neither_outputs_nor_gradients(
    cell: Cell, reverse: bool, garbage: float
) -> None:
    given, read = problem(cell), reading(cell, reverse)
    padding = np.arange(T) >= given.lengths[:, None]
    filled = given._replace(x=np.where(padding[..., None], garbage, given.x))
    _, (_, _, dx) = evaluated(read(*filled))
    assert not dx[padding].any()
    assert_close(read(*filled), read(*given), 0.0)


@every_cell_read
def test_an_empty_row_returns_the_carry_it_was_given(cell: Cell, reverse: bool) -> None:
    given = problem(cell)
    (final, y), (_, d_carry, dx) = evaluated(reading(cell, reverse)(*given))
    empty = int(np.argmin(given.lengths))
    got, wanted = (final, d_carry), (given.carry, given.cotangents[0])
    got, wanted = (jax.tree.map(lambda a: a[empty], tree) for tree in (got, wanted))
    assert_close(got, wanted, 0.0)
    assert not y[empty].any()
    assert not dx[empty].any()


@every_cell
def test_equal_cells_share_one_compiled_program(cell: Cell) -> None:
    traces = 0

    def run(cell: Cell, params: Any, x: Array) -> Any:
        nonlocal traces
        traces += 1
        return unroll(cell, params, x)

    given, jitted = problem(cell), jax.jit(run, static_argnums=0)
    twin = copy.deepcopy(cell)
    assert twin is not cell
    for equal in (cell, twin):
        jax.eval_shape(jitted, equal, given.params, given.x)
    assert traces == 1


@every_cell
def test_bfloat16_stays_bfloat16_and_finite(cell: Cell) -> None:
    given = problem(cell)
    params, carry, x = jax.tree.map(lambda a: a.astype(jnp.bfloat16), given[:3])
    cotangents = jax.tree.map(lambda a: a.astype(jnp.bfloat16), given.cotangents)
    for leaf in jax.tree.leaves(
        reading(cell)(params, carry, x, given.lengths, given.reset, cotangents)
    ):
        assert leaf.dtype == jnp.bfloat16
        assert np.isfinite(np.asarray(leaf, np.float64)).all()


@every_cell
def test_every_method_treats_leading_axes_alike(cell: Cell) -> None:
    given = problem(cell)
    params = cell.prepare(given.params)
    carry, x = draw((jax.tree.map(lambda c: np.empty((T, *c.shape)), given.carry), given.x), 4)
    x = np.swapaxes(x, 0, 1)

    @jax.jit
    def step(carry: Any, x: Array) -> Any:
        z, r = cell.project(params, x), cell.recur(params, carry)
        return z, r, cell.gates(params, carry, z, r)

    together = evaluated(step(carry, x))
    for index in ((2,), (2, 1)):
        part, alone = (jax.tree.map(lambda a, i=index: a[i], t) for t in (together, carry))
        assert_close(part, step(alone, x[index]))


@every_variant
def test_parameters_are_a_function_of_the_key_alone(cell: Cell) -> None:
    draws = [evaluated(initial(cell, jax.random.key(seed), D, H)) for seed in (0, 0, 1)]
    for leaf in jax.tree.leaves(draws):
        assert leaf.dtype == np.float32
        assert np.isfinite(leaf).all()
    assert_close(draws[0], draws[1], 0.0)
    differs = jax.tree.map(lambda a, b: bool((a != b).any()), draws[0], draws[2])
    assert any(jax.tree.leaves(differs))


@every_variant
def test_the_carry_has_one_row_per_sequence(cell: Cell) -> None:
    def carry(key: Array) -> Any:
        return cell.carry(cell.prepare(cell.init(key, D, H)), B)

    for leaf in jax.tree.leaves(jax.eval_shape(carry, jax.random.key(0))):
        assert leaf.shape[0] == B
        assert leaf.dtype == jnp.float32


@pytest.mark.parametrize("cell", CELLS, ids=name)
@pytest.mark.parametrize(("d_in", "d_hidden"), [(0, 3), (2, 0), (2, -1)])
def test_sizes_no_cell_can_have_are_refused(cell: Cell, d_in: int, d_hidden: int) -> None:
    with pytest.raises(UsageError, match=str(min(d_in, d_hidden))):
        cell.init(jax.random.key(0), d_in, d_hidden)


def test_labels_tell_the_variants_apart() -> None:
    labels = [cell.label for cell in CELLS]
    assert len(set(labels)) == len(labels)
