"""What every cell promises, checked on whatever `lstm_lab.cells` holds, in double precision.

A new cell file is picked up by discovery, in every variant its `Literal` fields name. One compiled
reading per cell and direction (outputs, final carry and all gradients, with lengths and resets)
serves most of the invariances below, so they cost next to nothing each.
"""

import copy
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from lstm_lab.cells.base import Cell
from lstm_lab.errors import UsageError
from lstm_lab.unroll import Schedule, Sequential, unroll
from tests import oracles
from tests.variants import CELLS, STEPS, everything, name

B, T, D, H = 3, 6, 2, 3
PLAIN = Sequential(adjoint=False)
OTHERS: list[Schedule] = [
    s for s in everything("lstm_lab.unroll", Schedule) if not isinstance(s, Sequential)
]
# The first variant of each, and the others in `make contract`.
SCHEDULES = [PLAIN, Sequential(unroll=2, remat=4), *{type(s): s for s in OTHERS[::-1]}.values()]

# `make test` holds a sample to every promise: plain, gated, linear, and with a matrix for a state.
# `make contract` holds every variant of every cell to them.
SAMPLE = ("Elman", "GRU", "LSTM", "MinGRU", "LinearAttention")
FIRST = list({type(cell): cell for cell in reversed(STEPS)}.values())[::-1]


def over_cells(cells: list[Cell]) -> pytest.MarkDecorator:
    """Parametrise over cells, those outside the sample marked for `make contract`."""

    def sampled(cell: Cell) -> bool:
        return cell in FIRST and type(cell).__name__ in SAMPLE

    return pytest.mark.parametrize(
        "cell",
        [
            pytest.param(cell, marks=() if sampled(cell) else pytest.mark.variant, id=name(cell))
            for cell in cells
        ],
    )


every_step = over_cells(STEPS)
every_cell = over_cells(FIRST)
both_ways = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


@pytest.fixture(scope="module", autouse=True)
def double_precision() -> Iterator[None]:
    """Small differences are errors here; small programs compile sooner when left unoptimised."""
    jax.config.update("jax_disable_most_optimizations", True)
    with jax.enable_x64(True):
        yield
    jax.config.update("jax_disable_most_optimizations", False)


class Problem(NamedTuple):
    """Arguments of a reading: values to read, and a cotangent for everything it returns."""

    params: Any
    carry: Any
    x: np.ndarray
    lengths: np.ndarray
    reset: np.ndarray
    cotangents: tuple[Any, np.ndarray]


def draw(tree: Any, seed: int) -> Any:
    """A tree of the same shapes, filled with normal variates in double precision.

    In NumPy, as all that follows: eager JAX would compile every little operation for every shape.
    """
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), tree)


def problem(cell: Cell, seed: int = 0, d_hidden: int = H) -> Problem:
    """Random everything: no bias stays zero, one row is empty, one padded, one packed."""
    drawn = initial(cell, jax.random.key(seed), D, d_hidden)
    params = jax.tree.map(lambda p, n: np.asarray(p) + n / 4, drawn, draw(drawn, seed))
    carry = draw(jax.eval_shape(lambda: cell.carry(drawn, B)), seed + 1)
    x, y = draw((np.empty((B, T, D)), np.empty((B, T, d_hidden))), seed + 2)
    reset = np.zeros((B, T), bool)
    reset[0, 4] = reset[2, 0] = True
    return Problem(params, carry, x, np.array([T, 0, 4]), reset, (draw(carry, seed + 3), y))


@partial(jax.jit, static_argnums=(0, 2, 3))
def initial(cell: Cell, key: Array, d_in: int, d_hidden: int) -> Any:
    return cell.init(key, d_in, d_hidden)


def start(cell: Cell, params: Any) -> Any:
    """The cell's own initial carry."""
    return jax.tree.map(np.asarray, cell.carry(cell.prepare(params), B))


def put(like: Any, *parts: tuple[Any, Any]) -> Any:
    """Zeros, but for some places: a NumPy array's `.at[index].set(value)`."""
    out = np.zeros_like(like)
    for index, value in parts:
        out[index] = value
    return out


def plain_problem(cell: Cell) -> Problem:
    """The same with full rows and no resets."""
    return problem(cell)._replace(lengths=np.full(B, T), reset=np.zeros((B, T), bool))


@lru_cache
def reading(cell: Cell, reverse: bool = False, schedule: Schedule = Sequential()) -> Any:
    """A compiled `Problem -> (final carry, y), (d_params, d_carry, d_x)`."""

    @jax.jit
    def read(params: Any, carry: Any, x: Any, lengths: Any, reset: Any, cotangents: Any) -> Any:
        def run(params: Any, carry: Any, x: Array) -> Any:
            how = {"lengths": lengths, "reset": reset, "reverse": reverse, "schedule": schedule}
            return unroll(cell, params, x, carry=carry, **how)

        out, pull = jax.vjp(run, params, carry, x)
        return out, pull(cotangents)

    return read


def assert_close(got: Any, wanted: Any, tolerance: float = 1e-10) -> None:
    jax.tree.map(
        lambda g, w: np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance), got, wanted
    )


def evaluated(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def inner(a: Any, b: Any) -> Any:
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return sum((u * v).sum() for u, v in leaves)


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(cell, marks=() if cell in FIRST else pytest.mark.variant, id=name(cell))
        for cell in STEPS
    ],
)
@pytest.mark.parametrize(
    "reverse", [False, pytest.param(True, marks=pytest.mark.variant)], ids=["forward", "reverse"]
)
def test_the_equations_are_the_papers(cell: Cell, reverse: bool) -> None:
    oracle = getattr(oracles, type(cell).__name__.lower(), None)
    if oracle is None:
        pytest.skip(f"{type(cell).__name__} has no oracle: write one in tests/oracles.py")
    given = problem(cell)
    final, y = oracles.unroll(
        oracle,
        cell,
        given.params,
        tuple(jax.tree.leaves(start(cell, given.params))),
        given.x,
        carry=tuple(jax.tree.leaves(given.carry)),
        lengths=given.lengths,
        reset=given.reset,
        reverse=reverse,
    )
    (got_final, got_y), _ = reading(cell, reverse)(*given)
    assert_close((tuple(jax.tree.leaves(got_final)), got_y), (final, y), 1e-12)


@every_step
@both_ways
@pytest.mark.parametrize(
    "schedule",
    [
        *(pytest.param(s, id=name(s)) for s in SCHEDULES),
        *(
            pytest.param(s, marks=pytest.mark.variant, id=name(s))
            for s in OTHERS
            if s not in SCHEDULES
        ),
    ],
)
def test_schedules_agree_in_outputs_and_every_gradient(
    cell: Cell, schedule: Schedule, reverse: bool
) -> None:
    given, wanted = problem(cell), reading(cell, reverse)
    try:
        got = reading(cell, reverse, schedule)(*given)
    except UsageError as refusal:
        # Refusing is allowed, silence is not: the message must name the cell.
        if type(cell).__name__ not in str(refusal):
            raise
        return
    assert_close(got, wanted(*given), 1e-8)


@every_step
@both_ways
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


@every_step
@both_ways
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


@every_step
@both_ways
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


@every_step
@both_ways
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


@every_step
@both_ways
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


@every_step
@both_ways
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
def test_second_derivatives_are_those_of_the_plain_loop(cell: Cell) -> None:
    given, plain, eps = problem(cell), reading(cell, schedule=PLAIN), 1e-5
    at = given[:3]
    direction = draw(at, 5)

    def slope(at: Any) -> Array:
        return inner(reading(cell)(*at, *given[3:])[1], direction)

    def gradient(shift: float) -> Any:
        moved = jax.tree.map(lambda a, d: a + shift * d, at, direction)
        return evaluated(plain(*moved, *given[3:]))[1]

    second = jax.tree.map(lambda up, down: (up - down) / (2 * eps), gradient(eps), gradient(-eps))
    assert any(leaf.any() for leaf in jax.tree.leaves(second[0]))
    assert_close(jax.jit(jax.grad(slope))(at), second, 1e-6)


@every_cell
def test_vmap_over_parameters_is_a_loop_over_them(cell: Cell) -> None:
    seeds = [problem(cell, seed).params for seed in (0, 10)]
    given, read = problem(cell), reading(cell)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *seeds)
    got = jax.vmap(lambda params: read(params, *given[1:]))(stacked)
    loop = [evaluated(read(params, *given[1:])) for params in seeds]
    assert_close(got, jax.tree.map(lambda *leaves: np.stack(leaves), *loop))


@every_cell
def test_forward_mode_works_without_the_adjoint_and_says_so_with_it(cell: Cell) -> None:
    given = problem(cell)
    at = given[:3]
    tangents = draw(at, 9)

    def run(schedule: Schedule) -> Any:
        def forward(params: Any, carry: Any, x: Array) -> Any:
            how: dict[str, Any] = {"lengths": given.lengths, "reset": given.reset}
            return unroll(cell, params, x, carry=carry, schedule=schedule, **how)

        return jax.jit(partial(jax.jvp, forward))(at, tangents)

    _, pushed = run(PLAIN)
    _, pulled = evaluated(reading(cell)(*given))
    np.testing.assert_allclose(inner(pushed, given.cotangents), inner(pulled, tangents), rtol=1e-10)
    # JAX's own words: forward mode does not exist for a custom reverse rule.
    with pytest.raises(TypeError, match="custom_vjp"):
        run(Sequential())


@every_step
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


@every_step
def test_bfloat16_stays_bfloat16_and_finite(cell: Cell) -> None:
    given = problem(cell)
    params, carry, x = jax.tree.map(lambda a: a.astype(jnp.bfloat16), given[:3])
    cotangents = jax.tree.map(lambda a: a.astype(jnp.bfloat16), given.cotangents)
    for leaf in jax.tree.leaves(
        reading(cell)(params, carry, x, given.lengths, given.reset, cotangents)
    ):
        assert leaf.dtype == jnp.bfloat16
        assert np.isfinite(np.asarray(leaf, np.float64)).all()


@every_step
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


@pytest.mark.parametrize("cell", CELLS, ids=name)
def test_parameters_are_a_function_of_the_key_alone(cell: Cell) -> None:
    draws = [evaluated(initial(cell, jax.random.key(seed), D, H)) for seed in (0, 0, 1)]
    for leaf in jax.tree.leaves(draws):
        assert leaf.dtype == np.float32
        assert np.isfinite(leaf).all()
    assert_close(draws[0], draws[1], 0.0)
    differs = jax.tree.map(lambda a, b: bool((a != b).any()), draws[0], draws[2])
    assert any(jax.tree.leaves(differs))


@pytest.mark.parametrize("cell", CELLS, ids=name)
def test_the_carry_has_one_row_per_sequence(cell: Cell) -> None:
    params = cell.init(jax.random.key(0), D, H)
    for leaf in jax.tree.leaves(cell.carry(cell.prepare(params), B)):
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
