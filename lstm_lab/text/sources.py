"""Sources of documents, read piece by piece: a file, the rows of a table, a data set of the hub, the embedded text.

A file comes back exactly as it is: byte-order mark, carriage returns, U+2028 and the missing or present final newline
are characters like any other. So it is decoded here, with the offset of the first byte that is no text: `datasets`
reads text in universal-newline mode and turns a carriage return into a line feed. Tables it reads, in a stream.
"""

import codecs
import gzip
import lzma
import stat
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Protocol

from lstm_lab.data import hub
from lstm_lab.errors import DataError, one_line

TABLES = {".jsonl": "json", ".csv": "csv", ".parquet": "parquet"}
"""Suffixes of tables, and what `datasets` calls the format."""

PIECE = 1 << 20
"""Bytes that are read at a time."""

_UNPACKED: dict[str, Callable[..., Any]] = {".xz": lzma.open, ".gz": gzip.open}


class Source(Protocol):
    """What documents come from; equal sources give equal documents.

    Attributes:
        many: whether it holds any number of documents, or is one.
    """

    many: ClassVar[bool]

    def documents(self) -> Iterator[Iterator[str]]:
        """Read it, each document in pieces of any length.

        Raises:
            DataError: it is no text; the message says where.
        """
        ...


@dataclass(frozen=True)
class Embedded:
    """The Python language reference as `help()` shows it, topics in alphabetical order."""

    many: ClassVar[bool] = False

    def documents(self) -> Iterator[Iterator[str]]:
        """The one document."""
        from pydoc_data.topics import topics

        yield (topics[name] for name in sorted(topics))


@dataclass(frozen=True)
class File:
    """A file of UTF-8 text, plain or compressed (.xz, .gz).

    Attributes:
        path: of the file.
        size: in bytes, as it is.
        modified: when it was last written, in nanoseconds; another time is another source.
    """

    path: str
    size: int
    modified: int

    many: ClassVar[bool] = False

    def documents(self) -> Iterator[Iterator[str]]:
        """The one document."""
        yield chain(decoded(self.path), _unchanged(self))


@dataclass(frozen=True)
class Table:
    """A column of a file of rows; each row is a document.

    Attributes:
        path: of the file, whose suffix tells the format.
        column: the one to read.
        size: as for `File`.
        modified: as for `File`.
    """

    path: str
    column: str
    size: int
    modified: int

    many: ClassVar[bool] = True

    def documents(self) -> Iterator[Iterator[str]]:
        """The rows in their order."""
        for number, row in enumerate(self._rows(), 1):
            if self.column not in row:
                raise DataError(
                    f"corpus: {self.path!r} has no column {self.column!r}, only {', '.join(row)}: "
                    "name one after a colon, as in rows.jsonl:COLUMN"
                )
            if not isinstance(text := row[self.column], str):
                raise DataError(
                    f"corpus: {self.path!r}, row {number}: column {self.column!r} holds "
                    f"{type(text).__name__}, not text: name another after a colon, as in rows.jsonl:COLUMN"
                )
            yield iter((text,))
        yield from _unchanged(self)

    def _rows(self) -> Iterator[dict[str, Any]]:
        from datasets import load_dataset
        from datasets.utils.logging import CRITICAL, set_verbosity

        set_verbosity(CRITICAL)  # what is wrong is said below
        kind = TABLES[Path(self.path).suffix.lower()]
        # "NA" and nothing are texts.
        how = {"keep_default_na": False} if kind == "csv" else {}
        try:
            yield from load_dataset(
                kind, data_files=self.path, split="train", streaming=True, **how
            )
        except DataError:
            raise
        except Exception as error:  # each format has its own, and pandas and pyarrow theirs
            raise DataError(
                f"corpus: {self.path!r} is not whole as {kind} ({one_line(error)[:200]}): "
                "mend it, or give a file of UTF-8 text"
            ) from error


@dataclass(frozen=True)
class Hub:
    """A column of a data set of the Hugging Face hub; each row is a document."""

    source: hub.Source

    many: ClassVar[bool] = True

    def documents(self) -> Iterator[Iterator[str]]:
        """The rows in their order; the first call may fetch them."""
        return (iter((row,)) for row in hub.rows(self.source))


def source_of(path: Path, column: str = "text") -> File | Table:
    """Look at a file, without opening it.

    Args:
        path: of the file.
        column: to read where it is a table.

    Raises:
        DataError: it is no regular file.
        OSError: it cannot be looked at.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # a pipe or a device may never end
        raise DataError(f"corpus: {str(path)!r} is not a regular file: save its text to one first")
    if path.suffix.lower() in TABLES:
        return Table(str(path), column, found.st_size, found.st_mtime_ns)
    return File(str(path), found.st_size, found.st_mtime_ns)


def _unchanged(source: File | Table) -> Iterator[Any]:
    """Yield nothing; refuse a file that is not the one it was."""
    found = Path(source.path).stat()
    if (found.st_size, found.st_mtime_ns) != (source.size, source.modified):
        raise DataError(
            f"corpus: {source.path!r} has changed since it was first read: run again when it is complete"
        )
    yield from ()


def decoded(path: str) -> Iterator[str]:
    """Read the text of a file in pieces.

    Args:
        path: of a regular file; .xz and .gz are unpacked.

    Raises:
        DataError: it cannot be read, is not whole, or is not UTF-8 text; with the offset of the first bad byte.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    start = 0  # of the piece, in bytes
    for piece in _read(path):
        if (zero := piece.find(b"\0")) >= 0:
            raise DataError(
                f"corpus: {path!r} is binary, with a zero at byte {start + zero}: "
                "give a file of UTF-8 text"
            )
        yield _decode(decoder, piece, start, path)
        start += len(piece)
    yield _decode(decoder, b"", start, path, final=True)


def _decode(
    decoder: codecs.IncrementalDecoder, piece: bytes, start: int, path: str, final: bool = False
) -> str:
    start -= len(decoder.getstate()[0])  # a character that the piece before began
    try:
        return decoder.decode(piece, final)
    except UnicodeDecodeError as error:
        raise DataError(
            f"corpus: {path!r} is not UTF-8, with 0x{error.object[error.start]:02x} at byte "
            f"{start + error.start}: convert it, for example with iconv -f LATIN1 -t UTF-8"
        ) from error


def _read(path: str) -> Iterator[bytes]:
    """Read what a file holds, unpacked as its suffix says, in pieces."""
    suffix = Path(path).suffix.lower()
    try:
        with _UNPACKED.get(suffix, open)(path, "rb") as file:
            while piece := file.read(PIECE):
                yield piece
    except (lzma.LZMAError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"corpus: {path!r} is not a whole {suffix} file ({one_line(error)}): "
            "fetch it again, or rename it if it is plain text"
        ) from error
    except OSError as error:
        raise DataError(
            f"corpus: cannot read {path!r} ({one_line(error)[:80]}): "
            "give a readable file of UTF-8 text"
        ) from error
