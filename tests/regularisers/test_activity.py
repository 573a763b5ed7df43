"""The price of activity, against the same in NumPy, one pair of steps at a time."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from lstm_lab.errors import UsageError
from lstm_lab.regularisers.activity import Activity

Y = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)
LENGTHS = np.array([5, 0, 3], np.int32)
RESET = np.zeros((3, 5), bool)
RESET[0, 0] = RESET[0, 3] = RESET[2, 1] = True


def as_array(a: np.ndarray | None) -> Array | None:
    return None if a is None else jnp.asarray(a)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full rows", "lengths"])
@pytest.mark.parametrize("reset", [None, RESET], ids=["one sequence a row", "resets"])
def test_it_is_the_mean_of_squares_and_of_squared_changes(
    lengths: np.ndarray | None, reset: np.ndarray | None
) -> None:
    squares, changes = [], []
    for b in range(3):
        for t in range(5 if lengths is None else lengths[b]):
            squares.append(Y[b, t] ** 2)
            if t and not (reset is not None and reset[b, t]):
                changes.append((Y[b, t] - Y[b, t - 1]) ** 2)
    # What stands in the padding is nobody's business.
    y = Y if lengths is None else np.where((np.arange(5) < lengths[:, None])[..., None], Y, np.inf)
    given = jnp.asarray(y), as_array(lengths), as_array(reset)
    got = [Activity(*prices)(*given) for prices in ((2.0, 0.0), (0.0, 3.0), (2.0, 3.0))]
    ar, tar = 2 * np.mean(squares), 3 * np.mean(changes)
    np.testing.assert_allclose(got, [ar, tar, ar + tar], rtol=1e-6)


def test_prices_can_be_given_and_none_can_be_added() -> None:
    given = jnp.asarray(Y), None, None
    both, first = (penalty(*given, (2.0, 3.0)) for penalty in (Activity(9, 9), Activity(9)))
    np.testing.assert_allclose([both, first], [Activity(2, 3)(*given), Activity(2)(*given)])


def test_where_nothing_counts_it_is_zero() -> None:
    assert Activity(1.0, 1.0)(jnp.asarray(Y), jnp.zeros(3, jnp.int32), None) == 0


def test_without_a_price_even_an_overflow_costs_nothing() -> None:
    assert Activity()(jnp.full((1, 2, 3), jnp.inf), None, None) == 0


@pytest.mark.parametrize("prices", [(-1.0, 0.0), (0.0, float("inf")), (float("nan"), 0.0)])
def test_what_is_no_price_is_refused(prices: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match=r"penalty\.(activation|temporal): .*: give 0 or more"):
        Activity(*prices)
