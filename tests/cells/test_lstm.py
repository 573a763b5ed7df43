"""How an LSTM's memory is set before anything is learned, and its size."""

import jax
import numpy as np
import pytest

from lstm_lab.cells.initial import Chrono, ForgetBias
from lstm_lab.cells.lstm import LSTM
from lstm_lab.errors import UsageError

D, H = 5, 512


def biases(cell: LSTM, seed: int = 0) -> list[np.ndarray]:
    return np.split(np.asarray(cell.init(jax.random.key(seed), 1, H).b), 4)


@pytest.mark.parametrize("value", [0.0, 1.0, 2.5])
def test_only_the_forget_gate_starts_with_a_bias(value: float) -> None:
    i, f, g, o = biases(LSTM(ForgetBias(value)))
    assert (f == value).all()
    assert not np.any([i, g, o])


def test_chrono_spreads_the_units_time_scales_evenly_up_to_the_longest_dependency() -> None:
    longest = 100
    i, f, g, o = biases(LSTM(Chrono(longest)))
    np.testing.assert_array_equal(i, -f)
    assert not np.any([g, o])
    times = np.exp(f)
    assert times.min() >= 1
    assert times.max() <= longest - 1
    # Uniform on [1, T - 1]: the mean within four standard errors.
    error = (longest - 2) / np.sqrt(12 * H)
    assert times.mean() == pytest.approx(longest / 2, abs=4 * error)


@pytest.mark.parametrize("longest", [-1, 0, 2])
def test_a_dependency_shorter_than_three_steps_is_no_time_scale(longest: int) -> None:
    with pytest.raises(UsageError, match=f"chrono: {longest}: give the longest"):
        Chrono(longest)


def test_it_has_four_gates_of_one_matrix_per_source_and_one_bias() -> None:
    shapes = jax.tree.map(np.shape, LSTM().init(jax.random.key(0), 5, 6))
    assert shapes == ((5, 24), (6, 24), (24,))
    assert sum(map(np.prod, shapes)) == 4 * 6 * (5 + 6 + 1)
