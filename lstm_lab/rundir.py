"""One run on disk: what is written, when, and in which order.

    config.json     what is run; round-trips to the experiment   } once, before the first step
    env.json        what it runs on: lstm_lab.provenance         }
    vocabulary.json what its symbols stand for, of a text        }
    metrics.jsonl   one row per line, appended while training
    checkpoints/    see lstm_lab.checkpoint
    result.json     written last: a directory that has it is done and is never run again
    failure.json    why there is no result, where the run ended by itself
    .lock           flock held by the one process that writes here

JSON files are replaced whole. Rows of metrics are appended, so the last may be torn by a kill:
readers drop it, and resuming cuts the file back to the length that the checkpoint recorded.

The lock is the kernel's and not the file's existence, so a dead process holds nothing. It needs a
POSIX system, and a file system that knows flock.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lstm_lab.errors import CheckpointError, DataError, LockedError, UsageError
from lstm_lab.files import check_name, dumps, make_directory, sync, write_json, writing


class RunDirectory:
    """The directory of one trial, held against every other process while it is open.

    Args:
        path: the directory; made when entered, with its parents. Its name is letters, digits,
            dots, dashes and underscores, at most 64, and begins with a letter or a digit.

    Raises:
        UsageError: the name is not of that form, or the directory is a symbolic link.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(os.path.abspath(path))
        check_name(self.path.name)
        if self.path.is_symlink():
            raise UsageError(
                f"run directory {self.path}: is a symbolic link: name the directory it points to"
            )
        self.metrics = MetricsLog(self.path / "metrics.jsonl")
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Make the directory and take its lock, for the life of the process or until exit.

        Returns:
            This directory.

        Raises:
            LockedError: another process holds it; raised at once.
            StorageError: it cannot be made, or its file system cannot lock.
        """
        with writing(self.path):
            make_directory(self.path)
            lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            if other := _lock(lock):
                os.close(lock)
                raise LockedError(
                    f"run directory {self.path}: held by process {other}: "
                    "wait until it ends, or stop it, then run the same command again"
                )
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            self._lock = lock
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the metrics and let the lock go; the file stays, for removing it would race."""
        self.metrics.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints of this run live."""
        return self.path / "checkpoints"

    @property
    def finished(self) -> bool:
        """Whether the run is done, and so never to be run again."""
        return (self.path / "result.json").is_file()

    @property
    def result(self) -> dict[str, Any] | None:
        """What :meth:`finish` wrote; None while the run is not done.

        Raises:
            DataError: the file is there and does not parse.
        """
        return self.read("result.json")

    def read(self, name: str) -> dict[str, Any] | None:
        """Read one of the JSON files of this run.

        Args:
            name: file name, such as "config.json" or "env.json".

        Returns:
            Its contents; None when there is no such file.

        Raises:
            DataError: it does not parse.
        """
        path = self.path / name
        try:
            return json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DataError(
                f"{path}: not JSON ({error}): it was changed after it was written; "
                f"remove {self.path} to run the trial again"
            ) from None

    def start(self, config: Any, environment: Mapping[str, Any], vocabulary: Any = None) -> None:
        """Write down what is run and what it runs on, before the first step.

        Args:
            config: contents of config.json.
            environment: contents of env.json, from :func:`environment`.
            vocabulary: contents of vocabulary.json, from `tokenisers.to_json`; None for no such file.

        Raises:
            StorageError: they cannot be written.
        """
        if vocabulary is not None:
            write_json(self.path / "vocabulary.json", vocabulary)
        write_json(self.path / "config.json", config)
        write_json(self.path / "env.json", environment)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the result, after which the run is done. Nothing is written later.

        Args:
            result: contents of result.json; NaN and infinity become null.

        Raises:
            StorageError: it cannot be written; the run is then not done.
        """
        with writing(self.path):
            self.metrics.sync()
            (self.path / "failure.json").unlink(missing_ok=True)
        write_json(self.path / "result.json", result)

    def fail(self, status: str, reason: str, **fields: Any) -> None:
        """Write down why this run has no result. It stays resumable.

        Args:
            status: one word, such as "diverged" or "timeout".
            reason: the message of the error, one line.
            fields: what identifies the trial: trial, experiment, model, task.

        Raises:
            StorageError: it cannot be written.
        """
        write_json(self.path / "failure.json", {**fields, "status": status, "reason": reason})


def holder(path: Path) -> str | None:
    """Who holds a run directory.

    Args:
        path: the directory, which need not be there.

    Returns:
        The number of a process, or "unknown"; None where nobody does.
    """
    try:
        lock = os.open(path / ".lock", os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        return _lock(lock)
    finally:
        os.close(lock)


def _lock(file: int) -> str | None:
    """Take a lock, until its file is closed; the process that has it, where another does."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(file, 32, 0).decode("ascii", "replace").strip() or "unknown"
    return None


class Onlooker(RunDirectory):
    """The directory of a trial that another process writes: it holds no lock, and writes nothing.

    Args:
        path: the directory.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self.metrics = _NoLog(self.metrics.path)

    def __enter__(self) -> Self:
        return self

    def start(self, config: Any, environment: Mapping[str, Any], vocabulary: Any = None) -> None:
        """Leave it to the writer."""

    def finish(self, result: Mapping[str, Any]) -> None:
        """Leave it to the writer."""

    def fail(self, status: str, reason: str, **fields: Any) -> None:
        """Leave it to the writer."""


class MetricsLog:
    """The rows of a run, one JSON object per line, appended.

    Args:
        path: the file; made by the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows; they outlive the process at once, the machine after `sync`.

        Args:
            rows: one mapping per row; NumPy and JAX scalars are taken as numbers.

        Raises:
            StorageError: they cannot be written; no half row stays behind.
        """
        data = "".join(dumps(row) + "\n" for row in rows).encode()
        with writing(self.path):
            file = self._open()
            start = os.fstat(file).st_size
            try:
                while data:
                    data = data[os.write(file, data) :]
            except OSError:
                os.ftruncate(file, start)
                raise

    def sync(self) -> None:
        """Force what was appended to the disk.

        Raises:
            StorageError: it cannot be written.
        """
        with writing(self.path):
            os.fsync(self._open())

    @property
    def offset(self) -> int:
        """Length of the file, bytes, forced to the disk first: what a checkpoint records.

        Raises:
            StorageError: it cannot be written.
        """
        self.sync()
        return os.fstat(self._open()).st_size

    def truncate(self, offset: int) -> None:
        """Drop every row after a checkpoint, to write them again.

        Args:
            offset: length that the checkpoint recorded, bytes; 0 to start afresh.

        Raises:
            CheckpointError: the file is shorter: rows that the checkpoint counts on are gone.
            StorageError: it cannot be written.
        """
        with writing(self.path):
            file = self._open()
            length = os.fstat(file).st_size
            if length < offset:
                raise CheckpointError(
                    f"{self.path}: {length} bytes, the checkpoint wants {offset}: rows were lost; "
                    f"restore the file, or remove {self.path.parent} to run the trial again"
                )
            os.ftruncate(file, offset)
            os.fsync(file)

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        if self._file is None:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
            self._file = os.open(self.path, flags, 0o600)
            sync(self.path.parent)
        return self._file


class _NoLog(MetricsLog):
    """The rows of a run that another process writes."""

    @property
    def offset(self) -> int:
        """Nothing of it is here."""
        return 0

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Leave it to the writer."""

    def truncate(self, offset: int) -> None:
        """Leave it to the writer."""


def read_metrics(path: Path | str) -> list[dict[str, Any]]:
    """Read the rows of a run that may still be running, or was killed while writing.

    Args:
        path: a metrics.jsonl.

    Returns:
        The rows in order, without a torn last one; empty when there is no file.

    Raises:
        DataError: a line that is not the last does not parse.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    # What follows the last line break is empty, or the row that was being written.
    rows = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            rows.append(json.loads(line))
        except ValueError:
            raise DataError(
                f"{path}: line {number} is not JSON: {line[:40]!r}: the file was changed after it "
                "was written; restore it, or remove the run directory to run the trial again"
            ) from None
    return rows
