"""Future tag: the label is the later token, and the past says nothing of it."""

import jax
import numpy as np
import pytest

from lstm_lab.errors import UsageError
from lstm_lab.tasks.future_tag import FutureTag


def test_label_is_the_token_ahead_where_there_is_one() -> None:
    task = FutureTag(ahead=3, classes=5, length=9)
    batch = task.sample((), jax.random.key(0), 0, 32)
    x, y, mask = (np.asarray(array) for array in (batch.x, batch.y, batch.mask))
    for t in range(task.length):
        if t + task.ahead < task.length:
            assert mask[:, t].all()
            assert np.array_equal(y[:, t], x[:, t + task.ahead])
        else:
            assert not mask[:, t].any()
            assert not y[:, t].any()
    assert np.array_equal(task.weight(batch), [6] * 32)


def test_the_past_is_independent_of_the_label() -> None:
    task = FutureTag(ahead=2, classes=3, length=6)
    batch = task.sample((), jax.random.key(1), 0, 9000)
    x, y = np.asarray(batch.x), np.asarray(batch.y)
    for past in range(4):
        table = np.histogram2d(x[:, past], y[:, 3], bins=3)[0]
        # 1000 expected in each of 9 cells, standard deviation 30.
        assert np.abs(table - 1000).max() < 150


def test_tokens_past_the_labels_are_not_asked() -> None:
    task = FutureTag(ahead=2, classes=3, length=6)
    batch = task.sample((), jax.random.key(2), 0, 4)
    worse = task.oracle(batch).at[:, -2:].multiply(-1.0)
    assert np.array_equal(task.loss(worse, batch), task.loss(task.oracle(batch), batch))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (FutureTag(ahead=0), "FutureTag.ahead: got 0, wanted an integer of at least 1"),
        (FutureTag(classes=1), "FutureTag.classes: got 1, wanted an integer of at least 2"),
        (
            FutureTag(ahead=5, length=5),
            "FutureTag.length: got 5 with ahead 5, wanted a length above ahead: set length to 6",
        ),
    ],
)
def test_bad_sizes_are_refused(task: FutureTag, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        task.validate()
