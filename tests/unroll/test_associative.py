"""The associative schedule: the loop's numbers, in a number of rounds that grows as log T."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from jax.extend.core import Jaxpr, Literal, jaxprs_in_params
from jax.sharding import Mesh, PartitionSpec

from lstm_lab.cells.base import Cell, LinearCell
from lstm_lab.cells.lru import LRU
from lstm_lab.errors import UsageError
from lstm_lab.unroll import Associative, Schedule, Sequential, unroll
from tests.trees import assert_close_by_size
from tests.variants import STEPS, first_of_each, name

B, T, D, H = 2, 6, 2, 3
LONG = 10_000
LONG_GRADIENT = 1_000
ASSOCIATIVE, PLAIN = Associative(), Sequential(adjoint=False)
LOOPS = {"scan", "while"}
# S4D's longest memories are 2,000 steps; over as many, the loop itself is 4e-5 off the answer in float64.
LONG_TOLERANCE = {"S4D": 1e-4}

# One variant of each: the contract suite has all of them agree with the loop.
LINEAR = first_of_each([cell for cell in STEPS if isinstance(cell, LinearCell)])
NONLINEAR = first_of_each([cell for cell in STEPS if not isinstance(cell, LinearCell)])

every_linear_cell = pytest.mark.parametrize(
    "cell", [pytest.param(cell, marks=pytest.mark.variant, id=name(cell)) for cell in LINEAR]
)
# `make test` asks one cell, with two parts for a state, to read far; `make contract` asks all for everything.
far_reaching = pytest.mark.parametrize(
    "cell",
    [
        pytest.param(
            cell, marks=() if isinstance(cell, LRU) else pytest.mark.variant, id=name(cell)
        )
        for cell in LINEAR
    ],
)
both_ways = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


def draw(shape: Any, seed: int) -> Any:
    """Normal variates in the shape and dtype of every leaf."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), shape)


def problem(cell: Cell, steps: int) -> tuple[Any, Any, Any]:
    """Parameters as drawn, a carry that is not the cell's own, and inputs."""
    params = cell.init(jax.random.key(0), D, H)
    carry = jax.eval_shape(lambda: cell.carry(cell.prepare(params), B))
    return params, draw(carry, 1), draw(np.empty((B, steps, D), params[0].dtype), 2)


def read(cell: Cell, schedule: Schedule, params: Any, carry: Any, x: Any, **how: Any) -> Any:
    return unroll(cell, params, x, carry=carry, schedule=schedule, **how)


def gradients(cell: Cell, schedule: Schedule, given: Any, **how: Any) -> Any:
    """Outputs and final carry, and what a random cotangent of all of them pulls back."""

    @jax.jit
    def run(given: Any, how: Any) -> Any:
        out, pull = jax.vjp(partial(read, cell, schedule, **static, **how), *given)
        return out, pull(draw(out, 3))

    static = {"reverse": how.pop("reverse", False)}
    return run(given, how)


def test_there_are_cells_to_try() -> None:
    assert LINEAR
    assert NONLINEAR


@far_reaching
def test_ten_thousand_steps_are_those_of_the_loop(cell: Cell) -> None:
    given = problem(cell, LONG)
    got, wanted = (
        jax.jit(partial(read, cell, schedule))(*given) for schedule in (ASSOCIATIVE, PLAIN)
    )
    assert np.abs(wanted[1]).max() > 0
    assert_close_by_size(got, wanted, LONG_TOLERANCE.get(type(cell).__name__, 1e-5))


@every_linear_cell
def test_gradients_over_a_thousand_steps_are_those_of_the_loop(cell: Cell) -> None:
    given = problem(cell, LONG_GRADIENT)
    got, wanted = (gradients(cell, schedule, given) for schedule in (ASSOCIATIVE, Sequential()))
    assert_close_by_size(got, wanted, LONG_TOLERANCE.get(type(cell).__name__, 1e-5))


@pytest.mark.parametrize("cell", NONLINEAR, ids=name)
def test_a_nonlinear_cell_is_refused_by_name_with_what_to_do(cell: Cell) -> None:
    with pytest.raises(
        UsageError, match=rf"{type(cell).__name__} is not linear.*Sequential or Newton"
    ):
        jax.eval_shape(lambda: read(cell, ASSOCIATIVE, *problem(cell, T)))


@every_linear_cell
def test_padding_filled_with_nan_reaches_neither_outputs_nor_gradients(
    cell: Cell,
) -> None:
    params, carry, x = problem(cell, T)
    lengths = np.array([T, 4])
    padding = np.arange(T) >= lengths[:, None]

    def run(filling: float) -> Any:
        filled = np.where(padding[..., None], np.float32(filling), x)
        return gradients(cell, ASSOCIATIVE, (params, carry, filled), lengths=lengths)

    got, wanted = run(np.nan), run(0.0)
    jax.tree.map(np.testing.assert_array_equal, got, wanted)
    (_, y), (_, _, dx) = got
    assert not np.asarray(y)[padding].any()
    assert not np.asarray(dx)[padding].any()


@every_linear_cell
@both_ways
def test_a_reset_at_a_masked_step_still_ends_the_sequence_before_it(
    cell: Cell, reverse: bool
) -> None:
    given = problem(cell, T)
    mask, reset = np.ones((B, T), bool), np.zeros((B, T), bool)
    # Between two steps that count, and at either end, where only one does.
    mask[0, 2:4] = mask[1, [0, -1]] = False
    # A reset acts on the step before it when read backwards: both are masked in row 0.
    reset[0, 3] = reset[1, [0, -1]] = True
    how = {"mask": mask, "reset": reset, "reverse": reverse}
    got, wanted = (gradients(cell, schedule, given, **how) for schedule in (ASSOCIATIVE, PLAIN))
    assert_close_by_size(got, wanted, 1e-5)
    # It did act: without it, the second half would know the first.
    (_, y), _ = got
    _, kept = read(cell, ASSOCIATIVE, *given, mask=mask, reverse=reverse)
    second = np.s_[0, :2] if reverse else np.s_[0, 4:]
    assert not np.allclose(y[second], kept[second])


def everywhere(jaxpr: Jaxpr) -> set[str]:
    """The names of all primitives, nested ones included."""
    return {equation.primitive.name for equation in jaxpr.eqns}.union(
        *(everywhere(part) for e in jaxpr.eqns for part in jaxprs_in_params(e.params))
    )


def depth(jaxpr: Jaxpr) -> int:
    """Equations on the longest chain in which each needs the one before."""
    at: dict[Any, int] = {}
    for equation in jaxpr.eqns:
        before = max(
            (at.get(v, 0) for v in equation.invars if not isinstance(v, Literal)), default=0
        )
        inner = max((depth(part) for part in jaxprs_in_params(equation.params)), default=1)
        at.update(dict.fromkeys(equation.outvars, before + inner))
    return max(at.values(), default=0)


@every_linear_cell
def test_squaring_the_number_of_steps_at_most_doubles_the_rounds(cell: Cell) -> None:
    def program(schedule: Schedule, steps: int) -> Jaxpr:
        given = problem(cell, steps)
        return jax.make_jaxpr(lambda *given: gradients(cell, schedule, given))(*given).jaxpr

    assert "scan" in everywhere(program(PLAIN, 64))
    programs = [program(ASSOCIATIVE, steps) for steps in (64, 64**2)]
    for jaxpr in programs:
        assert not everywhere(jaxpr) & LOOPS
    few, many = map(depth, programs)
    print(f"longest chain of equations at T = 64 and 4096: {few}, {many}")
    # c + k log T equations at most double as log T doubles; c + k T would grow 64 times.
    assert few < many <= 2 * few


@every_linear_cell
def test_second_derivatives_under_jit_and_vmap_are_those_of_the_plain_loop(cell: Cell) -> None:
    with jax.enable_x64(True):
        params, carry, x = jax.tree.map(np.float64, problem(cell, T))
        xs = np.stack([x, draw(x, 4)])

        def second(schedule: Schedule) -> Any:
            def loss(params: Any, x: Array) -> Array:
                out = read(cell, schedule, params, carry, x)
                return sum((jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(out)), jnp.zeros(()))

            def slope(params: Any, x: Array) -> Array:
                first = jax.grad(loss, (0, 1))(params, x)
                return sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(first)), jnp.zeros(()))

            return jax.grad(slope, (0, 1))

        got = jax.jit(jax.vmap(second(ASSOCIATIVE), (None, 0)))(params, xs)
        alone = jax.jit(second(PLAIN))
        wanted = jax.tree.map(lambda *leaves: np.stack(leaves), *(alone(params, x) for x in xs))
        assert_close_by_size(got, wanted, 1e-10)


@every_linear_cell
def test_a_batch_split_over_two_devices_is_the_batch_kept_whole(cell: Cell) -> None:
    params, carry, x = problem(cell, T)
    reset = np.zeros((B, T), bool)
    reset[0, 3] = True
    mesh = Mesh(np.array(jax.devices()), ("batch",))
    whole, rows = PartitionSpec(), PartitionSpec("batch")

    def run(params: Any, carry: Any, x: Any, reset: Any) -> Any:
        return read(cell, ASSOCIATIVE, params, carry, x, reset=reset)

    def own(params: Any, x: Any, reset: Any) -> Any:
        return unroll(cell, params, x, reset=reset, schedule=ASSOCIATIVE)

    split = partial(jax.shard_map, mesh=mesh, out_specs=rows)
    given = split(run, in_specs=(whole, rows, rows, rows))
    assert_close_by_size(
        jax.jit(given)(params, carry, x, reset), run(params, carry, x, reset), 1e-6
    )
    # The cell's own first carry is the same on both devices, which `shard_map` tells from one that varies.
    started = split(own, in_specs=(whole, rows, rows))
    assert_close_by_size(jax.jit(started)(params, x, reset), own(params, x, reset), 1e-6)
