"""What the controls have in common: an output is a function of a window, the last steps read.

Attention and convolution know no step by step. They read a row at once, and these are the rules of
`unroll` in their terms:

- The steps that count are moved to the front in reading order, so a masked step is not there at all.
- Every step has the number of its sequence, and one sees another only if the numbers are equal: nothing
  crosses a reset. A place that holds no step has the number -1.
- The carry is the inputs of the last W steps read. They are put before the row and count as the sequence
  that goes on, so reading in two parts is reading at once.
"""

from abc import abstractmethod
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from lstm_lab.cells.base import Carry
from lstm_lab.modules import OneWay, Reading, last_read
from lstm_lab.unroll.run import carry_given, restarts, steps_read

NO_STEP = -1


class WindowCarry(NamedTuple):
    """The last inputs of a sequence, `x [B, W, D]`, and `held [B, W]`, 1 where a place holds one and 0 elsewhere.

    The latest stands last. `held` has the parameters' dtype, as all leaves of a carry have.
    """

    x: Array
    held: Array


class Windowed(OneWay):
    """A layer whose output is a function of the last steps read.

    Args:
        d_in: features of the input, D.
        d_out: features of the output.
        width: how many steps back an output reaches, W.
        reverse: read from the last step to the first.
    """

    def __init__(self, d_in: int, d_out: int, *, width: int, reverse: bool) -> None:
        self.d_in = d_in
        self.d_out = d_out
        self.width = width
        self.reverse = reverse

    @abstractmethod
    def outputs(self, x: Array, sequence: Array) -> Array:
        """The outputs `[B, T, d_out]` of all places but the first W.

        Args:
            x: inputs in reading order, `[B, W + T, D]`.
            sequence: int32 `[B, W + T]`; a place may depend only on places before it with its own number.
        """

    def initial_carry(self, batch: int) -> WindowCarry:
        """An empty window."""
        dtype = jax.tree.leaves(nnx.state(self, nnx.Param))[0].dtype
        shape = (batch, self.width)
        return WindowCarry(jnp.zeros((*shape, self.d_in), dtype), jnp.zeros(shape, dtype))

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
        """Read a batch of sequences; arguments and shapes as in `OneWay`."""
        del key
        x, mask = steps_read(x, mask, lengths, reset)
        B, T, _ = x.shape
        before = carry_given(carry, self.initial_carry(B))
        read = jnp.ones((B, T), bool) if mask is None else mask
        restart = jnp.zeros((B, T), bool) if reset is None else restarts(reset, self.reverse)
        if self.reverse:
            x, read, restart = (jnp.flip(a, axis=1) for a in (x, read, restart))
        # Counted before steps are left out: a masked step can begin a sequence too.
        number = jnp.cumsum(restart, axis=1, dtype=jnp.int32)
        sequence = jnp.where(read, number, NO_STEP)
        if mask is not None:
            order = jnp.argsort(~read, axis=1, stable=True)
            x, sequence = _take(x, order), _take(sequence, order)
        x = jnp.concatenate([before.x, x], axis=1)
        sequence = jnp.concatenate([jnp.where(before.held > 0, 0, NO_STEP), sequence], axis=1)

        y = self.outputs(x, sequence)
        if mask is not None:
            y = _take(y, jnp.argsort(order, axis=1))
            y = jnp.where(read[..., None], y, jnp.zeros_like(y))
        y = jnp.flip(y, axis=1) if self.reverse else y

        steps = jnp.sum(read, axis=1, dtype=jnp.int32)
        latest = steps[:, None] + jnp.arange(self.width, dtype=jnp.int32)
        held, inputs = _take(sequence, latest) == number[:, -1:], _take(x, latest)
        after = WindowCarry(
            jnp.where(held[..., None], inputs, jnp.zeros_like(inputs)),
            held.astype(before.held.dtype),
        )
        return Reading(after, y, last_read(y, mask, self.reverse))


def _take(a: Array, places: Array) -> Array:
    """Pick by row: `[B, N, ...]` at `[B, M]` is `[B, M, ...]`."""
    return jnp.take_along_axis(a, places.reshape(places.shape + (1,) * (a.ndim - 2)), axis=1)
