"""All schedules agree, in outputs, states and every gradient, and so do the derivatives JAX makes of them."""

from functools import partial
from itertools import product
from typing import Any
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from lstm_lab.cells.base import Cell, LinearCell
from lstm_lab.errors import UsageError
from lstm_lab.unroll import Associative, Newton, Schedule, Sequential, unroll
from tests.cells.contract import FIRST, PLAIN, every_cell, heavy, problem, reading, sampled
from tests.trees import assert_close, draw, evaluated, inner
from tests.variants import STEPS, everything, name

pytestmark = pytest.mark.usefixtures("double_precision")

OTHERS = [s for s in everything("lstm_lab.unroll", Schedule) if not isinstance(s, Sequential)]
# One of each kind in `make test`; the other forms of it in `make contract`.
ONE_OF_EACH = [
    PLAIN,
    Sequential(unroll=2, remat=4),
    *{type(s): s for s in reversed(OTHERS)}.values(),
]
# What a failed iteration falls back to is seen where iterations fail: tests/unroll/test_newton.py.
SCHEDULES = [
    *ONE_OF_EACH,
    *(s for s in OTHERS if s not in ONE_OF_EACH and getattr(s, "fallback", "nan") == "nan"),
]


def asked(cell: Cell, schedule: Schedule, reverse: bool) -> bool:
    """Every variant answers to the plain loop, every cell to all schedules, the sample in both directions."""
    return sampled(cell) or (not reverse and (cell in FIRST or schedule == PLAIN))


@pytest.mark.parametrize(
    ("cell", "schedule", "reverse"),
    [
        pytest.param(
            cell,
            schedule,
            reverse,
            marks=heavy(not sampled(cell, reverse) or schedule not in ONE_OF_EACH),
            id=f"{name(cell)}-{name(schedule)}-{'reverse' if reverse else 'forward'}",
        )
        for cell, schedule, reverse in product(STEPS, SCHEDULES, (False, True))
        if asked(cell, schedule, reverse)
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


@every_cell
def test_schedules_agree_at_sizes_masks_and_resets_drawn_at_random(cell: Cell) -> None:
    rng = np.random.default_rng(crc32(cell.label.encode()))
    B, T, D, H = (int(n) for n in rng.integers((1, 5, 1, 2), (5, 12, 6, 7)))
    mask, reset = (jnp.asarray(rng.random((B, T)) < share) for share in (0.7, 0.2))
    reverse = bool(rng.integers(2))
    params = cell.init(jax.random.key(0), D, H)
    drawn = draw(jax.eval_shape(lambda: (params, cell.carry(params, B))), 0)
    params = jax.tree.map(lambda p, n: np.asarray(p) + n / 4, params, drawn[0])
    x, dy = draw((np.empty((B, T, D)), np.empty((B, T, H))), 1)
    others = [Associative() if isinstance(cell, LinearCell) else Newton(), Sequential(remat=3)]

    @partial(jax.jit, static_argnums=0)
    def read(schedule: Schedule, params: Any, carry: Any, x: Any) -> Any:
        def run(params: Any, carry: Any, x: Array) -> Any:
            how: Any = {"mask": mask, "reset": reset, "reverse": reverse, "schedule": schedule}
            return unroll(cell, params, x, carry=carry, **how)

        out, pull = jax.vjp(run, params, carry, x)
        return out, pull((jax.tree.map(jnp.ones_like, out[0]), dy))

    wanted = evaluated(read(PLAIN, params, drawn[1], x))
    for schedule in (Sequential(), *others):
        assert_close(evaluated(read(schedule, params, drawn[1], x)), wanted, 1e-8)


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
