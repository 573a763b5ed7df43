"""Bags hold the n-grams that are there, and the regression stands at its minimum."""

import numpy as np
import pytest
from scipy import optimize, sparse

from lstm_lab.errors import UsageError
from lstm_lab.text.bag_of_words import (
    PENALTIES,
    Bag,
    LogisticRegression,
    choose,
    curvature,
    objective,
)

X = np.array([[0, 1, 0], [1, 1, 2], [2, 9, 9]], np.int32)
LENGTHS = np.array([3, 2, 1], np.int32)


def problem(
    rows: int = 12, features: int = 5, classes: int = 3
) -> tuple[sparse.csr_array, np.ndarray]:
    rng = np.random.default_rng(0)
    x = sparse.csr_array(rng.normal(size=(rows, features)) * (rng.random((rows, features)) < 0.6))
    return x, rng.integers(0, classes, rows)


def test_features_are_the_weighted_counts_of_n_grams_with_borders() -> None:
    bag = Bag.of(X, LENGTHS, symbols=3, most=2)
    got = bag.weights(X, LENGTHS).toarray()
    # "|" is a border: 010 has 0 1 |0 01 10 0|, 11 has 1 |1 11 1|, 2 has 2 |2 2|; what stands after an end has nothing.
    texts = [
        {"0": 2, "1": 1, "|0": 1, "01": 1, "10": 1, "0|": 1},
        {"1": 2, "|1": 1, "11": 1, "1|": 1},
        {"2": 1, "|2": 1, "2|": 1},
    ]
    for row, counts in zip(got, texts, strict=True):
        idf = {g: np.log(4 / (1 + sum(g in text for text in texts))) + 1 for g in counts}
        wanted = np.array(sorted(count * idf[g] for g, count in counts.items()))
        np.testing.assert_allclose(np.sort(row[row > 0]), wanted / np.linalg.norm(wanted))


def test_what_training_never_showed_and_what_is_past_the_end_count_for_nothing() -> None:
    bag = Bag.of(X[:1], LENGTHS[:1], symbols=3, most=2)
    assert bag.weights(X[2:], LENGTHS[2:]).nnz == 0
    ended = bag.weights(X[:1], np.array([2]))
    other = bag.weights(np.array([[0, 1, 2]]), np.array([2]))
    np.testing.assert_array_equal(ended.toarray(), other.toarray())


def test_more_n_grams_than_can_be_numbered_are_refused() -> None:
    with pytest.raises(UsageError, match="3000000 symbols: 3 of them at once are too many"):
        Bag.of(X, LENGTHS, symbols=3_000_000, most=3)


def test_the_gradient_is_that_of_the_loss() -> None:
    x, y = problem()
    flat = np.random.default_rng(1).normal(size=5 * 3 + 3)
    arguments = (x, y, 3, 0.1)
    found = optimize.check_grad(
        lambda w: objective(w, *arguments)[0], lambda w: objective(w, *arguments)[1], flat
    )
    assert found < 1e-6


def test_the_curvature_is_the_gradients_derivative() -> None:
    x, y = problem()
    flat, along = np.random.default_rng(1).normal(size=(2, 5 * 3 + 3))
    arguments = (x, y, 3, 0.1)
    ahead, behind = (objective(flat + s * along, *arguments)[1] for s in (1e-5, -1e-5))
    np.testing.assert_allclose(
        curvature(flat, along, *arguments), (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-8
    )


def test_a_fit_is_the_one_minimum() -> None:
    x, y = problem()
    fitted = LogisticRegression.fit(x, y, 3, 0.01)
    elsewhere = LogisticRegression(np.ones((5, 3)), np.array([3.0, -1.0, 0.0]))
    again = LogisticRegression.fit(x, y, 3, 0.01, elsewhere)
    np.testing.assert_allclose(fitted.weight, again.weight, atol=1e-3)
    flat = np.concatenate([fitted.weight.ravel(), fitted.bias])
    assert np.abs(objective(flat, x, y, 3, 0.01)[1]).max() < 1e-4
    np.testing.assert_allclose(np.exp(fitted.log_p(x)).sum(axis=1), 1)


def test_the_penalty_is_chosen_by_the_other_texts() -> None:
    x, y = problem(40)
    weak = LogisticRegression.fit(x, y, 3, PENALTIES[-1])
    # Asked for what hardly penalised weights say, the weakest is right and the strongest is not.
    hard = weak.log_p(x).argmax(axis=1)
    chosen, penalty = choose((x, y), (x, hard), 3)
    right = [
        np.mean(LogisticRegression.fit(x, y, 3, p).log_p(x).argmax(axis=1) == hard)
        for p in PENALTIES
    ]
    assert penalty == PENALTIES[int(np.argmax(right))]
    assert np.mean(chosen.log_p(x).argmax(axis=1) == hard) == max(right)
