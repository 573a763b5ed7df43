r"""Intervals and tests over seeds, for the three to ten that an experiment can afford.

The interval is the distribution-free one for the median, made of order statistics
(Conover, Practical Nonparametric Statistics, 1999, section 3.2). With x_(1) <= ... <= x_(n), the
median lies in [x_(k), x_(n+1-k)] with probability

    C(n, k) = 1 - 2 sum_{i<k} binom(n, i) / 2^n

for every continuous distribution, and with at least that probability for one with ties. `summary`
takes the largest k that still reaches the confidence asked for. No interval drawn from the sample
reaches 95% with fewer than six seeds, so there it is [min, max], and `coverage` says what that is
worth:

    n          2    3    4      5      6      7      8      9      10
    k          1    1    1      1      1      1      1      2      2
    coverage   50%  75%  87.5%  93.8%  96.9%  98.4%  99.2%  96.1%  97.9%

Why not a bootstrap: the percentile bootstrap of the median gives the same [min, max] up to n = 5
while calling it 95%, covers 92 to 95% from six to ten (simulated, normal), and BCa is NaN when all
seeds tie, which is what a solved task looks like.

Seeds that tie give an interval of width zero. It says that these seeds agree, at the same coverage
for the median, and nothing about what the worst seed not drawn would do.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lstm_lab.errors import UsageError

# 2^12 sign patterns of 12 pairs are enumerated in milliseconds; beyond, they are sampled.
_EXACT_PAIRS = 12
_SAMPLED_PATTERNS = 9999


class Interval(NamedTuple):
    """A closed interval, in the unit of the values.

    Args:
        low: lower end.
        high: upper end.
    """

    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """What some seeds agree on.

    Args:
        median: median of the values present; NaN where there is none.
        interval: interval for the median; None with fewer than two values.
        coverage: probability (fraction 0-1) with which such an interval holds the median.
        n: number of values present.
        missing: number of seeds that gave no value; a table that hides it flatters the model.
    """

    median: float
    interval: Interval | None
    coverage: float
    n: int
    missing: int

    @property
    def low(self) -> float:
        """Lower end of the interval, NaN without one: comparisons with it are then false."""
        return self.interval.low if self.interval else math.nan

    @property
    def high(self) -> float:
        """Upper end of the interval, NaN without one: comparisons with it are then false."""
        return self.interval.high if self.interval else math.nan


def summary(values: Sequence[float | None], confidence: float = 0.95) -> Summary:
    """Median over seeds, with its distribution-free interval.

    Args:
        values: one figure per seed; None or NaN where the seed gave none. Infinities count, so
            `math.inf` is how to say that a seed never got there.
        confidence: coverage wanted, fraction 0-1; the interval is [min, max] where n is too small.

    Returns:
        Median, interval, the coverage it really has, and how many seeds it rests on.

    Raises:
        UsageError: `confidence` is not inside (0, 1).

    >>> summary([0.25, 0.5, 1.0, 1.0, 1.0])
    Summary(median=1.0, interval=Interval(low=0.25, high=1.0), coverage=0.9375, n=5, missing=0)
    """
    if not 0 < confidence < 1:
        raise UsageError(f"confidence: {confidence!r}: give a fraction between 0 and 1, as 0.95")
    present = np.sort(_present(values))
    n = len(present)
    missing = len(values) - n
    if n == 0:
        return Summary(math.nan, None, 0.0, 0, missing)
    middle = present[[(n - 1) // 2, n // 2]].tolist()
    # Halving the sum would make infinity minus infinity out of two equal infinities.
    median = middle[0] if middle[0] == middle[1] else sum(middle) / 2
    if n == 1:
        return Summary(median, None, 0.0, 1, missing)
    k = max((k for k in range(1, n // 2 + 1) if _coverage(n, k) >= confidence), default=1)
    interval = Interval(float(present[k - 1]), float(present[n - k]))
    return Summary(median, interval, _coverage(n, k), n, missing)


def _coverage(n: int, k: int) -> float:
    return 1.0 - 2.0 * sum(math.comb(n, i) for i in range(k)) / 2.0**n


def paired_permutation_test(a: Sequence[float | None], b: Sequence[float | None]) -> float:
    """Two-sided p-value that two models differ, paired by seed.

    Swaps the two models within every subset of the pairs and counts how often the mean difference
    is at least as large as the one seen. Exact up to 12 pairs, from 9,999 swaps with a fixed seed
    beyond. The smallest value that n pairs can give is 2 / 2^n: 0.0625 with five seeds.

    Args:
        a: one figure per seed of one model; None or NaN where the seed gave none.
        b: the same of the other, in the same order of seeds; a pair needs both.

    Returns:
        The p-value, fraction 0-1; 1 with fewer than two pairs.

    Raises:
        UsageError: `a` and `b` differ in length.

    >>> paired_permutation_test([0.9, 0.8, 0.95, 0.85, 0.99], [0.5, 0.6, 0.55, 0.4, 0.7])
    0.0625
    """
    if len(a) != len(b):
        raise UsageError(f"pairs: {len(a)} and {len(b)} values: give one of each per seed")
    pairs = [pair for pair in zip(a, b, strict=True) if len(_present(pair)) == 2]
    if len(pairs) < 2:
        return 1.0
    from scipy.stats import permutation_test

    result = permutation_test(
        tuple(np.array(pairs, float).T),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf if len(pairs) <= _EXACT_PAIRS else _SAMPLED_PATTERNS,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


def _present(values: Sequence[float | None]) -> np.ndarray:
    return np.array([v for v in values if v is not None and not math.isnan(v)], dtype=float)
