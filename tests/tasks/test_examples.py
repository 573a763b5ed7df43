"""Tasks with a fixed set of examples: epochs, held-out parts read once, and a test part for the end."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from lstm_lab.discover import subclasses
from lstm_lab.errors import UsageError
from lstm_lab.program import Program
from lstm_lab.tasks.base import Batch, Classification, Task, certain
from lstm_lab.tasks.copy_memory import CopyMemory
from lstm_lab.tasks.examples import Examples, Part, epoch_rows, nearest_mean
from lstm_lab.tasks.text import Text
from lstm_lab.trial import Evaluation, Trial

KEY = jax.random.key(0)


@dataclass(frozen=True)
class Numbered(Examples, Classification):
    """Each example is its number over and over; train has 7, validation 5, test 3 with other labels."""

    classes: int = 2

    per_step: ClassVar[bool] = False
    d_in: ClassVar[int] = 1
    label: ClassVar[str] = "Numbered"

    @property
    def d_out(self) -> int:
        return self.classes

    def validate(self) -> None: ...

    def read(self, folder: Path) -> dict[str, Part]:
        return {
            "train": numbered(range(7), np.zeros(7)),
            "validation": numbered(range(10, 15), np.zeros(5)),
            "test": numbered(range(20, 23), np.ones(3)),
        }

    def pick(self, part: Part, rows: Array) -> Batch:
        x = jnp.take(jnp.asarray(part.x), rows, axis=0)
        y = jnp.take(jnp.asarray(part.y), rows)
        return Batch(x, y, jnp.ones(rows.shape, bool))

    def oracle(self, batch: Batch) -> Array:
        return certain(batch.y, self.d_out)


def numbered(numbers: range, labels: np.ndarray) -> Part:
    x = np.broadcast_to(np.array(numbers, np.float32)[:, None, None], (len(numbers), 2, 1))
    return Part(x.copy(), labels.astype(np.int32))


def numbers(batch: Batch) -> list[int]:
    return np.asarray(batch.x)[:, 0, 0].astype(int).tolist()


@pytest.mark.parametrize(("count", "batch"), [(7, 3), (6, 3), (5, 5), (4, 1)])
def test_no_example_comes_twice_in_an_epoch(count: int, batch: int) -> None:
    steps = count // batch
    draw = jax.jit(lambda step: epoch_rows(KEY, step, count, batch))
    epochs = [[draw(e * steps + s).tolist() for s in range(steps)] for e in range(6)]
    seen = [list(chain(*epoch)) for epoch in epochs]
    for rows in seen:
        assert len(set(rows)) == steps * batch
        assert set(rows) <= set(range(count))
    # Every epoch has an order of its own, and what one leaves out another has.
    assert len({tuple(rows) for rows in seen}) > 3
    assert set().union(*seen) == set(range(count))
    other = epoch_rows(jax.random.key(1), 0, 64, 64)
    assert other.tolist() != epoch_rows(KEY, 0, 64, 64).tolist()


@pytest.mark.parametrize(("batch", "batches"), [(1, 5), (2, 3), (5, 1), (8, 1)])
def test_a_held_out_part_is_read_once_in_its_order(batch: int, batches: int) -> None:
    task = Numbered()
    data = task.load()
    assert task.evaluation(data, batch) == batches
    counted: list[int] = []
    for index in range(batches):
        held_out = task.evaluation_batch(data, KEY, index, batch)
        found = numbers(held_out)
        assert len(found) == batch
        assert set(found) <= set(range(10, 15))  # filled up with real ones
        counted += np.array(found)[np.asarray(held_out.mask)].tolist()
    assert counted == list(range(10, 15))


def test_the_mask_of_a_step_falls_with_its_example() -> None:
    """Where labels are per step, an example that does not count has no step that does."""

    @dataclass(frozen=True)
    class PerStep(Numbered):
        per_step: ClassVar[bool] = True

        def pick(self, part: Part, rows: Array) -> Batch:
            batch = super().pick(part, rows)
            y = jnp.stack([batch.y, batch.y], axis=1)
            return batch._replace(y=y, mask=jnp.array([[True, False]] * len(rows)))

    last = PerStep().evaluation_batch(PerStep().load(), KEY, 1, 3)
    np.testing.assert_array_equal(last.mask, [[True, False], [True, False], [False, False]])


def test_the_final_data_has_the_test_part_where_validation_was() -> None:
    task = Numbered()
    data = task.load()
    last = task.test_data(data)
    assert task.evaluation(last, 2) == 2
    assert numbers(task.evaluation_batch(last, KEY, 0, 3)) == [20, 21, 22]
    assert numbers(task.evaluation_batch(data, KEY, 0, 3)) == [10, 11, 12]


def test_a_program_examines_one_part_while_training_and_another_at_the_end() -> None:
    trial = Trial(task=Numbered(), d_hidden=2, batch=4, seeds=2, evaluate=Evaluation(batch=2))
    program = Program(trial)
    params = program.init().params
    # The head answers 0 whatever it reads: right in all of validation, wrong in all of the test.
    params["head"]["kernel"][...] *= 0
    params["head"]["bias"][...] = jnp.zeros_like(params["head"]["bias"][...]).at[:, 0].set(1.0)
    everyone = np.ones(2, bool)
    np.testing.assert_array_equal(program.examine(params, everyone)["accuracy"], [1, 1])
    for _ in range(2):
        final = program.examine(params, everyone, test=True)
        np.testing.assert_array_equal(final["accuracy"], [0, 0])


@pytest.mark.parametrize("task", [CopyMemory(lag=3), Text(length=4)])
def test_where_there_is_no_test_part_the_key_tells_the_examinations_apart(task: Task) -> None:
    data = task.load()
    assert task.test_data(data) is data


def test_a_batch_larger_than_the_training_part_is_refused() -> None:
    Numbered().check(7)
    message = "batch: got 8, wanted at most 7, the training examples of Numbered: set batch to 7"
    with pytest.raises(UsageError, match=message):
        Numbered().check(8)


def test_a_directory_is_read_once_and_its_examples_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Numbered().load()
    assert Numbered().load()["train"].x is first["train"].x
    with pytest.raises(ValueError, match="read-only"):
        first["train"].x[0] = 1
    first.clear()
    assert Numbered().load()
    before = Numbered().load()["train"].x
    monkeypatch.setenv("LSTM_LAB_DATA", str(tmp_path))
    assert Numbered().load()["train"].x is not before
    assert len(Numbered().sha256()) == 64


def test_a_changed_example_is_another_hash() -> None:
    @dataclass(frozen=True)
    class Changed(Numbered):
        def read(self, folder: Path) -> dict[str, Part]:
            parts = super().read(folder)
            parts["test"].x[2, 1, 0] += 1
            return parts

    assert Changed().sha256() != Numbered().sha256() == Numbered().sha256()


def test_the_nearest_mean_is_by_distance() -> None:
    x = np.array([[0, 0], [2, 0], [10, 10], [12, 10]], np.float32)
    train = (x, np.array([0, 0, 1, 1]))
    asked = np.array([[5, 4], [6, 7], [-9, 9], [1, 0]], np.float32)
    assert nearest_mean(train, (asked, np.array([0, 1, 0, 0]))) == 1
    assert nearest_mean(train, (asked, np.array([1, 1, 0, 0]))) == 0.75


def test_the_base_is_no_task_of_the_room() -> None:
    assert Examples not in subclasses("lstm_lab.tasks", Task)
