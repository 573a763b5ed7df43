"""Where the text task cuts: every symbol is read once, streams keep their order, borders shift with the jitter."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.min_gru import MinGRU
from lstm_lab.model import Model
from lstm_lab.tasks.base import Batch
from lstm_lab.tasks.text import Text
from lstm_lab.train import Network
from lstm_lab.trial import Trial

KEY = jax.random.key(0)


def counting(train: int, validation: int) -> dict[str, np.ndarray]:
    """Return data whose ids are their positions, so that a batch shows where it was cut."""
    return {
        "train": np.arange(train, dtype=np.int32),
        "validation": np.arange(validation, dtype=np.int32),
    }


# Exactly one window; nothing left over; the most left over; length 1; one stream.
@pytest.mark.parametrize(
    ("batch", "length", "extra"), [(3, 5, 0), (3, 5, 15), (3, 5, 29), (4, 1, 9), (1, 7, 20)]
)
def test_an_epoch_of_contiguous_batches_covers_every_symbol_once(
    batch: int, length: int, extra: int
) -> None:
    symbols = batch * length + 1 + extra
    task, data = Text(length=length), counting(symbols, 2)
    windows = (symbols - 1) // (batch * length)
    batches = [task.sample(data, KEY, s, batch) for s in range(windows)]
    x = np.concatenate([np.asarray(b.x) for b in batches], axis=1)
    y = np.concatenate([np.asarray(b.y) for b in batches], axis=1)
    np.testing.assert_array_equal(x.ravel(), np.arange(batch * windows * length))
    np.testing.assert_array_equal(y, x + 1)
    assert symbols - 1 - x.size < batch * length
    assert all(np.asarray(b.mask).all() for b in batches)


@given(
    batch=st.integers(1, 3),
    length=st.integers(3, 8),
    windows=st.integers(1, 5),
    extra=st.integers(0, 2),
    jitter=st.integers(1, 3),
)
def test_with_jitter_every_pass_trains_on_every_symbol_once(
    batch: int, length: int, windows: int, extra: int, jitter: int
) -> None:
    jitter = min(jitter, (length - 1) // 2)
    task, data = (
        Text(length=length, jitter=jitter),
        counting(batch * windows * length + 1 + extra, 2),
    )
    for step in range(2 * windows):
        if step % windows == 0:
            read = np.zeros((batch, 0), np.int32)
        window = task.sample(data, KEY, step, batch)
        assert window.lengths is not None
        assert window.reset is not None
        x, y, mask = (np.asarray(a) for a in (window.x, window.y, window.mask))
        (steps,) = set(np.asarray(window.lengths).tolist())
        assert length - 2 * jitter <= steps <= length + 2 * jitter == x.shape[1]
        assert mask.tolist() == [[t < steps for t in range(x.shape[1])]] * batch
        assert np.asarray(window.reset).sum() == batch * (step % windows == 0)
        np.testing.assert_array_equal(y[mask], x[mask] + 1)
        read = np.append(read, x[:, :steps], axis=1)
        if step % windows == windows - 1:
            np.testing.assert_array_equal(read.ravel(), np.arange(batch * windows * length))


def test_borders_shift_by_every_step_of_the_jitter_alike_and_anew_in_each_pass() -> None:
    task, data = Text(length=5, jitter=2), counting(2 * 40 * 5 + 1, 2)
    passes = [
        np.array([task.sample(data, KEY, step, 2).x[0, 0] for step in range(first, first + 40)])
        for first in (0, 40)
    ]
    shifts = [begins - 5 * np.arange(40) for begins in passes]
    assert shifts[0][0] == shifts[1][0] == 0
    for own in shifts:
        found = np.bincount(own[1:] + 2, minlength=5)
        assert len(found) == 5
        assert found.min() > 0
    assert (shifts[0] != shifts[1]).any()
    other = [int(task.sample(data, jax.random.key(1), step, 2).x[0, 0]) for step in range(40)]
    assert (passes[0] != other).any()


@pytest.mark.parametrize("cell", [LSTM(), MinGRU()], ids=["LSTM", "minGRU"])
def test_the_state_carried_over_shifted_borders_is_that_of_one_reading(cell: Any) -> None:
    task, batch = Text(length=6, jitter=2), 3
    data = task.load()
    network = Network(Trial(model=Model(cell), task=task, d_hidden=4))
    params = network.init(jax.random.key(0))
    carry = network.initial_carry(params, batch)
    streams = np.arange(batch) * ((len(data["train"]) - 1) // (batch * 6) * 6)
    outputs = []
    for step in range(5):
        window = task.sample(data, KEY, step, batch)
        assert window.lengths is not None
        carry, y = network.apply(
            params, window.x, carry=carry, lengths=window.lengths, reset=window.reset
        )
        outputs.append(y[:, : window.lengths[0]])
    read = np.concatenate(outputs, axis=1)
    x = data["train"][streams[:, None] + np.arange(read.shape[1])]
    wanted = network.apply(params, jnp.asarray(x))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), (carry, read), wanted)


def test_a_stream_resets_at_its_first_step_and_nowhere_else() -> None:
    task, data = Text(length=3), counting(25, 2)  # 2 streams of 4 windows
    for step in range(9):
        batch = task.sample(data, KEY, step, 2)
        assert batch.reset is not None
        want = np.zeros((2, 3), bool)
        want[:, 0] = step % 4 == 0
        np.testing.assert_array_equal(batch.reset, want)
    first, again = (task.sample(data, KEY, step, 2) for step in (0, 4))
    np.testing.assert_array_equal(first.x, again.x)


# The least there is; more rows than symbols; a short last row; two empty rows; whole windows.
@pytest.mark.parametrize(
    ("symbols", "batch", "length"), [(2, 1, 1), (2, 3, 4), (12, 4, 2), (7, 5, 2), (37, 4, 3)]
)
def test_validation_counts_every_symbol_but_the_first_once(
    symbols: int, batch: int, length: int
) -> None:
    task, data = Text(length=length), counting(1, symbols)
    counted: list[int] = []
    ends = np.full(batch, -1)
    for index in range(task.evaluation(data, batch)):
        window = task.evaluation_batch(data, KEY, index, batch)
        assert window.reset is not None
        x, y, mask = (np.asarray(a) for a in (window.x, window.y, window.mask))
        assert np.asarray(window.reset)[:, 0].tolist() == [index == 0] * batch
        assert not np.asarray(window.reset)[:, 1:].any()
        np.testing.assert_array_equal(y[mask], x[mask] + 1)
        if index:  # the carry goes on: a row's next window begins where its last one ended
            np.testing.assert_array_equal(x[mask[:, 0], 0], ends[mask[:, 0]])
        ends = y[:, -1]
        counted += y[mask].tolist()
    assert sorted(counted) == list(range(1, symbols))


def test_windows_are_random_within_the_training_part_and_carry_nothing() -> None:
    task, data = Text(length=5, batching="windows"), counting(12, 2)
    assert not task.stateful
    starts: set[int] = set()
    for step in range(8):
        batch = task.sample(data, KEY, step, 16)
        assert batch.reset is None
        x = np.asarray(batch.x)
        np.testing.assert_array_equal(x, x[:, :1] + np.arange(5))
        np.testing.assert_array_equal(batch.y, x + 1)
        starts |= set(x[:, 0].tolist())
    assert starts == set(range(7))  # 6 is the last with a label for each step
    np.testing.assert_array_equal(task.sample(data, KEY, 3, 4).x, task.sample(data, KEY, 3, 4).x)
    other = task.sample(data, jax.random.key(1), 3, 16).x
    assert (np.asarray(task.sample(data, KEY, 3, 16).x) != np.asarray(other)).any()


@pytest.mark.parametrize("batching", ["contiguous", "windows"])
def test_sampling_is_traced_once_for_all_steps(
    batching: Literal["contiguous", "windows"],
) -> None:
    task, data = Text(length=4, batching=batching), counting(50, 30)
    traces = []

    @jax.jit
    def draw(data: dict, key: jax.Array, step: jax.Array) -> tuple[Batch, Batch]:
        traces.append(step)
        return task.sample(data, key, step, 3), task.evaluation_batch(data, key, step, 3)

    for step in range(3):
        drawn = draw(data, KEY, jnp.int32(step))
        eager = task.sample(data, KEY, step, 3), task.evaluation_batch(data, KEY, step, 3)
        jax.tree.map(np.testing.assert_array_equal, drawn, eager)
    assert len(traces) == 1
    assert drawn[0].x.dtype == drawn[0].y.dtype == jnp.int32
