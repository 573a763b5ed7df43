"""The decoding probe on states whose content is known: shift registers, noise and decay."""

import math

import numpy as np
import pytest

from lstm_lab.model import Model
from lstm_lab.probe.decoding import Decoding, decode, horizon
from lstm_lab.probe.ridge import PENALTIES, predict
from lstm_lab.tasks.parity import Parity
from lstm_lab.tasks.recall import Recall
from tests.probe.known import network, weights
from tests.probe.noise import Noise

PROBE = Decoding()
RNG = np.random.default_rng(0)


def shift_register(width: int, depth: int) -> dict[str, np.ndarray]:
    """A linear cell's weights: the last inputs side by side."""
    H = width * depth
    return {"W": np.eye(width, H), "U": np.eye(H, k=width)}


def test_a_shift_register_knows_classes_up_to_its_depth_and_nothing_beyond() -> None:
    symbols, depth = 4, 6
    task = Recall(lag=30, symbols=symbols)
    built = network(task, task.d_in * depth)
    params = weights(built, [shift_register(task.d_in, depth), {"b": 1.0}])
    result = PROBE.measure(built, params, ())
    lag, (score, nothing) = np.array(result["lag"]), np.array(result["score"])
    error = 4 * math.sqrt((1 - 1 / symbols) / symbols / (PROBE.examples / 2))
    assert result["measure"] == "accuracy"
    assert lag[-1] == task.lag
    assert (score[lag < depth] == 1).all()
    assert (np.abs(score[lag >= depth] - 1 / symbols) < error).all()
    assert (np.abs(nothing - 1 / symbols) < error).all()
    assert 1 / symbols <= result["chance"] < 1 / symbols + error
    assert result["horizon"] == [lag[lag < depth][-1], 0]
    assert result["censored"] == [False, False]


def test_a_shift_register_knows_values_from_where_each_row_was_shown_one() -> None:
    depth, task = 4, Noise(width=2, ragged=True)
    built = network(task, 2 * depth)
    # The second seed's unit of interest varies a millionth of what the others do, and forgets at once.
    apart = {"W": np.diag([1e-3, 1e3]) @ np.eye(2, 8), "U": np.diag([0.0, 0.5, *[0] * 6])}
    result = PROBE.measure(built, weights(built, [shift_register(2, depth), apart]), ())
    lag, (score, small) = np.array(result["lag"]), np.array(result["score"])
    assert (result["measure"], result["chance"]) == ("r2", 0)
    np.testing.assert_allclose(score[lag < depth], 1, atol=1e-4)
    np.testing.assert_allclose(small[0], 1, atol=1e-4)
    assert (score[lag >= depth] < 0.1).all()
    assert (small[1:] < 0.1).all()
    # Shown at steps 0 to 2 and of 6 to 11 steps, half the rows reach lag 7 and no more; 7 is not among the lags.
    assert lag[-1] == 6


def test_noise_decodes_to_chance_and_explains_nothing() -> None:
    states = RNG.normal(size=(2000, 8))
    error = 4 * math.sqrt(0.25 / 1000)
    assert abs(decode(states, RNG.integers(0, 2, 2000)) - 0.5) < error
    assert abs(decode(states, RNG.normal(size=2000))) < 0.05
    assert math.isnan(decode(np.full((8, 2), np.inf), np.zeros(8)))


@pytest.mark.parametrize(("noise", "chosen"), [(0.0, 0), (0.3, 2), (30.0, 3)])
def test_the_penalty_is_that_of_the_best_fits_without_each_example(
    noise: float, chosen: int
) -> None:
    N, H, rng = 24, 10, np.random.default_rng(1)
    X, asked = rng.normal(size=(N, H)), rng.normal(size=(5, H))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    Y = X @ rng.normal(size=(H, 2)) + noise * rng.normal(size=(N, 2)) + 5

    def fit(rows: np.ndarray, penalty: float) -> np.ndarray:
        """With an intercept that is free: a column of ones of no penalty."""
        design = np.c_[X, np.ones(N)][rows]
        cost = np.diag([N * penalty] * H + [0.0])
        return np.linalg.solve(design.T @ design + cost, design.T @ Y[rows])

    def left_out(penalty: float) -> float:
        wrong = [Y[n] - [*X[n], 1] @ fit(np.arange(N) != n, penalty) for n in range(N)]
        return float(np.mean(np.square(wrong)))

    assert min(PENALTIES, key=left_out) == PENALTIES[chosen]
    wanted = np.c_[asked, np.ones(5)] @ fit(np.ones(N, bool), PENALTIES[chosen])
    np.testing.assert_allclose(predict(3 * X - 1, Y, 3 * asked - 1), wanted, rtol=1e-9)


def test_a_horizon_ends_where_the_score_first_falls() -> None:
    lag = np.array([0, 1, 4, 9])
    assert horizon(lag, np.array([1.0, 0.9, 0.4, 1.0]), 0.5) == (1, False)
    assert horizon(lag, np.array([0.7, 0.9, 0.9, 1.0]), 0.5) == (0, False)
    assert horizon(lag, np.array([1.0, 0.8, 0.8, 0.75]), 0.5) == (9, True)
    assert horizon(lag, np.array([1.0, np.nan, 1.0, 1.0]), 0.5) == (0, False)


def test_it_applies_where_a_task_names_something_to_remember() -> None:
    assert PROBE.applies(Model(), Recall())
    assert not PROBE.applies(Model(), Parity())
