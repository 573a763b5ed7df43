"""Every vocabulary by the name of its unit: built from a text, kept as JSON, and read again."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from lstm_lab.errors import DataError, UsageError
from lstm_lab.text.subwords import SubwordVocabulary
from lstm_lab.text.vocabulary import ByteVocabulary, CharVocabulary, Vocabulary
from lstm_lab.text.words import WordVocabulary

Unit = Literal["character", "byte", "word", "subword"]
UNITS: tuple[Unit, ...] = get_args(Unit)

# Symbols of a subword vocabulary unless told: small, because texts here are of megabytes.
SUBWORDS = 4096


def build(
    unit: Unit, pieces: Iterable[str], *, size: int | None = None, cutoff: int = 1
) -> Vocabulary:
    """Make the vocabulary of a text.

    Args:
        unit: what a symbol is.
        pieces: the text, cut anywhere, read once; not at all for bytes.
        size: symbols at most, for words and subwords: all words, or `SUBWORDS`, unless given.
        cutoff: how often a word, or a pair that subwords join, must occur.

    Returns:
        The vocabulary; the same text gives the same, however it is cut.

    Raises:
        UsageError: no such unit, or a size or cutoff that is out of range or of no use to the unit.

    >>> build("word", ["to be or n", "ot to be"]).symbols
    ('<unk>', '<eos>', 'be', 'to', 'not', 'or')
    """
    if unit not in UNITS:
        raise UsageError(f"unit: got {unit!r}: use {', '.join(UNITS[:-1])} or {UNITS[-1]}")
    if unit == "word":
        return WordVocabulary.of(pieces, cutoff=cutoff, size=size)
    if unit == "subword":
        return SubwordVocabulary.of(pieces, SUBWORDS if size is None else size, cutoff)
    if size is not None or cutoff != 1:
        raise UsageError(
            f"size, cutoff: got {size}, {cutoff}, but the unit {unit} takes neither: leave them out"
        )
    return ByteVocabulary() if unit == "byte" else CharVocabulary.of(pieces)


def to_json(vocabulary: Vocabulary) -> dict[str, Any]:
    """Picture a vocabulary in JSON's types, for `from_json`."""
    match vocabulary:
        case CharVocabulary(symbols):
            return {"unit": "character", "symbols": list(symbols)}
        case ByteVocabulary():
            return {"unit": "byte"}
        case WordVocabulary(symbols):
            return {"unit": "word", "symbols": list(symbols)}
        case SubwordVocabulary(merges):
            return {"unit": "subword", "merges": [list(pair) for pair in merges]}
    raise TypeError(f"no picture of a {type(vocabulary).__name__}")


def from_json(data: Any) -> Vocabulary:
    """Rebuild a vocabulary from its picture.

    Args:
        data: what `to_json` returned, or what `json.loads` makes of it.

    Returns:
        The vocabulary, equal to the one pictured.

    Raises:
        DataError: the picture is damaged, or of a kind that is not known here.
    """
    match data:
        case {"unit": "byte"}:
            return ByteVocabulary()
        case {"unit": "character", "symbols": [*symbols]} if _strings(symbols):
            return CharVocabulary(tuple(symbols))
        case {"unit": "word", "symbols": [*symbols]} if _strings(symbols):
            return WordVocabulary(tuple(symbols))
        case {"unit": "subword", "merges": [*merges]} if all(
            _strings(pair) and len(pair) == 2 for pair in merges
        ):
            return SubwordVocabulary(tuple((left, right) for left, right in merges))
    unit = data.get("unit") if isinstance(data, Mapping) else data
    raise DataError(
        f"vocabulary: got unit {str(unit)[:80]!r}, wanted {', '.join(UNITS)}, with all symbols or merges: "
        "put back the file that was saved"
    )


def _strings(items: Any) -> bool:
    """Whether this is a list of strings."""
    return isinstance(items, list) and all(isinstance(item, str) for item in items)
