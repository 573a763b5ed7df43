"""Corpora: a stream of text per name, with its hash, or a refusal that says what is wrong.

A corpus is named by a short specification::

    ""  or  "pydoc"                            the Python language reference, from the library
    "hub:OWNER/NAME[/CONFIG][:SPLIT[:COLUMN]]" a data set of the Hugging Face hub (train, text)
    "rows.jsonl[:COLUMN]"                      a table, also .csv and .parquet (text)
    a folder, or a pattern such as "a/*.txt"   every file in it, by path; hidden ones are left out
    anything else                              a file of UTF-8 text, plain or compressed (.xz, .gz)

The default needs no network and no file, but its text belongs to the Python version: the hash tells
which one a result was measured on.

A corpus of one file is that file's text and nothing else. Rows, and the files of a folder, are *documents*: each is
followed by the character U+0003, END OF TEXT, or, as is right for rows that are lines, made to end its line. The
character is text like any other to every vocabulary, so a network learns where documents end, and a text that it writes
can stop there. The state is carried across, as it is from sentence to sentence.

The parts are *given* where files say so, by "train", "valid", "val", "validation", "dev" or "test" as a word of their
name or of a folder's (`wiki.test.tokens`, `train/0.txt`), and where splits of the hub stand between commas, to train,
to validate and to test on. Otherwise there is one part, for others to cut.

Text is never held whole: it is read anew for each use, so that it may exceed the memory.
"""

import difflib
import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from lstm_lab.data import hub
from lstm_lab.errors import DataError, UsageError, one_line
from lstm_lab.text.sources import PIECE, TABLES, Embedded, File, Hub, Source, Table, source_of

DEFAULT = "pydoc"
WHOLE = "whole"
"""The name of the one part of a corpus whose parts are not given."""
PARTS = ("train", "validation", "test")
END = "\x03"
"""What follows a document where there are several."""

_WORDS = dict.fromkeys(("valid", "val", "validation", "dev"), "validation") | {
    "train": "train",
    "test": "test",
}

Separator = Literal["end", "line"]


@dataclass(frozen=True)
class Corpus:
    """What is read, and in which order; equal corpora have the same text.

    Attributes:
        spec: what it was named by.
        parts: each part's name and sources.
        separator: what follows a document where there are several: END, or a newline where it ends without one.
    """

    spec: str
    parts: tuple[tuple[str, tuple[Source, ...]], ...]
    separator: Separator = "end"

    @property
    def given(self) -> bool:
        """Whether it comes in parts."""
        return self.parts[0][0] != WHOLE

    def pieces(self, part: str = WHOLE) -> Iterator[str]:
        """Read a part.

        Args:
            part: its name.

        Yields:
            Its text, in pieces of a million characters or so.

        Raises:
            DataError: it is not there, or not text.
        """
        return _collected(self._pieces(dict(self.parts)[part]))

    def _pieces(self, sources: Iterable[Source]) -> Iterator[str]:
        several = any(len(own) > 1 or own[0].many for _, own in self.parts)
        for source in sources:
            for document in source.documents():
                last = ""
                for piece in document:
                    yield piece
                    last = piece[-1:] or last
                if several:
                    yield END if self.separator == "end" else "\n" * (last != "\n")


class Size(NamedTuple):
    """How long a text is, in characters and in bytes of UTF-8."""

    characters: int
    bytes: int


class Survey(NamedTuple):
    """What reading a corpus once tells.

    Attributes:
        sha256: of the text as UTF-8, 64 hexadecimal digits, so the same for a file and its compression; where the parts
            are given, of their names and hashes.
        sizes: of each part.
    """

    sha256: str
    sizes: Mapping[str, Size]


def open_corpus(spec: str = "", separator: Separator = "end") -> Corpus:
    """Find a corpus, without reading it.

    Args:
        spec: as above.
        separator: as for `Corpus`.

    Raises:
        DataError: there is no such thing, it is no file of text, or the specification is malformed.
    """
    if spec in ("", DEFAULT):
        return Corpus(spec, ((WHOLE, (Embedded(),)),), separator)
    if hub.is_hub(spec):
        source = hub.parse(spec)
        splits = source.split.split(",")
        names = (WHOLE,) if len(splits) == 1 else PARTS
        own = [(Hub(replace(source, split=split)),) for split in splits]
        return Corpus(spec, tuple(zip(names, own, strict=False)), separator)
    try:
        parts = _found(spec)
    except FileNotFoundError as error:
        raise DataError(f"corpus: no file {_shown(spec)}: {_suggestion(spec)}") from error
    except (OSError, RuntimeError, ValueError) as error:  # no permission, no home, NUL in the name
        raise DataError(
            f"corpus: cannot read {_shown(spec)} ({one_line(error)[:80]}): "
            "give a readable file of UTF-8 text"
        ) from error
    return Corpus(spec, parts, separator)


# A process reads a corpus once to know it; a file that is changed meanwhile is another corpus.
@lru_cache(maxsize=8)
def survey(corpus: Corpus) -> Survey:
    """Read a corpus once, from beginning to end.

    Args:
        corpus: any.

    Raises:
        DataError: it is missing, empty, not UTF-8 text, or cannot be downloaded; without network within five seconds.
    """
    hashes, sizes = {}, {}
    for part, _ in corpus.parts:
        total = hashlib.sha256()
        characters = length = 0
        for piece in corpus.pieces(part):
            raw = piece.encode()
            total.update(raw)
            characters, length = characters + len(piece), length + len(raw)
        if not length:
            which = "" if part == WHOLE else f" for {part}"
            raise DataError(f"corpus: {corpus.spec!r} is empty{which}: give UTF-8 text")
        hashes[part], sizes[part] = total.hexdigest(), Size(characters, length)
    if corpus.given:
        listed = "".join(f"{part} {digest}\n" for part, digest in hashes.items())
        return Survey(hashlib.sha256(listed.encode()).hexdigest(), sizes)
    return Survey(hashes[WHOLE], sizes)


def corpus_name(spec: str) -> str:
    """Return the short name of a corpus, without looking for it.

    >>> corpus_name(""), corpus_name("hub:roneneldan/TinyStories"), corpus_name("a/war.txt.xz"), corpus_name("a/*.txt")
    ('pydoc', 'TinyStories', 'war', 'a')
    """
    if spec in ("", DEFAULT):
        return DEFAULT
    if hub.is_hub(spec):
        return hub.parse(spec).repository.rpartition("/")[2]
    path = Path(spec)
    while glob.has_magic(path.name):
        path = path.parent
    return path.name.partition(".")[0] or spec


def head(pieces: Iterable[str], characters: int) -> Iterator[str]:
    """Return the beginning of a text, as far as the last space of so many characters.

    >>> list(head(["abc", "de fgh", "ijk"], 8))
    ['abc', 'de']
    """
    for piece in pieces:
        if len(piece) >= characters:
            at = piece.rfind(" ", 0, characters)
            yield piece[: at if at >= 0 else characters]
            return
        yield piece
        characters -= len(piece)


def split(
    tokens: np.ndarray, validation: float, test: float = 0.0, most: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut a stream in three: the beginning to train on, the end to validate and to test on.

    Args:
        tokens: ids, [N].
        validation: fraction 0-1 of the stream kept for validation, rounded to whole symbols.
        test: fraction 0-1 of the stream kept for the test, after validation.
        most: symbols that either of them gets at most.

    Returns:
        The parts to train, to validate and to test on, all views.

    Raises:
        UsageError: a fraction is out of range, or nothing is left to train on.

    >>> split(np.arange(10), 0.2)
    (array([0, 1, 2, 3, 4, 5, 6, 7]), array([8, 9]), array([], dtype=int64))
    """
    if not 0 < validation < 1:
        raise UsageError(
            f"validation: got {validation!r}, wanted a fraction between 0 and 1: try 0.1"
        )
    if not 0 <= test < 1 - validation:
        raise UsageError(
            f"test: got {test!r} beside {validation!r} to validate on, wanted a fraction from 0 that leaves "
            "some to train on: try 0.1"
        )
    most = len(tokens) if most is None else most
    kept, tested = (min(round(len(tokens) * part), most) for part in (validation, test))
    end = len(tokens) - tested
    return tokens[: end - kept], tokens[end - kept : end], tokens[end:]


def _collected(pieces: Iterable[str]) -> Iterator[str]:
    """Join short pieces, so that a million rows are not a million calls."""
    kept: list[str] = []
    length = 0
    for piece in pieces:
        kept.append(piece)
        length += len(piece)
        if length >= PIECE:
            yield "".join(kept)
            kept, length = [], 0
    if length:
        yield "".join(kept)


def _found(spec: str) -> tuple[tuple[str, tuple[File | Table, ...]], ...]:
    """Look for files; raises FileNotFoundError where there are none."""
    path = Path(spec).expanduser()
    if path.is_dir():
        return _arranged(spec, path, _below(path))
    if glob.has_magic(spec) and not path.exists():
        names = sorted(p for p in glob.glob(str(path), recursive=True) if not os.path.isdir(p))
        if not names:
            raise FileNotFoundError(spec)
        paths = [Path(name) for name in names]
        return _arranged(spec, Path(os.path.commonpath([p.parent for p in paths])), paths)
    before, _, column = spec.rpartition(":")
    if Path(before).suffix.lower() in TABLES and not path.exists():
        return ((WHOLE, (source_of(Path(before).expanduser(), column),)),)
    return ((WHOLE, (source_of(path),)),)


def _below(folder: Path) -> list[Path]:
    """Every file below a folder that is not hidden, by path."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if not name.startswith(".")]
    return sorted(found)


def _arranged(
    spec: str, folder: Path, paths: list[Path]
) -> tuple[tuple[str, tuple[File | Table, ...]], ...]:
    """Put files in the parts that they name, where they do."""
    if not paths:
        raise DataError(f"corpus: {spec!r} is a folder without files: put some in it")
    named = {path: _part(path.relative_to(folder)) for path in paths}
    present = set(named.values())
    if "train" not in present or not present & {"validation", "test"}:
        return ((WHOLE, tuple(map(source_of, paths))),)
    if strays := [path for path, part in named.items() if not part]:
        raise DataError(
            f"corpus: {spec!r} comes in parts, and {str(strays[0])!r} is of none: move it elsewhere"
        )
    return tuple(
        (part, tuple(source_of(path) for path in paths if named[path] == part))
        for part in PARTS
        if part in present
    )


def _part(path: Path) -> str:
    """The part that a path below a folder names first; empty for none."""
    words = (word for name in path.parts for word in re.split(r"[._-]", name.lower()))
    return next((_WORDS[word] for word in words if word in _WORDS), "")


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
