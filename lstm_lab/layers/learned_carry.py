"""A cell whose initial carry is learned.

    carry_0 = s,      s a parameter, one number per unit of every leaf, the same for all rows

M. L. Forcada and R. C. Carrasco, "Learning the initial state of a second-order recurrent neural network
during regular-language inference" (1995). s begins at the cell's own initial carry and is what every sequence
starts from: a row without a carry, and a row after a reset.

What is built is a cell again, with s among its parameters, and a linear one if the cell is linear: so every
schedule that runs the cell runs this.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from lstm_lab.cells.base import Carry, Cell, LinearCell, Params
from lstm_lab.cells.lstm import LSTM
from lstm_lab.errors import UsageError
from lstm_lab.layers.base import Block
from lstm_lab.modules import OneWay, Recurrent
from lstm_lab.unroll import Schedule


@dataclass(frozen=True)
class LearnedCarry(Block):
    """A cell that learns where to start.

    Attributes:
        cell: the step.

    Raises:
        UsageError: what is given is no cell.
    """

    cell: Cell = field(default_factory=LSTM)

    def __post_init__(self) -> None:
        if not isinstance(self.cell, Cell):
            raise UsageError(
                f"learned carry: {type(self.cell).__name__}: not a cell: put it around LearnedCarry"
            )

    def build(
        self, d_in: int, d_hidden: int, *, reverse: bool, schedule: Schedule, rngs: nnx.Rngs
    ) -> OneWay:
        cell = (
            _LinearStarted(self.cell) if isinstance(self.cell, LinearCell) else _Started(self.cell)
        )
        return Recurrent(cell, d_in, d_hidden, reverse=reverse, schedule=schedule, rngs=rngs)

    @property
    def label(self) -> str:
        return f"{self.cell.label} learned carry"


class _StartedParams(NamedTuple):
    """The cell's own parameters, and s: a carry without the axis of rows."""

    own: Params
    start: Carry


@dataclass(frozen=True)
class _Started(Cell):
    """A cell with its initial carry among its parameters; all else is the cell's."""

    cell: Cell

    def init(self, key: Array, d_in: int, d_hidden: int) -> _StartedParams:
        own = self.cell.init(key, d_in, d_hidden)
        start = self.cell.carry(self.cell.prepare(own), 1)
        return _StartedParams(own, jax.tree.map(lambda leaf: leaf[0], start))

    def prepare(self, params: _StartedParams, key: Array | None = None) -> _StartedParams:
        return params._replace(own=self.cell.prepare(params.own, key))

    def carry(self, params: _StartedParams, batch: int) -> Carry:
        return jax.tree.map(lambda s: jnp.broadcast_to(s, (batch, *s.shape)), params.start)

    def project(self, params: _StartedParams, x: Array) -> Array:
        return self.cell.project(params.own, x)

    def recur(self, params: _StartedParams, carry: Carry) -> Array:
        return self.cell.recur(params.own, carry)

    def gates(
        self, params: _StartedParams, carry: Carry, z: Array, r: Array
    ) -> tuple[Carry, Array]:
        return self.cell.gates(params.own, carry, z, r)


@dataclass(frozen=True)
class _LinearStarted(_Started, LinearCell):
    """The same for a cell that is linear in its carry."""

    cell: LinearCell

    def coefficients(self, params: _StartedParams, z: Array) -> tuple[Carry, Carry]:
        return self.cell.coefficients(params.own, z)

    def emit(self, params: _StartedParams, carry: Carry, z: Array) -> Array:
        return self.cell.emit(params.own, carry, z)

    def times(self, a: Carry, h: Carry) -> Carry:
        return self.cell.times(a, h)

    def one(self, a: Carry) -> Carry:
        return self.cell.one(a)
