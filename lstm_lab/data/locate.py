"""Where data lie, and whether they are what they should be.

All files are looked for in one directory: the environment variable `LSTM_LAB_DATA`, or `data` where it
is not set. A file may lie there in the folders of its name, from any of them on, plain or compressed by gzip::

    DIRECTORY/mnist/train-images-idx3-ubyte.gz     a collection, a folder for each data set
    DIRECTORY/train-images-idx3-ubyte              the folder of one data set itself

Nothing is downloaded here; `fetch.py` does. A file everybody knows is the same for everybody, so its content, not its
packing, is compared with a known hash: scores on another copy would be scores on another task.
"""

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lstm_lab.errors import AbsentError, DataError, one_line

VARIABLE = "LSTM_LAB_DATA"


@dataclass(frozen=True)
class Known:
    """A file that is the same wherever it is found.

    Attributes:
        name: below the data directory, without ".gz".
        sha256: of the content, 64 hexadecimal digits.
        origin: where it can be had, for the message that it is missing.
    """

    name: str
    sha256: str
    origin: str


def directory() -> Path:
    """Return the data directory: `LSTM_LAB_DATA`, or "data" below the working directory."""
    return Path(os.path.expanduser(os.environ.get(VARIABLE) or "data"))


def locate(file: Known, folder: Path) -> Path:
    """Find a file.

    Args:
        file: which.
        folder: the data directory.

    Returns:
        Its path.

    Raises:
        AbsentError: it is not there; the message says where it can be had.
    """
    parts = PurePosixPath(file.name).parts
    for level in range(len(parts)):
        for suffix in ("", ".gz"):
            path = folder / f"{'/'.join(parts[level:])}{suffix}"
            # Unlike Path.is_file, this is False for every name that cannot be one.
            if os.path.isfile(path):
                return path
    raise AbsentError(
        f"data: no {file.name} or {file.name}.gz in {str(folder)!r}: name the folder that has it with "
        f"--data-dir or {VARIABLE}; {file.origin}"
    )


def contents(path: Path) -> bytes:
    """Return what a file holds, unpacked where its name ends in ".gz".

    Args:
        path: of an existing file.

    Returns:
        Its content.

    Raises:
        DataError: it cannot be read, or is not whole.
    """
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"data: {path} is no whole .gz file ({error}): fetch it again") from error
    except OSError as error:
        raise DataError(
            f"data: cannot read {path} ({one_line(error)}): make it readable"
        ) from error


def verify(file: Known, path: Path, content: bytes) -> bytes:
    """Return the content, if it is the known file's.

    Args:
        file: what it should be.
        path: where it was found, for the message.
        content: what was found.

    Returns:
        The same content.

    Raises:
        DataError: it is another file's; the message has both hashes.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise DataError(
            f"data: {path}: got sha256 {found}, wanted {file.sha256}: it is damaged or another file "
            f"than {file.name}; put that one in its place"
        )
    return content


def read(file: Known, folder: Path) -> bytes:
    """Find a file, unpack it and verify it.

    Args:
        file: which.
        folder: the data directory.

    Returns:
        Its content.

    Raises:
        AbsentError: it is not there.
        DataError: it cannot be read, or its content is not the known file's.
    """
    path = locate(file, folder)
    return verify(file, path, contents(path))
