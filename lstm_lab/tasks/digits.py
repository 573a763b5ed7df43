"""Sequential digits: a handwritten digit read pixel by pixel, named after the last.

One sequence of T = size * size steps, the rows of the picture one after the other::

    . . 5 d 9 1 . .    row 0        step      0  1  2  ...  T-1
    . . d f a f 5 .    row 1        x_t       0  0  .3 ...  0       one pixel, 0 to 1
         ...                        answer                  y       the digit, 0 to 9

What a pixel says depends on pixels a row and more before it, so the network must keep a picture it
never sees as one. `permutation` shuffles the steps of all sequences alike: neighbours in the picture
are then anywhere in the sequence, and what was local is a dependency over hundreds of steps.

Paper: Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified linear
units", arXiv:1504.00941, section 4.2, with MNIST in this order and permuted. That is size 28, whose
files the user brings; training ends in a twelfth, 5,000 digits, that validate here. Size 8 is ours,
for two cores: the 1,797 embedded digits of `lstm_lab.data.digits`, 64 steps. In a fixed order of their own
the first fifth of them, 359, is the test part, the next tenth, 179, validates. All
13 writers are in all parts, so scores are above those of writers never seen. A fixed order is that of raw
draws of NumPy's PCG64, a stream that stays the same from release to release: number n > 0 of `permutation`
has seed n, and the parts of size 8 have seed 0.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_lab.data.digits import read_digits
from lstm_lab.data.locate import directory, locate
from lstm_lab.data.mnist import FILES, Images, read_mnist
from lstm_lab.errors import UsageError
from lstm_lab.tasks.base import Batch, Classification, certain, require_at_least
from lstm_lab.tasks.examples import Examples, Part, fixed_order, nearest_mean

# What a white pixel is in the files.
WHITEST = {8: 16, 28: 255}


@dataclass(frozen=True)
class SequentialDigits(Examples, Classification):
    """Name a digit after reading its pixels one by one.

    Args:
        size: pixels along an edge: 8 (embedded) or 28 (MNIST, files to bring).
        permutation: which order of the pixels: 0 for row by row, n > 0 for the n-th fixed one.

    >>> task = SequentialDigits()
    >>> batch = task.pick(task.load()["train"], jnp.array([0, 9]))
    >>> batch.x.shape, batch.y
    ((2, 64, 1), Array([1, 1], dtype=int32))
    """

    size: Literal[8, 28] = 8
    permutation: int = 0

    per_step: ClassVar[bool] = False

    @property
    def d_in(self) -> int:
        """One pixel."""
        return 1

    @property
    def d_out(self) -> int:
        """One class per digit."""
        return 10

    @property
    def label(self) -> str:
        """Name and size, and the order where it is not row by row."""
        order = f" order {self.permutation}" if self.permutation else ""
        return f"Sequential digits {self.size}x{self.size}{order}"

    @property
    def solved(self) -> dict[str, float]:
        """95 answers in 100 right: ours; what is left are digits that people too find hard."""
        return {"accuracy": 0.95}

    def validate(self) -> None:
        """Refuse another size or a negative order.

        Raises:
            UsageError: a field is out of range.
            AbsentError: a file of MNIST is not there.
        """
        require_at_least("SequentialDigits.permutation", self.permutation, 0)
        if self.size not in WHITEST:
            raise UsageError(
                f"SequentialDigits.size: got {self.size!r}, wanted 8 or 28: "
                "set size to 8 for the embedded digits, to 28 for MNIST"
            )
        if self.size == 28:
            for file in FILES:
                locate(file, directory())

    def read(self, folder: Path) -> dict[str, Part]:
        """Read the digits, x uint8 [N,T] in the order asked for, y int32 [N]."""
        steps = self.size**2
        order = fixed_order(self.permutation, steps) if self.permutation else np.arange(steps)
        images = _mnist(folder) if self.size == 28 else _embedded()
        return {
            name: Part(pixels.reshape(-1, steps)[:, order], labels.astype(np.int32))
            for name, (pixels, labels) in images.items()
        }

    def pick(self, part: Part, rows: Array) -> Batch:
        """Return x float [B,T,1], y int32 [B], mask all true [B]."""
        pixels = jnp.take(jnp.asarray(part.x), rows, axis=0).astype(jnp.float32)
        x = pixels[..., None] / WHITEST[self.size]
        return Batch(x, jnp.take(jnp.asarray(part.y), rows), jnp.ones(rows.shape, bool))

    def oracle(self, batch: Batch) -> Array:
        """Name the digit, from the label: who wrote it knew."""
        return certain(batch.y, self.d_out)

    def baselines(self, data: Any) -> dict[str, dict[str, float]]:
        """Score the test part by the nearest of the ten mean pictures."""
        train, test = (
            (data[name].x.astype(np.float32), data[name].y) for name in ("train", "test")
        )
        return {"nearest mean picture": {"accuracy": nearest_mean(train, test)}}


def _mnist(folder: Path) -> dict[str, Images]:
    """Return MNIST in three parts, its own test files the last."""
    train, test = read_mnist(folder)
    cut = len(train.labels) - len(train.labels) // 12
    parts = {"train": slice(cut), "validation": slice(cut, None)}
    return {**{name: _rows(train, rows) for name, rows in parts.items()}, "test": test}


def _embedded() -> dict[str, Images]:
    """Return the embedded digits in three parts."""
    digits = read_digits()
    count = len(digits.labels)
    ends = [count // 5, count // 5 + count // 10]
    rows = np.split(fixed_order(0, count), ends)
    return dict(zip(("test", "validation", "train"), (_rows(digits, r) for r in rows), strict=True))


def _rows(images: Images, rows: slice | np.ndarray) -> Images:
    return Images(images.pixels[rows], images.labels[rows])
