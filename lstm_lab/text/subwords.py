"""Parts of words: byte-level byte-pair encoding, learned from a corpus by `tokenizers`.

Sennrich et al. (2016), "Neural machine translation of rare words with subword units", ACL: start from
single symbols and, again and again, make the commonest pair of neighbours a symbol of its own. As in
GPT-2 (Radford et al., 2019, section 2.2) the single symbols are the 256 bytes of UTF-8, and pairs are
joined only within what the pattern of GPT-2 holds for a word, a space before it included. So every
text has ids and every text comes back as it was: nothing is normalised, and no space is added.

Ids 0 to 255 are the bytes, as in `ByteVocabulary`; the rest follow in the order they were learned.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lstm_lab.errors import DataError, UsageError
from lstm_lab.text.vocabulary import checked, decoded, recut, utf8

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Characters handed over at a time. `tokenizers` keeps a hundred bytes and more for each symbol of
# a text, and collects 256 pieces before it learns from them.
PIECE = 1 << 16


def _letters() -> tuple[str, ...]:
    """The letter that `tokenizers` and GPT-2 write for each byte: those that can be seen are their own."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in seen else next(others)) for byte in range(256))


LETTERS = _letters()
_BYTE = {letter: bytes([byte]) for byte, letter in enumerate(LETTERS)}


@dataclass(frozen=True)
class SubwordVocabulary:
    """One id per byte, and one per sequence of bytes that was learned.

    Attributes:
        merges: the pairs that became one, in the order they were learned, a letter of `LETTERS` for
            each byte: the lines of a `merges.txt`.

    >>> vocabulary = SubwordVocabulary.of("low lower lowest", size=258)
    >>> vocabulary.symbols[256:], vocabulary.encode("low").tolist()
    ((b'lo', b'low'), [257])
    """

    merges: tuple[tuple[str, str], ...] = ()

    lost: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Refuse merges that could not have been learned."""
        known = set(LETTERS)
        for n, pair in enumerate(self.merges):
            if not known.issuperset(pair):
                raise DataError(
                    f"vocabulary: merge {n} is {pair!r}, wanted a pair of symbols known before it: "
                    "build it with SubwordVocabulary.of(text, size)"
                )
            known.add("".join(pair))

    @classmethod
    def of(cls, pieces: Iterable[str], size: int, cutoff: int = 1) -> "SubwordVocabulary":
        """Learn a vocabulary from a text; the same text gives the same.

        Args:
            pieces: a text, or its pieces, cut anywhere.
            size: symbols, bytes included; fewer where the text gives no more.
            cutoff: how often a pair must occur to become a symbol.

        Raises:
            UsageError: the size is below 256 or the cutoff below 1, or a lone surrogate in the text.
        """
        for name, got, least in (("cutoff", cutoff, 1), ("size", size, 256)):
            if got < least:
                raise UsageError(
                    f"{name}: got {got}, wanted at least {least}: set it to {least} or more"
                )
        from tokenizers.trainers import BpeTrainer

        tokenizer = _tokenizer()
        trainer = BpeTrainer(
            vocab_size=size,
            min_frequency=cutoff,
            initial_alphabet=list(LETTERS),
            show_progress=False,
        )
        parts = recut((pieces,) if isinstance(pieces, str) else pieces, _cut, PIECE)
        tokenizer.train_from_iterator((part for part in parts if utf8(part)), trainer)
        merges = json.loads(tokenizer.to_str())["model"]["merges"]
        return cls(tuple((left, right) for left, right in merges))

    @cached_property
    def symbols(self) -> tuple[bytes, ...]:
        """The bytes of each symbol."""
        return tuple(b"".join(_BYTE[letter] for letter in name) for name in self._names)

    @property
    def size(self) -> int:
        """Number of symbols V."""
        return len(self.symbols)

    def encode(self, text: str) -> np.ndarray:
        """Turn any text into ids, int32 [N]; raises UsageError for a lone surrogate, which has no UTF-8."""
        utf8(text)
        encode = self._tokenizer.encode_batch_fast
        parts = [encode([part])[0].ids for part in recut((text,), _cut, PIECE)]
        return np.concatenate([np.empty(0, np.int32), *(np.array(ids, np.int32) for ids in parts)])

    def decode(self, ids: np.ndarray) -> str:
        """Turn ids [N] back into text; bytes that are no UTF-8, which a model may draw, are U+FFFD.

        Raises UsageError for an id outside the vocabulary.
        """
        return self._bytes(ids).decode("utf-8", errors="replace")

    def stream(self, pieces: Iterable[np.ndarray]) -> Iterator[str]:
        """Decode ids [N] piece by piece; a character cut in two waits for its other bytes."""
        return decoded(map(self._bytes, pieces))

    def cut(self, text: str) -> int:
        """Before the last space or line end that follows something else: there a word ends."""
        return _cut(text)

    def _bytes(self, ids: np.ndarray) -> bytes:
        """The bytes of ids [N]."""
        return b"".join(self.symbols[i] for i in checked(ids, self.size).tolist())

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """Each symbol in letters. Two merges may come to the same symbol: "ab" and "c", "a" and "bc"."""
        return tuple(dict.fromkeys((*LETTERS, *map("".join, self.merges))))

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        """What encodes."""
        return _tokenizer({name: i for i, name in enumerate(self._names)}, self.merges)


def _tokenizer(
    ids: dict[str, int] | None = None, merges: Sequence[tuple[str, str]] | None = None
) -> "Tokenizer":
    """GPT-2's, with these symbols and merges, or none yet."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel

    tokenizer = Tokenizer(BPE(ids, merges))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return tokenizer


def _cut(text: str) -> int:
    """The last place where nothing to the right changes the pattern's words to the left, nor the reverse.

    The pattern ends every word before white space, and looks ahead from white space alone: so before
    a space that follows something else. Python's white space has four control characters more than the
    pattern's, which are of no harm before the cut, but would be behind it: hence these two alone.
    """
    return max(_last(text, " "), _last(text, "\n"))


def _last(text: str, gap: str) -> int:
    """The last place of a character that does not follow white space; 0 if there is none."""
    at = text.rfind(gap)
    while at > 0 and text[at - 1].isspace():
        at = text.rfind(gap, 0, at)
    return max(at, 0)
