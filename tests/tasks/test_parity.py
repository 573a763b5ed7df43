"""Running parity, by hand."""

import jax
import numpy as np
import pytest

from lstm_lab.errors import UsageError
from lstm_lab.tasks.parity import Parity


def test_each_label_is_the_parity_of_all_bits_up_to_its_step() -> None:
    batch = Parity(length=9).sample((), jax.random.key(0), 0, 50)
    for x, y in zip(np.asarray(batch.x), np.asarray(batch.y), strict=True):
        assert set(x) <= {0, 1}
        assert [sum(x[: t + 1]) % 2 for t in range(9)] == y.tolist()


def test_both_states_are_equally_frequent_at_every_step() -> None:
    batch = Parity(length=6).sample((), jax.random.key(1), 0, 10_000)
    # A fair coin's mean over 10,000 rows, within four standard errors.
    assert np.abs(np.asarray(batch.y).mean(axis=0) - 0.5).max() < 4 * 0.5 / 100


def test_a_sequence_without_a_step_is_refused() -> None:
    with pytest.raises(UsageError, match=r"Parity.length: got 0, wanted an integer of at least 1"):
        Parity(length=0).validate()
