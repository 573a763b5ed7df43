"""What a layer is: it reads in one direction and says a `Reading`; and the layer that is one cell run over time."""

from abc import abstractmethod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from lstm_lab.cells.base import Carry, Cell
from lstm_lab.unroll import Schedule, Sequential, unroll
from lstm_lab.unroll.run import steps_read


class Reading(NamedTuple):
    """What a layer says of a batch of sequences.

    Attributes:
        carry: the state after the last step read, leaves `[B, H]`; a tuple of them for several layers.
        y: an output per step, `[B, T, H]`.
        last: the output at each row's own last step read, `[B, H]`; zero for a row of length zero. For
            two directions it merges the forward one's at the end with the backward one's at the start.
    """

    carry: Carry
    y: Any
    last: Any


class OneWay(nnx.Module):
    """A layer that reads in one direction: `Recurrent`, and every module a block of `layers/` builds.

    Attributes:
        d_in: features of the input, D.
        d_out: features of the output.
        reverse: whether it reads from the last step to the first.
    """

    d_in: int
    d_out: int
    reverse: bool

    @abstractmethod
    def initial_carry(self, batch: int) -> Carry:
        """The carry before the first step, leaves `[batch, ...]`."""

    @abstractmethod
    def __call__(
        self,
        x: Array,
        *,
        carry: Carry | None = None,
        mask: Array | None = None,
        lengths: Array | None = None,
        reset: Array | None = None,
        key: Array | None = None,
    ) -> Reading:
        """Read a batch of sequences; the rules of `unroll` hold.

        Args:
            x: `[B, T, D]`.
            carry: the state to begin with; the layer's own where None.
            mask: bool `[B, T]`, False where a step is skipped.
            lengths: int `[B]`, steps of each right-padded row.
            reset: bool `[B, T]`, True at the first step of a new sequence in a row.
            key: PRNG key for layers that draw at random in training; None in evaluation.
        """


class Recurrent(OneWay):
    """One cell run over time.

    Args:
        cell: the step.
        d_in: features of the input, D.
        d_hidden: units, H.
        reverse: read from the last step to the first.
        schedule: how the loop is run.
        rngs: where `rngs.params()` draws the initial parameters.
    """

    def __init__(
        self,
        cell: Cell,
        d_in: int,
        d_hidden: int,
        *,
        reverse: bool = False,
        schedule: Schedule = Sequential(),
        rngs: nnx.Rngs,
    ) -> None:
        self.cell = cell
        self.d_in = d_in
        self.d_out = d_hidden
        self.reverse = reverse
        self.schedule = schedule
        params = cell.init(rngs.params(), d_in, d_hidden)
        self.params = nnx.data(jax.tree.map(nnx.Param, params))

    def initial_carry(self, batch: int) -> Carry:
        """The carry before the first step, leaves `[batch, H]`."""
        return self.cell.carry(self._arrays(), batch)

    def __call__(
        self,
        x: Array,
        *,
        carry: Carry | None = None,
        mask: Array | None = None,
        lengths: Array | None = None,
        reset: Array | None = None,
        key: Array | None = None,
    ) -> Reading:
        """Read a batch of sequences; see `OneWay`."""
        _, mask = steps_read(x, mask, lengths, reset)
        carry, y = unroll(
            self.cell,
            self._arrays(),
            x,
            carry=carry,
            mask=mask,
            reset=reset,
            reverse=self.reverse,
            schedule=self.schedule,
            key=key,
        )
        return Reading(carry, y, last_read(y, mask, self.reverse))

    def _arrays(self) -> Any:
        return jax.tree.map(
            lambda p: p[...], self.params, is_leaf=lambda leaf: isinstance(leaf, nnx.Param)
        )


def last_read(y: Array, mask: Array | None, reverse: bool) -> Array:
    """The output `[B, H]` at the last step read, which differs by row and by direction."""
    if mask is None:
        return y[:, 0] if reverse else y[:, -1]
    first = jnp.argmax(mask, axis=1)
    final = mask.shape[1] - 1 - jnp.argmax(mask[:, ::-1], axis=1)
    index = first if reverse else final
    return jnp.take_along_axis(y, index[:, None, None], axis=1)[:, 0]
