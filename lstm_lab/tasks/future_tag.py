"""Future tag: label every step with the token that comes ``ahead`` steps later.

One sequence of T = length token ids, one label per step::

    x_t uniform, independent over classes
    y_t = x_(t + ahead)          counted where t + ahead < T; the last ``ahead`` steps are masked

The tokens are independent, so what has been read says nothing about what comes: a reader of the
past alone scores ln(classes) nats and 1/classes right at best, exactly chance, however large it is
and however long it trains. A network that also reads from the right can score 1. The task tells
the two apart and nothing else.

Source: ours, as the plainest case for Schuster & Paliwal, "Bidirectional Recurrent Neural
Networks", IEEE Transactions on Signal Processing 45(11), 1997. It is the delayed echo of the
reservoir literature with the sign of the delay turned round.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.errors import UsageError
from lstm_lab.tasks.base import Batch, Classification, certain, require_at_least


@dataclass(frozen=True)
class FutureTag(Classification):
    """Tag each step with a later token.

    Args:
        ahead: steps from a label to the token it names, at least 1.
        classes: tokens, at least 2.
        length: steps T, more than ``ahead``.

    >>> task = FutureTag(ahead=2, classes=4, length=6)
    >>> batch = task.tag(jnp.array([[3, 0, 2, 1, 1, 0]], jnp.int32))
    >>> batch.y
    Array([[2, 1, 1, 0, 0, 0]], dtype=int32)
    >>> batch.mask
    Array([[ True,  True,  True,  True, False, False]], dtype=bool)
    """

    ahead: int = 5
    classes: int = 4
    length: int = 30

    per_step: ClassVar[bool] = True
    tokens: ClassVar[bool] = True

    @property
    def d_in(self) -> int:
        """One id per class."""
        return self.classes

    @property
    def d_out(self) -> int:
        """One class per token."""
        return self.classes

    @property
    def label(self) -> str:
        """Name and distance."""
        return f"Future tag ahead {self.ahead}"

    def validate(self) -> None:
        """Refuse a label of the present, a single class, or a sequence without a counted step.

        Raises:
            UsageError: a size is too small.
        """
        require_at_least("FutureTag.ahead", self.ahead, 1)
        require_at_least("FutureTag.classes", self.classes, 2)
        require_at_least("FutureTag.length", self.length, 2)
        if self.length <= self.ahead:
            raise UsageError(
                f"FutureTag.length: got {self.length} with ahead {self.ahead}, wanted a length "
                f"above ahead: set length to {self.ahead + 1} or more"
            )

    def sample(self, data: Any, key: Array, step: Array | int, batch: int) -> Batch:
        """Draw x int32 [B,T], y int32 [B,T], mask bool [B,T]."""
        del data
        shape = (batch, self.length)
        key = jax.random.fold_in(key, step)
        return self.tag(jax.random.randint(key, shape, 0, self.classes, jnp.int32))

    def tag(self, x: Array) -> Batch:
        """Label tokens, int32 [B,T]; where the label is past the end it is 0 and masked."""
        y = jnp.pad(x[:, self.ahead :], ((0, 0), (0, self.ahead)))
        counted = jnp.arange(self.length) < self.length - self.ahead
        return Batch(x, y, jnp.broadcast_to(counted, x.shape))

    def oracle(self, batch: Batch) -> Array:
        """Look ``ahead`` steps to the right."""
        return certain(self.tag(batch.x).y, self.classes)
