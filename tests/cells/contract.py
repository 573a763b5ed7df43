"""What the suites here share: a random problem for any cell, and one compiled reading of it.

A reading gives outputs, final carry and all gradients, with lengths and resets. It is compiled once per
cell, direction and schedule, and serves every test that asks for it.

Who is asked what: `make test` holds a sample of cells to every promise, and every cell to the equations
of its paper. `make contract` holds every cell to every promise, and every variant of a cell to the
equations and to the derivative of the plain loop. What reading backwards adds is the schedules' doing and
not the cells', so the sample alone is read both ways.
"""

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from jax import Array

from lstm_lab.cells.base import Cell
from lstm_lab.unroll import Schedule, Sequential, unroll
from tests.trees import draw
from tests.variants import STEPS, first_of_each, name

B, T, D, H = 3, 6, 2, 3
PLAIN = Sequential(adjoint=False)

# Gated, linear, and with a matrix for a state.
SAMPLE = ("LSTM", "MinGRU", "LinearAttention")
FIRST = first_of_each(STEPS)


def sampled(cell: Cell, reverse: bool = False) -> bool:
    """Whether `make test` holds the cell to every promise; in reverse it reads only the sample's first."""
    return cell in FIRST and type(cell).__name__ in SAMPLE[: 1 if reverse else None]


def heavy(when: bool) -> Any:
    """The mark that leaves a case to `make contract`."""
    return pytest.mark.variant if when else ()


every_cell = pytest.mark.parametrize(
    "cell", [pytest.param(cell, marks=heavy(not sampled(cell)), id=name(cell)) for cell in FIRST]
)
every_cell_read = pytest.mark.parametrize(
    ("cell", "reverse"),
    [
        pytest.param(
            cell,
            reverse,
            marks=heavy(not sampled(cell, reverse)),
            id=f"{name(cell)}-{'reverse' if reverse else 'forward'}",
        )
        for cell in FIRST
        for reverse in ([False, True] if sampled(cell) else [False])
    ],
)


class Problem(NamedTuple):
    """Arguments of a reading: values to read, and a cotangent for everything it returns."""

    params: Any
    carry: Any
    x: np.ndarray
    lengths: np.ndarray
    reset: np.ndarray
    cotangents: tuple[Any, np.ndarray]


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
