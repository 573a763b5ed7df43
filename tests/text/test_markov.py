"""The Markov baseline is the formula in its docstring, and a distribution for every history."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_lab.text.markov import Markov, xz_bits

V = 4
IDS = st.lists(st.integers(0, V - 1), min_size=1, max_size=40)


def witten_bell(train: list[int], history: list[int], c: int, k: int) -> float:
    """Transcribe p_k(c | h) with one scan of the training part per context."""
    if k < 0:
        return 1 / V
    h = history[len(history) - k :]
    shorter = witten_bell(train, history, c, k - 1)
    followers = [train[i + k] for i in range(len(train) - k) if train[i : i + k] == h]
    if not followers:
        return shorter
    kinds = len(set(followers))
    return (followers.count(c) + kinds * shorter) / (len(followers) + kinds)


@given(IDS, IDS, st.integers(0, 4))
def test_probabilities_are_the_formula(train: list[int], text: list[int], order: int) -> None:
    got = Markov.fit(np.array(train), V, order).probabilities(np.array(text))
    assert got.shape == (order + 1, len(text))
    for k in range(order + 1):
        want = [witten_bell(train, text[:i], c, min(k, i)) for i, c in enumerate(text)]
        np.testing.assert_allclose(got[k], want, rtol=1e-12)


@given(IDS, st.lists(st.integers(0, V - 1), max_size=8), st.integers(0, 5))
def test_every_history_has_a_distribution(train: list[int], history: list[int], order: int) -> None:
    p = Markov.fit(np.array(train), V, order).distribution(np.array(history, np.int64))
    assert p.shape == (V,)
    assert (p > 0).all()
    assert math.isclose(p.sum(), 1, rel_tol=1e-12)


def test_keys_stay_exact_where_powers_of_the_vocabulary_would_not_fit() -> None:
    size, order = 100_000, 5
    rng = np.random.default_rng(0)
    train = np.repeat(rng.integers(0, size, 50), 3)
    model = Markov.fit(train, size, order)
    # A known history and one that agrees with it in nothing but the last symbol.
    known, other = train[:order], np.append(np.zeros(order - 1, int), train[order - 1])
    p = [model.probabilities(np.append(h, train[order]))[-1, -1] for h in (known, other)]
    assert p[0] > p[1] > 1 / size


def test_a_periodic_text_is_learned_by_the_order_that_suffices() -> None:
    train, validation = np.array([0, 0, 1] * 300), np.array([0, 0, 1] * 20)
    nats = Markov.fit(train, V, 3).nats(validation)
    assert nats[1] > 0.4  # after one 0, either symbol follows
    assert nats[2] < 0.1


def test_nats_leave_out_the_first_character() -> None:
    model = Markov.fit(np.array([0, 1, 2, 3]), V, 1)
    text = np.array([3, 0, 1])
    expected = -np.log(model.probabilities(text)[:, 1:]).mean(axis=1)
    np.testing.assert_allclose(model.nats(text), expected)


@pytest.mark.parametrize("fresh", [False, True])
def test_xz_pays_little_for_what_it_has_read(fresh: bool) -> None:
    rng = np.random.default_rng(0)
    train = rng.integers(97, 101, 20_000, np.uint8).tobytes()
    validation = rng.integers(97, 101, 5_000, np.uint8).tobytes() if fresh else train[5_000:10_000]
    bits = xz_bits(train, validation) / len(validation)
    # Four equally likely letters cost 2 bits each; what was read before is one reference.
    assert (2 < bits < 2.4) if fresh else (0 < bits < 0.1)
