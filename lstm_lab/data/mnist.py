"""MNIST: 70,000 handwritten digits of 28 x 28 pixels, in four files of the idx format.

An idx file of bytes with n axes, numbers big-endian::

    byte   0  1    2        3    4 ...              4 + 4n ...
           0  0    8        n    n sizes, 4 bytes   the values, the last axis fastest
                   (bytes)

Data: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition",
Proceedings of the IEEE 86(11), 1998. 60,000 digits to train on, 10,000 to test on.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstm_lab.data.locate import Known, read
from lstm_lab.errors import DataError

_ORIGIN = "`lstm-lab fetch mnist` takes it from the hub; any copy will do, its content is checked"
FILES = (
    Known(
        "mnist/train-images-idx3-ubyte",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        _ORIGIN,
    ),
    Known(
        "mnist/train-labels-idx1-ubyte",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        _ORIGIN,
    ),
    Known(
        "mnist/t10k-images-idx3-ubyte",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        _ORIGIN,
    ),
    Known(
        "mnist/t10k-labels-idx1-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        _ORIGIN,
    ),
)


class Images(NamedTuple):
    """Pictures and what they show: `pixels` uint8 [N, rows, columns], `labels` uint8 [N]."""

    pixels: np.ndarray
    labels: np.ndarray


def read_mnist(folder: Path) -> tuple[Images, Images]:
    """Read all four files.

    Args:
        folder: the data directory.

    Returns:
        What is to train on, and what is to test on.

    Raises:
        AbsentError: a file is not there.
        DataError: a file is not the known one, or malformed.
    """
    axes = (3, 1, 3, 1)
    a, b, c, d = (
        idx(read(file, folder), n, file.name) for file, n in zip(FILES, axes, strict=True)
    )
    return Images(a, b), Images(c, d)


def idx(content: bytes, axes: int, name: str) -> np.ndarray:
    """Read an idx file of bytes.

    Args:
        content: of the file, unpacked.
        axes: how many it should have.
        name: of the file, for messages.

    Returns:
        uint8, read-only.

    Raises:
        DataError: it is no such file; the message names the byte.

    >>> idx(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9]), 2, "three")
    array([[7, 8, 9]], dtype=uint8)
    """
    start, magic = 4 + 4 * axes, bytes([0, 0, 8, axes])
    if content[:4] != magic:
        raise DataError(
            f"data: {name}: got bytes {content[:4].hex() or 'none'} at byte 0, wanted {magic.hex()}, "
            f"bytes in {axes} axes: give an idx file"
        )
    ends = range(8, min(start, len(content)) + 1, 4)
    shape = tuple(int.from_bytes(content[end - 4 : end], "big") for end in ends)
    wanted = start + math.prod(shape)
    if len(shape) < axes or len(content) != wanted:
        least = start if len(shape) < axes else wanted
        raise DataError(
            f"data: {name}: ends at byte {len(content)}, wanted {least} with sizes {list(shape)} at "
            "byte 4: give the whole file"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
