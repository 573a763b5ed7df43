"""Tokenised corpora: made once, kept as arrays of integers on disk, and mapped into memory.

    KEY/manifest.json     what it was made from and how, and the SHA-256 of the other files
    KEY/vocabulary.json   the vocabulary
    KEY/PART.npy          ids, in the least unsigned integers that hold them

below `LSTM_LAB_CACHE_DATA`, or `lstm_lab/text` in the user's cache directory. The key is the SHA-256 of the corpus's
hash and the tokeniser's settings, so that nothing is ever found that was made otherwise. A directory is made under
another name and renamed: a reader sees all of it or nothing, and of two processes that make the same the second takes
what the first has made. What does not agree with its manifest is made again. Any of it may be deleted at any time.

A corpus below `SMALL` bytes is as soon tokenised as read, and leaves nothing on disk.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstm_lab.errors import DataError
from lstm_lab.files import make_directory, write_json, writing
from lstm_lab.text.corpora import WHOLE, Corpus, head, survey
from lstm_lab.text.tokenisers import Unit, build, from_json, to_json
from lstm_lab.text.vocabulary import Vocabulary, encode_pieces

VARIABLE = "LSTM_LAB_CACHE_DATA"
MANIFEST, VOCABULARY = "manifest.json", "vocabulary.json"
SMALL = 16 << 20
"""Bytes of text from which on tokens are kept on disk."""

# Part of the key: raise it where the same settings give other ids.
_VERSION = 1


@dataclass(frozen=True)
class Tokeniser:
    """How text becomes ids.

    Attributes:
        unit: what a symbol is; see `tokenisers.build`.
        size: symbols at most.
        cutoff: how often a word must occur to be one.
        learned: fraction 0-1 of the whole text, at its beginning, from which words and parts of words are learned, so
            that what is held out is not learned from; given parts have a part to train on for that. Characters are
            always those of the whole.
    """

    unit: Unit
    size: int | None = None
    cutoff: int = 1
    learned: float = 1.0


class Tokens(NamedTuple):
    """A corpus as a network reads it.

    Attributes:
        vocabulary: what its ids stand for.
        parts: ids [N] of each part, not to be written to.
    """

    vocabulary: Vocabulary
    parts: Mapping[str, np.ndarray]


def tokenise(corpus: Corpus, tokeniser: Tokeniser) -> Tokens:
    """Tokenise a corpus, unless that has been done before.

    Args:
        corpus: what.
        tokeniser: how.

    Raises:
        DataError: the corpus cannot be read.
        UsageError: a setting of the tokeniser is out of range.
        StorageError: what is made cannot be written.
    """
    found = survey(corpus)
    if sum(size.bytes for size in found.sizes.values()) < SMALL:
        vocabulary = learn(corpus, tokeniser)
        return Tokens(vocabulary, {part: _joined(corpus, part, vocabulary) for part in found.sizes})
    made_of = {"version": _VERSION, "corpus": found.sha256, "tokeniser": asdict(tokeniser)}
    key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    path = directory() / key
    if (kept := _opened(path)) is None:
        _make(path, corpus, learn(corpus, tokeniser), made_of)
        kept = _opened(path)
    if kept is None:
        raise DataError(f"corpus: {path} is damaged as soon as it is written: see to the disk")
    return kept


def directory() -> Path:
    """Return where tokenised corpora are kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get(VARIABLE) or Path(cache) / "lstm_lab" / "text").expanduser()


def learn(corpus: Corpus, tokeniser: Tokeniser) -> Vocabulary:
    """Make the vocabulary of a corpus.

    Args:
        corpus: read as far as need be.
        tokeniser: which.

    Raises:
        UsageError: a setting of the tokeniser is out of range.
    """
    names = [part for part, _ in corpus.parts]
    if tokeniser.unit == "character":
        pieces: Iterable[str] = (piece for part in names for piece in corpus.pieces(part))
    elif corpus.given:
        pieces = corpus.pieces(names[0])
    else:
        symbols = survey(corpus).sizes[WHOLE].characters
        pieces = head(corpus.pieces(), round(symbols * tokeniser.learned))
    return build(tokeniser.unit, pieces, size=tokeniser.size, cutoff=tokeniser.cutoff)


def _encoded(corpus: Corpus, part: str, vocabulary: Vocabulary) -> Iterator[np.ndarray]:
    dtype = np.min_scalar_type(vocabulary.size - 1)
    for ids in encode_pieces(vocabulary, corpus.pieces(part)):
        yield ids.astype(dtype)


def _joined(corpus: Corpus, part: str, vocabulary: Vocabulary) -> np.ndarray:
    ids = np.concatenate(list(_encoded(corpus, part, vocabulary)))
    ids.flags.writeable = False
    return ids


def _make(path: Path, corpus: Corpus, vocabulary: Vocabulary, made_of: Mapping[str, Any]) -> None:
    """Write a directory whole or not at all."""
    with writing(path):
        make_directory(path.parent)
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        write_json(beside / VOCABULARY, to_json(vocabulary))
        for part, _ in corpus.parts:
            with writing(path):
                _write(beside / f"{part}.npy", _encoded(corpus, part, vocabulary))
        hashes = {file.name: _sha256(file) for file in sorted(beside.iterdir())}
        write_json(beside / MANIFEST, {**made_of, "sha256": hashes})
        with writing(path):
            _rename(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(path: Path, pieces: Iterator[np.ndarray]) -> None:
    """Write ids to a .npy file as they come; how many there are is known last."""
    first = next(pieces)

    def heading(length: int) -> dict[str, Any]:
        descr = np.lib.format.dtype_to_descr(first.dtype)
        return {"descr": descr, "fortran_order": False, "shape": (length,)}

    with path.open("wb") as file:
        # The format leaves room for the length to grow.
        np.lib.format.write_array_header_1_0(file, heading(0))
        start = file.tell()
        for ids in chain((first,), pieces):
            file.write(ids.data)
        length = (file.tell() - start) // first.itemsize
        file.seek(0)
        np.lib.format.write_array_header_1_0(file, heading(length))


def _rename(beside: Path, path: Path) -> None:
    """Put a directory in its place, unless another process was first and has made a whole one."""
    try:
        beside.rename(path)
    except OSError:
        if _opened(path) is None:
            shutil.rmtree(path)
            beside.rename(path)


def _opened(path: Path) -> Tokens | None:
    """Map what is kept into memory; None where there is nothing whole."""
    try:
        hashes = json.loads((path / MANIFEST).read_text())["sha256"]
        if any(_sha256(path / name) != digest for name, digest in hashes.items()):
            return None
        vocabulary = from_json(json.loads((path / VOCABULARY).read_text()))
        names = [name for name in hashes if name != VOCABULARY]
        parts = {name.removesuffix(".npy"): np.load(path / name, mmap_mode="r") for name in names}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, DataError):
        return None
    return Tokens(vocabulary, parts)


def _sha256(path: Path) -> str:
    # Read, not mapped: pages that are mapped count as this process's memory.
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
