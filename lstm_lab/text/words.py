"""Words: what stands between white space, one `<eos>` for each line end, `<unk>` for rare words.

The conventions of the Penn Treebank as Mikolov prepared it and of WikiText (Merity et al., 2017,
"Pointer sentinel mixture models", ICLR): the code of pytorch/examples and of AWD-LSTM splits each line
at white space and appends `<eos>`, to empty lines too. Those texts are cut into words already, and hold
`<unk>` where a rare word was: here it is the `<unk>` of words that are not known. That code counts the
words of all three parts, `<unk>` and `<eos>` among them: 33,278 for WikiText-2; 10,000 for the Penn
Treebank, all of which its training part has. Which text decides here is for who builds to say.

Other text is taken as it is, split at white space: "end." and "end" are two words. Where that
is not wanted, take parts of words (`subwords.py`), or cut the text into words first. The character
that ends a document in a corpus of several (`corpora.py`) is a word of its own wherever it stands.

Two differences: a last line without a line end gets `<eos>` there and none here, so that a prompt is
not ended and pieces add up; and only "\n" ends a line here, a carriage return is white space.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from lstm_lab.errors import DataError, UsageError
from lstm_lab.text.corpora import END as DOCUMENT_END
from lstm_lab.text.vocabulary import checked, recut

UNKNOWN, END = "<unk>", "<eos>"


@dataclass(frozen=True)
class WordVocabulary:
    """One id per word; a word that is not known is `<unk>`.

    Attributes:
        symbols: `<unk>`, `<eos>`, then the words, distinct and without white space.

    >>> vocabulary = WordVocabulary.of("the cat saw the dog\\n", cutoff=2)
    >>> vocabulary.symbols, vocabulary.encode("the cat\\n").tolist()
    (('<unk>', '<eos>', 'the'), [2, 0, 1])
    """

    symbols: tuple[str, ...]

    lost: ClassVar[str] = "white space other than line ends, and words outside the vocabulary"

    def __post_init__(self) -> None:
        """Refuse symbols that no text could give."""
        distinct = len(set(self.symbols)) == len(self.symbols)
        words = all(symbol.split() == [symbol] for symbol in self.symbols)
        if self.symbols[:2] != (UNKNOWN, END) or not distinct or not words:
            raise DataError(
                f"vocabulary: {len(self.symbols)} symbols are not {UNKNOWN}, {END} and distinct words: "
                "build it with WordVocabulary.of(text)"
            )

    @classmethod
    def of(
        cls, pieces: Iterable[str], cutoff: int = 1, size: int | None = None
    ) -> "WordVocabulary":
        """Return the vocabulary of a text's words, the most frequent first, equals in alphabetical order.

        Args:
            pieces: a text, or its pieces, cut anywhere; whether it is the training part or the whole
                decides which words are known.
            cutoff: how often a word must occur to be known.
            size: symbols at most, `<unk>` and `<eos>` among them: the rarest words are left out.

        Raises:
            UsageError: the cutoff is below 1 or the size below 3.
        """
        for name, got, least in (("cutoff", cutoff, 1), ("size", size, 3)):
            if got is not None and got < least:
                raise UsageError(
                    f"{name}: got {got}, wanted at least {least}: set it to {least} or more"
                )
        counts: Counter[str] = Counter()
        for piece in recut((pieces,) if isinstance(pieces, str) else pieces, _cut):
            counts.update(_words(piece))
        kept = [word for word, n in counts.items() if n >= cutoff and word not in (UNKNOWN, END)]
        kept.sort(key=lambda word: (-counts[word], word))
        return cls((UNKNOWN, END, *kept)[:size])

    @property
    def size(self) -> int:
        """Number of symbols V."""
        return len(self.symbols)

    def encode(self, text: str) -> np.ndarray:
        """Turn any text into ids, int32 [N]: its words, and an `<eos>` for each line end."""
        ids, unknown = self._ids, self._ids[UNKNOWN]
        parts = recut((text,), self.cut)
        words = (word for part in parts for word in _words(part.replace("\n", f" {END} ")))
        return np.fromiter((ids.get(word, unknown) for word in words), np.int32)

    def decode(self, ids: np.ndarray) -> str:
        """Turn ids [N] into words with a space between, and line ends; raises UsageError as `stream`."""
        return "".join(self.stream((ids,)))

    def stream(self, pieces: Iterable[np.ndarray]) -> Iterator[str]:
        """Decode ids [N] piece by piece; a space stands before a word that follows another.

        Raises UsageError for an id outside the vocabulary.
        """
        after = False
        for piece in pieces:
            text = []
            for id_ in checked(piece, self.size).tolist():
                word = self.symbols[id_]
                text.append("\n" if word == END else f" {word}" if after else word)
                after = word != END
            yield "".join(text)

    def cut(self, text: str) -> int:
        """After the last white space."""
        return _cut(text)

    @cached_property
    def _ids(self) -> dict[str, int]:
        """The id of each word."""
        return {word: i for i, word in enumerate(self.symbols)}


def _words(text: str) -> list[str]:
    """Split at white space, and around what ends a document, which is a word."""
    return text.replace(DOCUMENT_END, f" {DOCUMENT_END} ").split()


def _cut(text: str) -> int:
    """Where the last word begins, which may go on; the end of the text, if white space is there."""
    if not text or text[-1].isspace():
        return len(text)
    return len(text) - len(text.rsplit(maxsplit=1)[-1])
