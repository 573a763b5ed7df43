"""A cell around a cell: how a regulariser brings noise into a step.

Noise is drawn when a call is given a key, which is in training alone. Without one the same equations run
with the noise's expectation. Where a mask has to be known inside the loop, `disturb` hangs it on the input
before the loop, `project` carries it over into z, and `gates` takes it off again:

    [x_t, m_t]  →  [z_t, m_t]  →  gates(carry_{t-1}, z_t, m_t, r_t)

So a schedule runs a regularised cell as it runs any other, its derivative included. Parameters and carry
are those of the cell inside: counts stay, and weights trained with noise can be read without.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Carry, Cell, Params
from lstm_lab.cells.lstm import LSTM
from lstm_lab.errors import UsageError


@dataclass(frozen=True)
class Around(Cell):
    """A cell around a cell, itself the same step until a subclass says what it changes.

    It is no `LinearCell`, even around one: its steps run one after the other.

    Attributes:
        cell: the step inside, which may again be a cell around a cell.
    """

    cell: Cell = field(default_factory=LSTM)

    @abstractmethod
    def check(self, params: Params, d_in: int) -> None:
        """Refuse a cell that this regulariser cannot serve.

        Args:
            params: parameters as the cell draws them.
            d_in: features of the input, D.

        Raises:
            UsageError: the message names the cell and the reason.
        """

    def width(self, carry: Carry) -> int:
        """How many numbers of noise a step needs."""
        del carry
        return 0

    @property
    def core(self) -> Cell:
        """The cell inside all that is around it."""
        return self.cell.core if isinstance(self.cell, Around) else self.cell

    def init(self, key: Array, d_in: int, d_hidden: int) -> Params:
        params = self.cell.init(key, d_in, d_hidden)
        self.check(params, d_in)
        return params

    def prepare(self, params: Params, key: Array | None = None) -> Params:
        return self.cell.prepare(params, key)

    def carry(self, params: Params, batch: int) -> Carry:
        return self.cell.carry(params, batch)

    def disturb(self, params: Params, x: Array, key: Array | None = None) -> Array:
        return self.cell.disturb(params, x, key)

    def project(self, params: Params, x: Array) -> Array:
        width = self.width(jax.eval_shape(lambda: self.carry(params, 1)))
        x, noise = cut(x, width)
        return jnp.concatenate([self.cell.project(params, x), noise], axis=-1)

    def recur(self, params: Params, carry: Carry) -> Array:
        return self.cell.recur(params, carry)

    def gates(self, params: Params, carry: Carry, z: Array, r: Array) -> tuple[Carry, Array]:
        return self.cell.gates(params, carry, z, r)


def units(carry: Carry) -> int:
    """The units H of a cell: the last axis of its carry's first leaf."""
    return jax.tree.leaves(carry)[0].shape[-1]


def cut(a: Array, width: int) -> tuple[Array, Array]:
    """Part an array from the noise that is its last `width` columns."""
    a, noise = jnp.split(a, [a.shape[-1] - width], axis=-1)
    return a, noise


def one_per_unit(mask: Array, leaf: Array) -> Array:
    """Repeat a mask `[..., H]` over a leaf `[..., kH]` that holds k numbers of each unit, block by block."""
    return jnp.tile(mask, leaf.shape[-1] // mask.shape[-1])


def read_leaves(function: Callable[..., Any], params: Params, *arguments: Any) -> list[bool]:
    """Which leaves of the parameters a function of them reads, in the order of `jax.tree.leaves`."""
    jaxpr = jax.make_jaxpr(function)(params, *arguments).jaxpr
    read = {id(variable) for equation in jaxpr.eqns for variable in equation.invars}
    return [id(v) in read for v in jaxpr.invars[: len(jax.tree.leaves(params))]]


def recurrent_matrices(cell: Cell, params: Params) -> list[bool]:
    """Which leaves of a cell's prepared parameters are matrices that `recur` multiplies the carry with."""
    carry = jax.eval_shape(lambda: cell.carry(params, 1))
    read = read_leaves(cell.recur, params, carry)
    return [r and leaf.ndim >= 2 for r, leaf in zip(read, jax.tree.leaves(params), strict=True)]


def check_rate(name: str, rate: float) -> None:
    """Refuse what is no rate.

    Raises:
        UsageError: it is not from 0 to below 1.
    """
    if not 0 <= rate < 1:
        raise UsageError(f"{name}: {rate}: give a fraction from 0 to below 1")


def dropped(key: Array, rate: float, a: Array, shape: tuple[int, ...] | None = None) -> Array:
    """Set a fraction of an array to zero and scale the rest, so that its expectation stays.

    Args:
        key: PRNG key.
        rate: the fraction.
        a: the array.
        shape: of the mask, which is broadcast; that of the array where None.
    """
    kept = jax.random.bernoulli(key, 1 - rate, a.shape if shape is None else shape)
    return jnp.where(kept, a / (1 - rate), jnp.zeros_like(a))
