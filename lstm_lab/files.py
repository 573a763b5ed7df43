"""Files that are whole or absent, names that stay inside, and disks that say what is wrong.

A file is written beside its place, synced, and renamed into it: a reader sees the old file, the new
one or none, never half of one. JSON knows no NaN and no infinity: both are written as null, so that
any parser reads the files. Directories are made 0700 and files 0600.
"""

import errno
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lstm_lab.errors import StorageError, UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def check_name(name: str) -> str:
    """Refuse a name that would leave its directory, hide in it, or confuse a shell.

    Args:
        name: name of an experiment, a trial or any directory made for the user.

    Returns:
        The name.

    Raises:
        UsageError: it does not fit `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.

    >>> check_name("long_range")
    'long_range'
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"directory name: {name[:80]!r}: use 1 to 64 letters, digits, dots, dashes and "
            "underscores, a letter or a digit first"
        )
    return name


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failing write into a StorageError that names the path and what to do.

    Args:
        path: what is being written.

    Raises:
        StorageError: the operating system refused.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(path, error.strerror or str(error), error.errno) from error


def storage_error(path: Path, reason: str, number: int | None = None) -> StorageError:
    """The error for a path that cannot be written.

    Args:
        path: what was being written.
        reason: what the system said.
        number: its errno, where known.

    Returns:
        The error, to be raised.
    """
    fix = "free space" if number in _FULL else "make it writable"
    return StorageError(
        f"cannot write {path}: {reason}: {fix} or choose another output directory, then run the "
        "same command again; what was saved before is intact"
    )


def make_directory(path: Path) -> None:
    """Make a directory and its missing parents, each for the owner alone.

    Args:
        path: the directory; may exist.
    """
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all.

    Args:
        path: the file, in a directory that exists.
        value: its contents; NaN and infinity become null.

    Raises:
        StorageError: it cannot be written; the old file is intact.
    """
    write_bytes(path, encode(value))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: beside its place, sync, rename, sync the directory.

    Args:
        path: the file, in a directory that exists.
        data: its contents.

    Raises:
        StorageError: it cannot be written; the old file is intact.
    """
    beside = path.with_name(f".{path.name}.tmp")
    with writing(path):
        beside.unlink(missing_ok=True)
        try:
            file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(file)
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        sync(path.parent)


def sync(path: Path) -> None:
    """Force a file, or the names in a directory, to the disk.

    Args:
        path: the file or directory.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def dumps(value: Any, indent: int | None = None) -> str:
    """JSON that every parser reads.

    Args:
        value: mappings, sequences, numbers, texts, and arrays of NumPy or JAX.
        indent: spaces per level; None for one line.

    Returns:
        The text, ASCII, in the order given, with null for NaN and infinity.

    >>> dumps({"loss": float("nan"), "seeds": (0, 1)})
    '{"loss": null, "seeds": [0, 1]}'
    """
    return json.dumps(_plain(value), indent=indent, allow_nan=False)


def encode(value: Any) -> bytes:
    """The contents that :func:`write_json` gives a file.

    Args:
        value: as for :func:`dumps`.

    Returns:
        One line per item, indented; equal values give equal bytes.
    """
    return dumps(value, indent=1).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
