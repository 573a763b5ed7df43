"""Vocabularies: text to ids and back, by character or by byte.

Both share one small surface: `symbols`, `size`, `encode`, `decode`, and `stream` for ids that
arrive in pieces. `decode(encode(text)) == text` holds for every text the vocabulary covers.

A character vocabulary is built from the *whole* corpus, validation part included, as is usual for
character language models: only the set of characters is shared, no count, and a character that the
training part never shows still costs the model dearly where it first appears. Bytes need no corpus
and cover every text, at the price of several steps per character outside ASCII.
"""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

import numpy as np

from lstm_lab.errors import DataError, UsageError

# Characters encoded at a time: bounds the memory beside a long text and its ids.
PIECE = 1 << 20


@dataclass(frozen=True)
class CharVocabulary:
    """One id per character (Unicode code point), in the order of `symbols`.

    Attributes:
        symbols: the characters, distinct; id 0 is the first.

    >>> vocabulary = CharVocabulary.of("hello")
    >>> vocabulary.symbols, vocabulary.encode("hole").tolist()
    (('e', 'h', 'l', 'o'), [1, 3, 2, 0])
    """

    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse symbols that would not round-trip."""
        if len(set(self.symbols)) < len(self.symbols) or any(len(s) != 1 for s in self.symbols):
            raise DataError(
                f"vocabulary: {len(self.symbols)} symbols are not distinct single characters: "
                "build it with CharVocabulary.of(text)"
            )

    @classmethod
    def of(cls, text: str) -> "CharVocabulary":
        """Return the vocabulary of a text's characters, in code point order."""
        return cls(tuple(sorted(set(text))))

    @property
    def size(self) -> int:
        """Number of symbols V."""
        return len(self.symbols)

    def encode(self, text: str) -> np.ndarray:
        """Turn text into ids.

        Args:
            text: characters of the vocabulary.

        Returns:
            int32 [len(text)].

        Raises:
            UsageError: a character is not in the vocabulary; names it and its position.
        """
        ids = np.empty(len(text), np.int32)
        for start in range(0, len(text), PIECE):
            piece = text[start : start + PIECE].encode("utf-32-le", "surrogatepass")
            found = self._table[np.frombuffer(piece, "<u4")]
            if found.size and found.min() < 0:
                self._refuse(text, start + int(np.argmin(found)))
            ids[start : start + PIECE] = found
        return ids

    def decode(self, ids: np.ndarray) -> str:
        """Turn ids [N] back into text; raises UsageError for an id outside the vocabulary."""
        return "".join(self.symbols[i] for i in _checked(ids, self.size).tolist())

    def stream(self, pieces: Iterable[np.ndarray]) -> Iterator[str]:
        """Decode ids [N] piece by piece as they arrive."""
        return map(self.decode, pieces)

    def _refuse(self, text: str, position: int) -> NoReturn:
        """Raise the error for a character that is not in the vocabulary."""
        char = text[position]
        raise UsageError(
            f"text: character {char!r} (U+{ord(char):04X}) at position {position} is not among "
            f"the vocabulary's {self.size}: leave it out, or use unit byte, which takes all"
        )

    @cached_property
    def _table(self) -> np.ndarray:
        """The id of each code point, -1 where there is none, int32 [0x110000]."""
        table = np.full(0x110000, -1, np.int32)
        table[[ord(symbol) for symbol in self.symbols]] = np.arange(self.size, dtype=np.int32)
        return table


@dataclass(frozen=True)
class ByteVocabulary:
    """One id per byte of UTF-8: 256 symbols that cover every text.

    >>> ByteVocabulary().encode("é").tolist()
    [195, 169]
    """

    @property
    def symbols(self) -> tuple[int, ...]:
        """The bytes, 0 to 255."""
        return tuple(range(256))

    @property
    def size(self) -> int:
        """Number of symbols V: 256."""
        return 256

    def encode(self, text: str) -> np.ndarray:
        """Turn text into the bytes of its UTF-8.

        Args:
            text: any text.

        Returns:
            int32 [N], N at least len(text).

        Raises:
            UsageError: half of a surrogate pair, which is no character and has no UTF-8.
        """
        try:
            return np.frombuffer(text.encode(), np.uint8).astype(np.int32)
        except UnicodeEncodeError as error:
            raise UsageError(
                f"text: {text[error.start]!r} (U+{ord(text[error.start]):04X}) at position "
                f"{error.start} is a lone surrogate, not a character: give valid UTF-8"
            ) from error

    def decode(self, ids: np.ndarray) -> str:
        """Turn ids [N] back into text; bytes that are no UTF-8, which a model may draw, are U+FFFD.

        Raises UsageError for an id outside 0-255.
        """
        return _bytes(ids).decode("utf-8", errors="replace")

    def stream(self, pieces: Iterable[np.ndarray]) -> Iterator[str]:
        """Decode ids [N] piece by piece; a character cut in two waits for its other bytes."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        for piece in pieces:
            yield decoder.decode(_bytes(piece))
        yield decoder.decode(b"", final=True)


Vocabulary = CharVocabulary | ByteVocabulary


def _bytes(ids: np.ndarray) -> bytes:
    """Return ids 0-255 as bytes."""
    return _checked(ids, 256).astype(np.uint8).tobytes()


def _checked(ids: np.ndarray, size: int) -> np.ndarray:
    """Return the ids if all are within the vocabulary."""
    ids = np.asarray(ids)
    if ids.ndim != 1 or (ids.size and (ids.min() < 0 or ids.max() >= size)):
        found = f"shape {ids.shape}" if ids.ndim != 1 else f"{ids.min()} to {ids.max()}"
        raise UsageError(
            f"ids: got {found}, wanted [N] of 0 to {size - 1}: "
            "decode with the vocabulary that encoded them"
        )
    return ids
