"""Recall, read back from its inputs by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.errors import UsageError
from lstm_lab.tasks.recall import Recall


def test_answer_is_the_marked_symbol_lag_steps_before_the_end() -> None:
    task = Recall(lag=7, symbols=5)
    batch = task.sample((), jax.random.key(1), 0, 64)
    assert batch.x.shape == (64, 8, 6)
    for x, y in zip(np.asarray(batch.x), np.asarray(batch.y), strict=True):
        (marked,) = np.flatnonzero(x[:, -1])
        assert len(x) - 1 - marked == task.lag
        assert x[marked, :-1].tolist() == [float(symbol == y) for symbol in range(5)]
        assert (x[:, :-1].sum(axis=1) == 1).all()


def test_symbols_are_uniform_and_the_distractors_tell_nothing() -> None:
    task = Recall(lag=3, symbols=4)
    batch = task.sample((), jax.random.key(2), 0, 8000)
    symbols = np.asarray(batch.x)[..., :-1].argmax(axis=-1)
    for step in range(1, 4):
        table = np.histogram2d(symbols[:, step], np.asarray(batch.y), bins=4)[0]
        # 500 expected in each of 16 cells, standard deviation 22.
        assert np.abs(table - 500).max() < 110


def test_oracle_follows_the_marker() -> None:
    task = Recall(lag=4, symbols=5)
    batch = task.sample((), jax.random.key(3), 0, 3)
    marker = jnp.zeros((3, 5)).at[:, 2].set(1.0)
    moved = batch._replace(x=batch.x.at[..., -1].set(marker))
    expected = np.asarray(batch.x)[:, 2, :-1].argmax(axis=-1)
    assert np.array_equal(task.oracle(moved).argmax(axis=-1), expected)


def test_sizes() -> None:
    assert Recall(lag=50, symbols=8).d_in == 9
    assert Recall(lag=50).label == "Recall lag 50"
    assert Recall(symbols=4).chance == {"loss": pytest.approx(1.386294), "accuracy": 0.25}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            Recall(lag=0),
            r"Recall.lag: got 0, wanted an integer of at least 1: set lag to 1 or more",
        ),
        (Recall(symbols=1), r"Recall.symbols: got 1, wanted an integer of at least 2"),
        (Recall(lag=2.5), r"Recall.lag: got 2.5, wanted an integer"),  # type: ignore[arg-type]  # a JSON file may hold anything
    ],
)
def test_bad_sizes_are_refused(task: Recall, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        task.validate()
