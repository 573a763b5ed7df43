"""Tasks whose examples are given: three parts, to train on, to validate on and to test on.

An epoch is n = N // B steps for N examples in batches of B. Step s takes the (s mod n)-th slice of a
permutation of the N that depends on the key and on the epoch s // n alone, so no example comes twice in
an epoch, a batch is a pure function of (key, step), and the fewer than B that an epoch leaves out are
others in the next.

A held-out part is read once, in its order. Its last batch is filled up with examples from the
beginning, which the mask leaves out. The examinations of training see the part "validation", the final
one sees "test" in its place.
"""

import hashlib
import math
from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_lab.data.locate import directory
from lstm_lab.errors import UsageError
from lstm_lab.tasks.base import Batch, Task
from lstm_lab.tasks.permutation import permuted


class Part(NamedTuple):
    """Examples, N of them: NumPy arrays as they are read, JAX arrays where they are used.

    Attributes:
        x: what is read, `[N, T]` or `[N, T, D]`, right-padded.
        y: labels int32 `[N]`, or None where they are in `x`.
        lengths: int32 `[N]` steps of each example, or None where all are T long.
    """

    x: Any
    y: Any = None
    lengths: Any = None


class Examples(Task):
    """A task with a fixed set of examples, whose final score is that of a part nothing else reads."""

    @abstractmethod
    def read(self, folder: Path) -> dict[str, Part]:
        """Read the parts "train", "validation" and "test".

        Args:
            folder: the data directory.

        Raises:
            AbsentError: a file is not there.
            DataError: a file is malformed, or not the one it should be.
        """

    @abstractmethod
    def pick(self, part: Part, rows: Array) -> Batch:
        """Return the examples with these numbers, int32 [B], whole."""

    def load(self) -> dict[str, Part]:
        """Return the parts, read once in a process."""
        return dict(_load(self, directory()))

    def sha256(self) -> str:
        """Return the hash of all examples, which a run records and a resumed run compares."""
        total = hashlib.sha256()
        for leaf in jax.tree.leaves(self.load()):
            total.update(np.ascontiguousarray(leaf).data)
        return total.hexdigest()

    def check(self, batch: int) -> None:
        """Refuse a batch of more examples than there are to train on."""
        super().check(batch)
        if batch > (count := len(self.load()["train"].x)):
            raise UsageError(
                f"batch: got {batch}, wanted at most {count}, the training examples of {self.label}: "
                f"set batch to {count} or less"
            )

    def sample(self, data: Any, key: Array, step: Array | int, batch: int) -> Batch:
        """Return the step's slice of its epoch's permutation."""
        part = data["train"]
        return self.pick(part, epoch_rows(key, step, part.x.shape[0], batch))

    def test_data(self, data: Any) -> Any:
        """Return the data with the part "test" in place of "validation"."""
        return {**data, "validation": data["test"]}

    def evaluation(self, data: Any, batch: int) -> int:
        """Return the number of batches in which the part is read once."""
        return math.ceil(data["validation"].x.shape[0] / batch)

    def evaluation_batch(self, data: Any, key: Array, index: Array | int, batch: int) -> Batch:
        """Return batch `index` of the part; the key plays no part."""
        del key
        part = data["validation"]
        count = part.x.shape[0]
        rows = jnp.asarray(index, jnp.int32) * batch + jnp.arange(batch, dtype=jnp.int32)
        picked = self.pick(part, rows % count)
        counted = jnp.expand_dims(rows < count, tuple(range(1, picked.mask.ndim)))
        return picked._replace(mask=picked.mask & counted)


# One process reads a file once, so that all trials of a run see the same.
@lru_cache(maxsize=4)
def _load(task: Examples, folder: Path) -> dict[str, Part]:
    parts = task.read(folder)
    for leaf in jax.tree.leaves(parts):
        leaf.flags.writeable = False
    return parts


def epoch_rows(key: Array, step: Array | int, count: int, batch: int) -> Array:
    """Choose the examples of a training step, none twice in an epoch.

    Args:
        key: the run's data key.
        step: training step.
        count: examples N.
        batch: examples B of a step, at most N.

    Returns:
        Their numbers, int32 [B].

    >>> first, second = (epoch_rows(jax.random.key(0), step, 7, 3).tolist() for step in (0, 1))
    >>> len(set(first + second))
    6
    """
    steps = count // batch
    step = jnp.asarray(step, jnp.int32)
    places = (step % steps) * batch + jnp.arange(batch, dtype=jnp.int32)
    return permuted(jax.random.fold_in(key, step // steps), places, count)


def fixed_order(seed: int, count: int) -> np.ndarray:
    """Return a permutation of 0 .. count - 1 that is the same on every machine; `seed` numbers them.

    >>> fixed_order(1, 6)
    array([2, 4, 5, 0, 3, 1])
    """
    return np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")


def nearest_mean(
    train: tuple[np.ndarray, np.ndarray], asked: tuple[np.ndarray, np.ndarray]
) -> float:
    """Score the classifier that answers with the class whose mean is nearest.

    Args:
        train: features [N, F] and class ids [N]; every class occurs.
        asked: the same of the examples to classify.

    Returns:
        The fraction 0-1 that it gets right.

    >>> x = np.array([[0.0], [1.0], [4.0]])
    >>> nearest_mean((x, np.array([0, 0, 1])), (x, np.array([0, 1, 1])))
    0.6666666666666666
    """
    x, y = train
    means = np.stack([x[y == label].mean(axis=0) for label in range(int(y.max()) + 1)])
    # |x - m|^2 without |x|^2, which is the same for all classes.
    distances = np.sum(means**2, axis=1) - 2 * asked[0] @ means.T
    return float(np.mean(np.argmin(distances, axis=1) == asked[1]))
