"""Corpora: one string of text per name, with its hash, or a refusal that says what is wrong.

A corpus is named by a short specification::

    ""  or  "pydoc"                            the Python language reference, from the library
    "hub:OWNER/NAME[/CONFIG][:SPLIT[:COLUMN]]" a data set of the Hugging Face hub (train, text)
    anything else                              a file of UTF-8 text, plain or compressed (.xz, .gz)

The default needs no network and no file, but its text belongs to the Python version: the hash tells
which one a result was measured on. A file comes back exactly as it is: byte-order mark, carriage
returns, U+2028 and the missing or present final newline are characters like any other.
"""

import difflib
import gzip
import hashlib
import lzma
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstm_lab.data import hub
from lstm_lab.errors import DataError, UsageError, one_line

DEFAULT = "pydoc"
ROW = 1 << 20  # characters


@dataclass(frozen=True)
class Corpus:
    """A text and its identity.

    Attributes:
        name: short name for tables: "pydoc", the file's stem, or the data set's name.
        text: every character, unchanged.
        sha256: hash of the text as UTF-8, 64 hex digits; the same for a file and its compression.
    """

    name: str
    text: str
    sha256: str


class Size(NamedTuple):
    """How long a corpus is, in characters and in bytes of UTF-8."""

    characters: int
    bytes: int


def load_corpus(spec: str = "") -> Corpus:
    """Read a corpus.

    Args:
        spec: "", "pydoc", "hub:OWNER/NAME[/CONFIG][:SPLIT[:COLUMN]]", or a path.

    Returns:
        The corpus. A data set's rows are joined, each on lines of its own.

    Raises:
        DataError: the corpus is missing, empty, not UTF-8 text, or cannot be downloaded; without
            network within five seconds.

    >>> load_corpus().name
    'pydoc'
    """
    if hub.is_hub(spec):
        text = hub.fetch(hub.parse(spec)).decode()
        if not text:
            raise DataError(f"corpus: {spec!r} has no characters: choose another split or column")
    else:
        text = _pydoc() if spec in ("", DEFAULT) else _through_datasets(_read(spec))
    return Corpus(corpus_name(spec), text, hashlib.sha256(text.encode()).hexdigest())


def corpus_name(spec: str) -> str:
    """Return the short name of a corpus, without reading it.

    >>> corpus_name(""), corpus_name("hub:roneneldan/TinyStories"), corpus_name("a/war.txt.xz")
    ('pydoc', 'TinyStories', 'war')
    """
    if spec in ("", DEFAULT):
        return DEFAULT
    if hub.is_hub(spec):
        return hub.parse(spec).repository.rpartition("/")[2]
    return Path(spec).name.partition(".")[0] or spec


def check_corpus(spec: str) -> Size | None:
    """Refuse a corpus that cannot be read, without network and without importing `datasets`.

    Args:
        spec: as for `load_corpus`.

    Returns:
        The corpus's size, or None for a data set of the hub, which is not touched.

    Raises:
        DataError: the file is missing, empty or not UTF-8 text, or the specification is malformed.
    """
    if hub.is_hub(spec):
        hub.parse(spec)
        return None
    text = _pydoc() if spec in ("", DEFAULT) else _read(spec)
    return Size(len(text), len(text.encode()))


def split(tokens: np.ndarray, validation: float) -> tuple[np.ndarray, np.ndarray]:
    """Cut a stream in two: the beginning to train on, the end to validate on.

    Args:
        tokens: ids, [N].
        validation: fraction 0-1 of the stream kept for validation, rounded to whole symbols.

    Returns:
        The training part and the validation part, both views.

    Raises:
        UsageError: the fraction is not strictly between 0 and 1.

    >>> split(np.arange(10), 0.2)
    (array([0, 1, 2, 3, 4, 5, 6, 7]), array([8, 9]))
    """
    if not 0 < validation < 1:
        raise UsageError(
            f"validation: got {validation!r}, wanted a fraction between 0 and 1: try 0.1"
        )
    cut = len(tokens) - round(len(tokens) * validation)
    return tokens[:cut], tokens[cut:]


def _pydoc() -> str:
    """Return the Python language reference as `help()` shows it, topics in alphabetical order."""
    from pydoc_data.topics import topics

    return "".join(topics[name] for name in sorted(topics))


def _read(spec: str) -> str:
    """Return the text of a file, exactly; raises DataError where it is not text."""
    # Decoding ourselves keeps the carriage returns and knows the offset of the first bad byte.
    raw = _decompress(spec, _bytes(spec))
    if not raw:
        raise DataError(f"corpus: {spec!r} is empty: give a file of UTF-8 text")
    if (zero := raw.find(b"\0")) >= 0:
        raise DataError(
            f"corpus: {spec!r} is binary, with a zero at byte {zero}: give a file of UTF-8 text"
        )
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"corpus: {spec!r} is not UTF-8, with 0x{raw[error.start]:02x} at byte {error.start}: "
            "convert it, for example with iconv -f LATIN1 -t UTF-8"
        ) from error


def _bytes(spec: str) -> bytes:
    """Return the bytes of a regular file, or raise a DataError that says why not."""
    try:
        path = Path(spec).expanduser()
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise DataError(f"corpus: {spec!r} is a folder: name one file in it")
        if not stat.S_ISREG(mode):  # a pipe or a device may never end
            raise DataError(f"corpus: {spec!r} is not a regular file: save its text to one first")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"corpus: no file {_shown(spec)}: {_suggestion(spec)}") from error
    except (OSError, RuntimeError, ValueError) as error:  # no permission, no home, NUL in the name
        raise DataError(
            f"corpus: cannot read {_shown(spec)} ({one_line(error)[:80]}): "
            "give a readable file of UTF-8 text"
        ) from error


def _decompress(spec: str, raw: bytes) -> bytes:
    """Undo the compression that the file's suffix names, if any."""
    suffix = Path(spec).suffix.lower()
    try:
        if suffix == ".xz":
            return lzma.decompress(raw)
        return gzip.decompress(raw) if suffix == ".gz" else raw
    except (lzma.LZMAError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"corpus: {spec!r} is not a whole {suffix} file ({one_line(error)}): "
            "fetch it again, or rename it if it is plain text"
        ) from error


def _through_datasets(text: str) -> str:
    """Pass the text of a file through `datasets`, as every row from the hub passes.

    Its own text loader, with `sample_by="document"` too, reads in universal-newline mode and turns
    a carriage return into a line feed; rows that we cut from the text keep all characters. They
    are streamed, because a table of one long row is copied several times over.
    """
    if find_spec("datasets") is None:
        raise DataError("corpus: package datasets is not installed: pip install 'datasets>=5.2,<6'")
    from datasets import IterableDataset

    def rows() -> Iterator[dict[str, str]]:
        for start in range(0, len(text), ROW):
            yield {"text": text[start : start + ROW]}

    return "".join(row["text"] for row in IterableDataset.from_generator(rows))


def _suggestion(spec: str) -> str:
    """Say what to give instead of a file that does not exist: one of a similar name, if any."""
    path = Path(spec).expanduser()
    try:
        neighbours = {p.name: str(p) for p in path.parent.iterdir() if p.is_file()}
    except OSError:
        neighbours = {}
    # Compared up to the first dot too: "nietzsche.txt" is near "nietzsche.txt.xz", and "pydocs".
    candidates = {**{n.partition(".")[0]: p for n, p in neighbours.items()}, **neighbours}
    candidates[DEFAULT] = DEFAULT
    near = difflib.get_close_matches(path.name[:100], candidates, n=1) or (
        difflib.get_close_matches(path.name.partition(".")[0][:100], candidates, n=1)
    )
    alternatives = "a path, hub:OWNER/NAME, or nothing for the embedded text"
    return f"did you mean {candidates[near[0]]!r}?" if near else f"give {alternatives}"


def _shown(spec: str) -> str:
    """Quote a specification for a message, shortened where it is absurdly long."""
    return repr(spec if len(spec) <= 200 else spec[:200] + "...")
