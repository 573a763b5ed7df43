"""A second way around a layer: what `Residual` and `Skip` have in common.

The input goes to the layer and past it, and the two meet at every step. The carry is the inner layer's: a
shortcut remembers nothing. At a masked step neither way says anything.
"""

from abc import abstractmethod

from jax import Array

from lstm_lab.cells.base import Carry
from lstm_lab.modules import OneWay, Reading, last_read
from lstm_lab.unroll.run import steps_read


class Shortcut(OneWay):
    """A layer and a way around it; subclasses say how the two meet.

    Args:
        inner: the layer.
        d_out: features of the output, where the two ways have met.
    """

    def __init__(self, inner: OneWay, d_out: int) -> None:
        self.inner = inner
        self.d_in = inner.d_in
        self.d_out = d_out
        self.reverse = inner.reverse

    @abstractmethod
    def join(self, x: Array, y: Array) -> Array:
        """Put the input `[B, T, D]` and the inner layer's output `[B, T, H]` together; zeros give zero."""

    def initial_carry(self, batch: int) -> Carry:
        """The inner layer's carry before the first step."""
        return self.inner.initial_carry(batch)

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
        x, mask = steps_read(x, mask, lengths, reset)
        inner = self.inner(x, carry=carry, mask=mask, reset=reset, key=key)
        y = self.join(x, inner.y)
        return Reading(inner.carry, y, last_read(y, mask, self.reverse))
