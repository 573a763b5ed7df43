"""Parity: say at every step whether the number of ones so far is odd.

One sequence of T = length bits, one label per step::

    x_t in {0, 1}, uniform and independent
    y_t = (x_0 + ... + x_t) mod 2  =  y_(t-1) xor x_t

Two states suffice: a 0 keeps the state, a 1 swaps it. The swap is what tells cells apart. A carry that
moves as h -> a h + b with a of one sign and independent of x, or positive and unit by unit, has no
swap, however large it is: each unit's maps are increasing, and no sequence of increasing maps takes two
values each to the other. Such a cell can fit short sequences by other means and fails on longer ones,
so the length it is examined at matters: it is the same task with another ``length``.

Paper: parity is the textbook task of a two-state automaton; S. Hochreiter and J. Schmidhuber, "Long
Short-Term Memory" (1997), section 5.1, discuss its latch form with a label at the end only. That linear
recurrences without negative eigenvalues cannot track it: R. Grazzi et al., "Unlocking state-tracking in
linear RNNs through negative eigenvalues" (2024), theorem 1. With a label at every step here, so that
each step is a problem of one swap once the step before it is solved.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.tasks.base import Batch, Classification, certain, require_at_least


@dataclass(frozen=True)
class Parity(Classification):
    """Track whether an odd number of ones has been read.

    Args:
        length: steps T, at least 1.

    >>> task = Parity(length=5)
    >>> task.tag(jnp.array([[1, 0, 1, 1, 0]], jnp.int32)).y
    Array([[1, 1, 0, 1, 1]], dtype=int32)
    """

    length: int = 20

    per_step: ClassVar[bool] = True
    tokens: ClassVar[bool] = True

    @property
    def d_in(self) -> int:
        """A 0 and a 1."""
        return 2

    @property
    def d_out(self) -> int:
        """Even and odd."""
        return 2

    @property
    def label(self) -> str:
        """Name and length."""
        return f"Parity length {self.length}"

    def validate(self) -> None:
        """Refuse a sequence without a step.

        Raises:
            UsageError: the length is too small.
        """
        require_at_least("Parity.length", self.length, 1)

    def sample(self, data: Any, key: Array, step: Array | int, batch: int) -> Batch:
        """Draw x int32 [B,T], y int32 [B,T], mask all true [B,T]."""
        del data
        bits = jax.random.bernoulli(jax.random.fold_in(key, step), 0.5, (batch, self.length))
        return self.tag(bits.astype(jnp.int32))

    def tag(self, x: Array) -> Batch:
        """Label bits, int32 [B,T]."""
        return Batch(x, jnp.cumsum(x, axis=1) % 2, jnp.ones(x.shape, bool))

    def oracle(self, batch: Batch) -> Array:
        """Count."""
        return certain(self.tag(batch.x).y, 2)
