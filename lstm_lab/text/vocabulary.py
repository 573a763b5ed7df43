"""Vocabularies: text to ids and back, by character or by byte; by word and by part of a word next door.

All share one small surface, `Vocabulary`; `tokenisers.build` makes any of them by its name.

A character vocabulary is built from the *whole* corpus, validation part included, as is usual for
character language models: only the set of characters is shared, no count, and a character that the
training part never shows still costs the model dearly where it first appears. Bytes need no corpus
and cover every text, at the price of several steps per character outside ASCII.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NoReturn, Protocol

import numpy as np

from lstm_lab.errors import DataError, UsageError

# Characters encoded at a time: bounds the memory beside a long text and its ids.
PIECE = 1 << 20


class Vocabulary(Protocol):
    """What every vocabulary can do; each is a frozen dataclass, so that equal ones are equal values."""

    @property
    def symbols(self) -> tuple[Any, ...]:
        """What each id stands for: characters, bytes, words or parts of words; id 0 is the first."""

    @property
    def size(self) -> int:
        """Number of symbols V."""

    @property
    def lost(self) -> str:
        """What of a text that it covers `decode(encode(text))` has lost, in a phrase; "" if nothing."""

    def encode(self, text: str) -> np.ndarray:
        """Turn text into ids, int32 [N]; raises UsageError for a text that it does not cover."""

    def decode(self, ids: np.ndarray) -> str:
        """Turn ids [N] into text; raises UsageError for an id outside the vocabulary."""

    def stream(self, pieces: Iterable[np.ndarray]) -> Iterator[str]:
        """Decode ids [N] piece by piece as they arrive, to the same text as all at once.

        Every piece gives one text, which may be empty, and what is held back at the end another. To
        continue a text, stream its ids first and drop what they give: a word then knows whether it
        needs a space before it.
        """

    def cut(self, text: str) -> int:
        """The last place where a text may be cut, whatever follows it; 0 if nowhere.

        The ids of the two parts are those of the whole.
        """


def recut(pieces: Iterable[str], cut: Callable[[str], int], most: int = PIECE) -> Iterator[str]:
    """Cut a text anew, at places that a vocabulary allows.

    Args:
        pieces: a text, cut anywhere.
        cut: the last place where a text may be cut: `Vocabulary.cut`.
        most: characters read at a time.

    Yields:
        The same text in pieces of at most `most` characters and what a cut held back.

    >>> list(recut(["one t", "wo", " three"], lambda text: text.rfind(" ") + 1))
    ['one ', 'two ', 'three']
    """
    held = ""
    for piece in pieces:
        for start in range(0, len(piece), most):
            text = held + piece[start : start + most]
            at = cut(text)
            held = text[at:]
            if at:
                yield text[:at]
    if held:
        yield held


def encode_pieces(vocabulary: Vocabulary, pieces: Iterable[str]) -> Iterator[np.ndarray]:
    """Encode a text that is too long to hold.

    Args:
        vocabulary: any.
        pieces: the text, cut anywhere.

    Yields:
        int32 [N] ids, together those that `vocabulary.encode` gives of the whole. Memory is bounded by
        one piece and the longest stretch without a place to cut: for words, the longest word.

    Raises:
        UsageError: as `vocabulary.encode`; a position in it counts from the start of a piece.
    """
    return map(vocabulary.encode, recut(pieces, vocabulary.cut))


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

    lost: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Refuse symbols that would not round-trip."""
        if len(set(self.symbols)) < len(self.symbols) or any(len(s) != 1 for s in self.symbols):
            raise DataError(
                f"vocabulary: {len(self.symbols)} symbols are not distinct single characters: "
                "build it with CharVocabulary.of(text)"
            )

    @classmethod
    def of(cls, pieces: Iterable[str]) -> "CharVocabulary":
        """Return the vocabulary of a text's characters, in code point order.

        Args:
            pieces: a text, or its pieces, cut anywhere.
        """
        seen: set[str] = set()
        for piece in (pieces,) if isinstance(pieces, str) else pieces:
            seen.update(piece)
        return cls(tuple(sorted(seen)))

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
        return "".join(self.symbols[i] for i in checked(ids, self.size).tolist())

    def stream(self, pieces: Iterable[np.ndarray]) -> Iterator[str]:
        """Decode ids [N] piece by piece as they arrive."""
        return map(self.decode, pieces)

    def cut(self, text: str) -> int:
        """After the last character."""
        return len(text)

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

    lost: ClassVar[str] = ""

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
        return np.frombuffer(utf8(text), np.uint8).astype(np.int32)

    def decode(self, ids: np.ndarray) -> str:
        """Turn ids [N] back into text; bytes that are no UTF-8, which a model may draw, are U+FFFD.

        Raises UsageError for an id outside 0-255.
        """
        return _bytes(ids).decode("utf-8", errors="replace")

    def stream(self, pieces: Iterable[np.ndarray]) -> Iterator[str]:
        """Decode ids [N] piece by piece; a character cut in two waits for its other bytes."""
        return decoded(map(_bytes, pieces))

    def cut(self, text: str) -> int:
        """After the last character."""
        return len(text)


def utf8(text: str) -> bytes:
    """Return a text's UTF-8; raises UsageError for a lone surrogate, which has none."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"text: {text[error.start]!r} (U+{ord(text[error.start]):04X}) at position "
            f"{error.start} is a lone surrogate, not a character: give valid UTF-8"
        ) from error


def decoded(pieces: Iterable[bytes]) -> Iterator[str]:
    """Decode UTF-8 as it arrives: a character cut in two waits for its other bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def _bytes(ids: np.ndarray) -> bytes:
    """Return ids 0-255 as bytes."""
    return checked(ids, 256).astype(np.uint8).tobytes()


def checked(ids: np.ndarray, size: int) -> np.ndarray:
    """Return ids [N] if all are within a vocabulary of a size; raises UsageError."""
    ids = np.asarray(ids)
    if ids.ndim != 1 or (ids.size and (ids.min() < 0 or ids.max() >= size)):
        found = f"shape {ids.shape}" if ids.ndim != 1 else f"{ids.min()} to {ids.max()}"
        raise UsageError(
            f"ids: got {found}, wanted [N] of 0 to {size - 1}: "
            "decode with the vocabulary that encoded them"
        )
    return ids
