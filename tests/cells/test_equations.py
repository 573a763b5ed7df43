"""Every variant of every cell computes its paper's equations, as tests/oracles.py writes them in NumPy."""

import jax
import pytest

from lstm_lab.cells.base import Cell
from tests import oracles
from tests.cells.contract import FIRST, heavy, problem, reading, sampled, start
from tests.trees import assert_close
from tests.variants import STEPS, name

pytestmark = pytest.mark.usefixtures("double_precision")


@pytest.mark.parametrize(
    ("cell", "reverse"),
    [
        pytest.param(
            cell,
            reverse,
            marks=heavy(cell not in FIRST or reverse),
            id=f"{name(cell)}-{'reverse' if reverse else 'forward'}",
        )
        for cell in STEPS
        for reverse in ([False, True] if sampled(cell) else [False])
    ],
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
