"""Fibonacci: predict the next term of a sequence in which each is the sum of the two before.

One sequence has T + 1 terms, T = length, from two random positive starts::

    a_0, a_1 ~ U[low, high], independent        a_n = a_(n-1) + a_(n-2)
    x_t = a_t / c       t = 0 .. T-1            c = high F(T+1), the largest that a_T can be
    y_t = a_(t+1) / c                           counted from t = 1 on

with the Fibonacci numbers F(1) = F(2) = 1, so that a_n = F(n-1) a_0 + F(n) a_1 and every value
lies in (0, 1]. Step 0 is masked: a_1 is independent of a_0 and nothing can predict it.

Terms grow 1.6-fold per step. So that the first count as much as the last, the squared error is
taken relative to the mean of the label at that step, which is known beforehand and tells nothing
of the sequence at hand::

    loss = mean_(t >= 1) ((output_t - y_t) / m_t)^2         m_t = F(t+2) (low + high) / 2c
    relative_error = mean_(t >= 1) |output_t - y_t| / y_t

Why step 1 must count. Take a linear network from zero state, output_t = sum_k w_k x_(t-k). At
t = 1 the terms a_1 and a_0 are independent, so w_0 = w_1 = 1 and nothing else fits; each later
step t brings one new weight, and w_t x_0 must vanish: w_t = 0. The rule is found exactly. Later
steps alone do not fix it: as x_t = x_(t-1) + x_(t-2),

    w_0 x_t + w_1 x_(t-1) + w_2 x_(t-2) = (w_0 + w_1) x_(t-1) + (w_0 + w_2) x_(t-2)

equals y_t = 2 x_(t-1) + x_(t-2) whenever w_0 + w_1 = 2 and w_0 + w_2 = 1, a line of solutions.

Chance is the best constant per step. For the loss that is the mean of the label, so chance is its
variance over m_t^2, in closed form; for the relative error it is the median of the label under the
weight 1 / y, found here on a grid over the two starts.

Source: ours; the rule is Liber abaci's (1202). Differences: random positive starts rather than
1, 1, since a single sequence can be learnt by heart.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_lab.errors import UsageError
from lstm_lab.tasks.base import (
    Batch,
    Regression,
    at_least_float32,
    counted_mean,
    require_at_least,
)

# F(36) < 2^24 < F(37): with more steps a float32 that holds the last term cannot hold the first.
LONGEST = 35

# Midpoints per start; 100 and 200 agree on the chance error to four digits.
GRID = 128


@dataclass(frozen=True)
class Fibonacci(Regression):
    """Continue sequences whose every term is the sum of the two before.

    Args:
        length: steps T, 3 to 35; 3 so that a step is counted at which the weights compete.
        low: least start, above 0.
        high: greatest start, above ``low``.

    >>> task = Fibonacci(length=8)
    >>> task.terms(jnp.array([1.0, 1.0]), 8)
    Array([ 1.,  1.,  2.,  3.,  5.,  8., 13., 21.], dtype=float32)
    >>> batch = task.sample((), jax.random.key(0), step=0, batch=2)
    >>> batch.x.shape, batch.y.shape, batch.mask[0, :3].tolist()
    ((2, 8, 1), (2, 8, 1), [False, True, True])
    >>> bool(jnp.allclose(batch.x[:, 1:] + batch.x[:, :-1], batch.y[:, 1:]))
    True
    """

    length: int = 10
    low: float = 0.1
    high: float = 1.0

    per_step: ClassVar[bool] = True
    metric: ClassVar[str] = "relative_error"

    @property
    def d_in(self) -> int:
        """One term."""
        return 1

    @property
    def d_out(self) -> int:
        """The next term."""
        return 1

    @property
    def label(self) -> str:
        """Name and length."""
        return f"Fibonacci length {self.length}"

    @property
    def chance(self) -> dict[str, float]:
        """What the best constant per step scores, for each metric."""
        return _chance(self.length, self.low, self.high)

    @property
    def solved(self) -> dict[str, float]:
        """One part in a hundred off, on average."""
        return {"relative_error": 0.01}

    def validate(self) -> None:
        """Refuse a length outside 3 .. 35 or starts that are not 0 < low < high.

        Raises:
            UsageError: a field is out of range.
        """
        require_at_least("Fibonacci.length", self.length, 3)
        if self.length > LONGEST:
            raise UsageError(
                f"Fibonacci.length: got {self.length}, wanted at most {LONGEST}, beyond which "
                f"float32 cannot hold the first and last term together: set length to {LONGEST} "
                "or less"
            )
        if not 0 < self.low < self.high < math.inf:
            raise UsageError(
                f"Fibonacci.low, Fibonacci.high: got {self.low!r}, {self.high!r}, wanted "
                "0 < low < high: set both, for instance low 0.1, high 1.0"
            )

    def sample(self, data: Any, key: Array, step: Array | int, batch: int) -> Batch:
        """Draw x float [B,T,1], y float [B,T,1], mask bool [B,T], false at step 0."""
        del data
        key = jax.random.fold_in(key, step)
        largest = float(fibonacci(self.length + 3)[-1]) * self.high
        starts = jax.random.uniform(key, (batch, 2), minval=self.low, maxval=self.high) / largest
        terms = self.terms(starts, self.length + 1)[..., None]
        counted = jnp.broadcast_to(jnp.arange(self.length) > 0, (batch, self.length))
        return Batch(terms[:, :-1], terms[:, 1:], counted)

    def terms(self, starts: Array, count: int) -> Array:
        """Return the true sequences from given starts, of any length.

        Args:
            starts: the first two terms, float [...,2], in any unit: ``batch.x[:, :2, 0]`` gives
                the terms in the unit of the inputs.
            count: terms to return, at least 1.

        Returns:
            float [...,count], the starts included, in the unit of the starts.
        """
        numbers = fibonacci(count + 1)
        of_first = jnp.asarray(numbers[:-1], starts.dtype)
        of_second = jnp.asarray(numbers[1:], starts.dtype)
        # Two products, not a matrix product, which accelerators round to fewer bits.
        return starts[..., :1] * of_first + starts[..., 1:] * of_second

    def loss(self, outputs: Array, batch: Batch) -> Array:
        """Return the squared error relative to each step's mean label, over counted steps, [B]."""
        numbers = fibonacci(self.length + 3)
        means = numbers[3:] / numbers[-1] * (self.low + self.high) / (2 * self.high)
        errors = (at_least_float32(outputs) - batch.y)[..., 0] / jnp.asarray(means, batch.y.dtype)
        return counted_mean(jnp.square(errors), batch.mask)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """Return "loss" and "relative_error" (fraction of the label) over counted steps, [B]."""
        errors = jnp.abs(at_least_float32(outputs) - batch.y) / batch.y
        return {
            "loss": self.loss(outputs, batch),
            "relative_error": counted_mean(errors[..., 0], batch.mask),
        }

    def oracle(self, batch: Batch) -> Array:
        """Add the last two terms; at step 0, where there is one, the term itself."""
        return batch.x + jnp.pad(batch.x[:, :-1], ((0, 0), (1, 0), (0, 0)))


def fibonacci(count: int) -> np.ndarray:
    """Return the numbers F(-1) = 1, F(0) = 0, F(1) = 1, ..., float64 [count]; ``count`` >= 2.

    >>> fibonacci(8)
    array([1., 0., 1., 1., 2., 3., 5., 8.])
    """
    numbers = [1.0, 0.0]
    while len(numbers) < count:
        numbers.append(numbers[-2] + numbers[-1])
    return np.array(numbers)


@lru_cache
def _chance(length: int, low: float, high: float) -> dict[str, float]:
    """Return the scores of the best constant per step, averaged over the counted steps."""
    numbers = fibonacci(length + 3)
    starts = low + (high - low) * (np.arange(GRID) + 0.5) / GRID
    losses, relative_errors = [], []
    for of_first, of_second, of_mean in zip(numbers[2:-2], numbers[3:-1], numbers[4:], strict=True):
        spread = (of_first**2 + of_second**2) / of_mean**2
        losses.append(spread * ((high - low) ** 2 / 12) / ((low + high) / 2) ** 2)
        terms = np.sort((of_first * starts[:, None] + of_second * starts).ravel())
        weights = np.cumsum(1 / terms)
        median = terms[np.searchsorted(weights, weights[-1] / 2)]
        relative_errors.append(np.abs(median / terms - 1).mean())
    return {"loss": float(np.mean(losses)), "relative_error": float(np.mean(relative_errors))}
