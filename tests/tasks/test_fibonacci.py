"""Fibonacci: the recurrence by a loop, the scale, and why step 1 must count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.errors import UsageError
from lstm_lab.tasks.base import Batch
from lstm_lab.tasks.fibonacci import Fibonacci

# F(1) .. F(12), written out.
NUMBERS = [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144]


def draw(task: Fibonacci, batch: int = 64) -> Batch:
    return task.sample((), jax.random.key(1), 0, batch)


def test_each_term_is_the_sum_of_the_two_before() -> None:
    task = Fibonacci(length=10)
    batch = draw(task)
    for x, y in zip(np.asarray(batch.x)[..., 0], np.asarray(batch.y)[..., 0], strict=True):
        terms = [float(x[0]), float(x[1])]
        for _ in range(9):
            terms.append(terms[-1] + terms[-2])
        np.testing.assert_allclose(x, terms[:10], rtol=1e-6)
        np.testing.assert_allclose(y, terms[1:], rtol=1e-6)
    assert not batch.mask[:, 0].any()
    assert batch.mask[:, 1:].all()


def test_starts_are_independent_and_uniform() -> None:
    task = Fibonacci(length=5, low=0.2, high=0.6)
    starts = np.asarray(draw(task, 8000).x)[:, :2, 0] * 0.6 * NUMBERS[5]
    assert starts.min() == pytest.approx(0.2, abs=1e-3)
    assert starts.max() == pytest.approx(0.6, abs=1e-3)
    np.testing.assert_allclose(starts.mean(axis=0), 0.4, atol=0.01)
    assert abs(np.corrcoef(starts.T).ravel()[1]) < 0.05


@pytest.mark.parametrize("length", [3, 10, 35])
def test_the_largest_possible_term_is_one(length: int) -> None:
    task = Fibonacci(length=length)
    y = np.asarray(draw(task, 4000).y)
    assert y.min() > 0
    assert 0.95 < y.max() <= 1 + 1e-6


def test_terms_continue_the_inputs_beyond_the_trained_length() -> None:
    task = Fibonacci(length=10)
    batch = draw(task)
    terms = task.terms(batch.x[:, :2, 0], 20)
    np.testing.assert_allclose(terms[:, :10], batch.x[..., 0], rtol=1e-6)
    np.testing.assert_allclose(terms[:, 2:], terms[:, 1:-1] + terms[:, :-2], rtol=1e-5)
    assert task.terms(jnp.array([1.0, 1.0]), 12).tolist() == NUMBERS
    assert task.terms(jnp.array([2.0, 5.0]), 1).tolist() == [2.0]


def test_loss_is_relative_to_the_mean_label_of_each_step() -> None:
    task = Fibonacci(length=4, low=1.0, high=3.0)
    batch = draw(task, 2)
    # Mean start 2, so mean terms 2 2 4 6 10; the largest term is 3 F(5) = 15.
    means = np.array([2, 4, 6, 10], np.float32) / 15
    outputs = batch.y + jnp.asarray(means * np.array([9, 0.3, 0.6, 0.0], np.float32))[None, :, None]
    np.testing.assert_allclose(task.loss(outputs, batch), [0.15, 0.15], rtol=1e-4)


def test_relative_error_is_a_fraction_of_the_label() -> None:
    task = Fibonacci(length=4)
    batch = draw(task, 3)
    factors = jnp.array([7.0, 1.1, 0.8, 1.0])[None, :, None]
    scores = task.metrics(batch.y * factors, batch)
    np.testing.assert_allclose(scores["relative_error"], [0.1] * 3, rtol=1e-4)


def test_step_one_makes_the_rule_unique() -> None:
    """Least squares over w_k in output_t = sum_k w_k x_(t-k), from zero state."""
    batch = draw(Fibonacci(length=6), 200)
    x, y = np.asarray(batch.x, np.float64)[..., 0], np.asarray(batch.y, np.float64)[..., 0]
    lagged = np.stack([np.pad(x, ((0, 0), (k, 0)))[:, :6] for k in range(3)], axis=-1)
    weights, _, rank, _ = np.linalg.lstsq(lagged[:, 1:].reshape(-1, 3), y[:, 1:].ravel(), 1e-5)
    assert rank == 3
    np.testing.assert_allclose(weights, [1, 1, 0], atol=1e-4)
    # Another point of the line w_0 + w_1 = 2, w_0 + w_2 = 1: right from step 2, wrong at step 1.
    wrong = lagged @ [0, 2, 1]
    np.testing.assert_allclose(wrong[:, 2:], y[:, 2:], rtol=1e-5)
    assert np.abs(wrong[:, 1] - y[:, 1]).max() > 0.1 * y[:, 1].max()


def test_chance_follows_the_spread_of_the_starts() -> None:
    narrow, wide = Fibonacci(low=0.9).chance, Fibonacci(low=0.01).chance
    assert narrow["loss"] < 1e-2 * wide["loss"]
    assert narrow["relative_error"] < 0.1 * wide["relative_error"]
    # Only a_2 = a_0 + a_1 and a_3 = a_0 + 2 a_1 are asked: variance 1/12 each, means 1 and 3/2.
    assert Fibonacci(length=3, low=1e-9).chance["loss"] == pytest.approx(
        (2 / 12 / 1 + 5 / 12 / 2.25) / 2, rel=1e-6
    )


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Fibonacci(length=2), "Fibonacci.length: got 2, wanted an integer of at least 3"),
        (Fibonacci(length=36), "Fibonacci.length: got 36, wanted at most 35"),
        (Fibonacci(low=0.0), "wanted 0 < low < high"),
        (Fibonacci(low=1.0, high=1.0), "got 1.0, 1.0, wanted 0 < low < high"),
        (Fibonacci(high=float("inf")), "wanted 0 < low < high"),
        (Fibonacci(high=float("nan")), "wanted 0 < low < high"),
    ],
)
def test_bad_sizes_are_refused(task: Fibonacci, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        task.validate()
