"""Digits are read pixel by pixel in the order asked for, from the embedded file or from MNIST's."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.data.digits import read_digits
from lstm_lab.errors import AbsentError, UsageError
from lstm_lab.tasks.digits import SequentialDigits
from lstm_lab.tasks.examples import fixed_order
from tests.data.tiny import write_mnist


def test_embedded_digits_are_parted_without_overlap() -> None:
    data = SequentialDigits().load()
    assert {name: len(part.y) for name, part in data.items()} == {
        "train": 1259,
        "validation": 179,
        "test": 359,
    }
    order = fixed_order(0, 1797)
    assert sorted(order.tolist()) == list(range(1797))
    everything = read_digits()
    for name, rows in zip(
        ("test", "validation", "train"), np.split(order, [359, 538]), strict=True
    ):
        np.testing.assert_array_equal(data[name].y, everything.labels[rows])
        np.testing.assert_array_equal(data[name].x, everything.pixels[rows].reshape(-1, 64))


def test_pixels_come_row_by_row_between_0_and_1() -> None:
    task = SequentialDigits()
    part = task.load()["train"]
    batch = task.pick(part, jnp.arange(8, dtype=jnp.int32))
    assert batch.x.shape == (8, 64, 1)
    np.testing.assert_array_equal(batch.x[..., 0] * 16, part.x[:8])
    assert float(batch.x.max()) == 1


@pytest.mark.parametrize("size", [8, 28])
def test_an_order_is_the_same_for_all_digits_and_another_by_number(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path, monkeypatch)
    monkeypatch.setenv("LSTM_LAB_DATA", str(tmp_path))
    plain, one, two = (SequentialDigits(size, n).load() for n in range(3))  # type: ignore[arg-type]
    order = fixed_order(1, size * size)
    assert sorted(order.tolist()) == list(range(size * size))
    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(one[name].x, plain[name].x[:, order])
        np.testing.assert_array_equal(one[name].y, plain[name].y)
        assert (one[name].x != two[name].x).any()


def test_fixed_orders_never_change() -> None:
    # A run recorded with another order could not be repeated.
    assert fixed_order(1, 64)[:8].tolist() == [61, 9, 36, 39, 55, 31, 16, 2]
    assert fixed_order(0, 1797)[:4].tolist() == [855, 921, 269, 1185]


def test_mnist_validates_on_the_last_twelfth_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, labels, test_pixels, test_labels = write_mnist(tmp_path, monkeypatch)
    monkeypatch.setenv("LSTM_LAB_DATA", str(tmp_path))
    task = SequentialDigits(size=28)
    task.validate()
    data = task.load()
    np.testing.assert_array_equal(data["train"].y, labels[:22])
    np.testing.assert_array_equal(data["validation"].x, pixels[22:].reshape(2, 784))
    np.testing.assert_array_equal(data["test"].x, test_pixels.reshape(12, 784))
    np.testing.assert_array_equal(data["test"].y, test_labels)
    batch = task.sample(data, jax.random.key(0), 0, 4)
    assert batch.x.shape == (4, 784, 1)
    assert 0.9 < float(batch.x.max()) <= 1


def test_mnist_that_is_not_there_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_LAB_DATA", str(tmp_path))
    for refuse in (SequentialDigits(28).validate, SequentialDigits(28).load):
        with pytest.raises(
            AbsentError, match="`lstm-lab fetch mnist` takes it from the hub; any copy will do"
        ):
            refuse()
    SequentialDigits(8).validate()


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (SequentialDigits(size=16), "size: got 16, wanted 8 or 28: set size"),  # type: ignore[arg-type]
        (SequentialDigits(permutation=-2), "permutation: got -2, wanted an integer of at least 0"),
    ],
)
def test_bad_fields_are_refused(task: SequentialDigits, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        task.validate()


def test_labels_tell_sizes_and_orders_apart() -> None:
    tasks = [SequentialDigits(), SequentialDigits(28), SequentialDigits(28, 2)]
    wanted = ["8x8", "28x28", "28x28 order 2"]
    assert [task.label for task in tasks] == [f"Sequential digits {name}" for name in wanted]


def test_the_mean_picture_is_a_strong_guess_and_does_not_mind_the_order() -> None:
    scores = [SequentialDigits(permutation=n) for n in (0, 3)]
    for task in scores:
        (found,) = task.baselines(task.load()).values()
        assert found["accuracy"] == pytest.approx(0.925, abs=5e-4)
