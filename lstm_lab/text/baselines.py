"""What predicts a text without a network, for any vocabulary: Markov models of several orders, and xz.

So that tokenisers compare, symbols are measured in bytes.
"""

import math

import numpy as np

from lstm_lab.text.markov import Markov, xz_bits
from lstm_lab.text.vocabulary import Vocabulary

# The longest context of a Markov model; beyond it, counts on texts of this size get worse.
ORDERS = 5
# Symbols that are learned from at most, the last of the training part: their counts are held in memory.
COUNTED = 1 << 22


def predictors(train: np.ndarray, asked: np.ndarray, vocabulary: Vocabulary) -> dict[str, float]:
    """Score what needs no network.

    Args:
        train: ids, int [N], to learn from; of more than `COUNTED` the last so many, and the names say so.
        asked: ids, int [M], to predict.
        vocabulary: what they stand for.

    Returns:
        Nats per symbol of Markov models of order 0 to 5, and of xz.
    """
    cut = ""
    if len(train) > COUNTED:
        train, cut = train[-COUNTED:], f", last {COUNTED:,} symbols"
    orders = Markov.fit(train, vocabulary.size, ORDERS).nats(asked)
    nats = {f"markov order {order}{cut}": float(loss) for order, loss in enumerate(orders)}
    bits = xz_bits(utf8(train, vocabulary), utf8(asked, vocabulary))
    return {**nats, f"xz{cut}": bits * math.log(2) / len(asked)}


def bytes_per_symbol(ids: np.ndarray, vocabulary: Vocabulary) -> float:
    """Return how many bytes of UTF-8 a symbol stands for on average.

    Args:
        ids: int [N], of which all but the first are predicted, and counted.
        vocabulary: what they stand for.

    >>> from lstm_lab.text.vocabulary import CharVocabulary
    >>> bytes_per_symbol(np.array([0, 0, 1]), CharVocabulary(("a", "\u00e9")))
    1.5
    """
    asked = ids[1:]
    if vocabulary.lost:
        return len(utf8(asked, vocabulary)) / len(asked)
    lengths = [len(_raw(symbol)) for symbol in vocabulary.symbols]
    return float(np.bincount(asked, minlength=vocabulary.size) @ lengths) / len(asked)


def utf8(ids: np.ndarray, vocabulary: Vocabulary) -> bytes:
    """Return the bytes that ids [N] stand for; a part of a text may begin and end inside a character."""
    if vocabulary.lost:
        return vocabulary.decode(ids).encode()
    symbols = [_raw(symbol) for symbol in vocabulary.symbols]
    return b"".join(symbols[i] for i in ids.tolist())


def _raw(symbol: str | bytes | int) -> bytes:
    """The bytes of a symbol: a character, a part of a word, or a byte."""
    if isinstance(symbol, str):
        return symbol.encode()
    return symbol if isinstance(symbol, bytes) else bytes([symbol])
