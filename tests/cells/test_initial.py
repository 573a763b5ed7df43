"""How parameters are drawn: every draw is what its name says, gate by gate."""

import jax
import numpy as np
import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.initial import Chrono, Identity, Normal, Orthogonal, Uniform, Weights
from lstm_lab.cells.lstm import LSTM
from lstm_lab.errors import UsageError

H, GATES = 16, 3


def blocks(weights: Weights, rows: int = H, d_hidden: int = H) -> list[np.ndarray]:
    drawn = np.asarray(weights.draw(jax.random.key(0), rows, d_hidden, GATES))
    assert drawn.dtype == np.float32
    assert drawn.shape == (rows, GATES * d_hidden)
    return np.split(drawn, GATES, axis=1)


@pytest.mark.parametrize("weights", [Uniform(), Normal(), Orthogonal()], ids=lambda w: w.label)
def test_no_two_gates_are_drawn_alike(weights: Weights) -> None:
    first, second, third = blocks(weights)
    assert (first != second).any()
    assert (second != third).any()


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_every_gates_orthogonal_matrix_scales_all_norms_by_the_gain(gain: float) -> None:
    for block in blocks(Orthogonal(gain)):
        np.testing.assert_allclose(block.T @ block, gain**2 * np.eye(H), atol=1e-5)


def test_every_gates_identity_is_the_scaled_identity() -> None:
    for block in blocks(Identity(0.01)):
        np.testing.assert_array_equal(block, np.float32(0.01) * np.eye(H, dtype=np.float32))


def test_the_standard_deviation_of_a_normal_draw_is_the_one_asked_for() -> None:
    drawn = np.concatenate(blocks(Normal(0.3), 100, 100))
    assert drawn.std() == pytest.approx(0.3, rel=4 / np.sqrt(2 * drawn.size))


def test_uniform_draws_are_torchs_whatever_is_read() -> None:
    drawn = np.concatenate(blocks(Uniform(), 200))
    assert 0.99 * H**-0.5 < np.abs(drawn).max() <= H**-0.5


@pytest.mark.parametrize("std", [0.0, -1.0])
def test_a_standard_deviation_is_above_zero(std: float) -> None:
    with pytest.raises(UsageError, match=r"std: .*: give a standard deviation above 0"):
        Normal(std)


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        (Elman(), "Elman"),
        (Elman(recurrent=Orthogonal()), "Elman orthogonal"),
        (Elman("relu", Identity(), Normal(0.001)), "IRNN"),
        (Elman("relu", Identity(0.01)), "Elman relu identity 0.01"),
        (LSTM(Chrono(50), input=Normal()), "LSTM chrono 50 input normal 0.1"),
        (GRU("before", Orthogonal(2.0)), "GRU reset before orthogonal 2"),
    ],
    ids=str,
)
def test_a_label_says_what_is_not_drawn_as_in_torch(cell: Elman | LSTM | GRU, label: str) -> None:
    assert cell.label == label
