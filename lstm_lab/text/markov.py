"""Markov models of text: what the last few characters alone predict, with no network.

A model of order n interpolates the counts of all shorter contexts, after Witten and Bell::

    p_k(c | h) = (N(h c) + T(h) p_{k-1}(c | h')) / (N(h) + T(h))        k = 0 ... n
    p_{-1}(c)  = 1/V                                                    uniform

h the k characters before c, h' the same without the oldest, N(h c) how often c follows h in the
training part, N(h) = sum_c N(h c), and T(h) how many different characters follow h. A context never
seen has N = T = 0 and hands on to p_{k-1} whole. The counts are frozen after training; a character
with fewer than k before it in its own part is predicted by the longest order that fits.

Witten and Bell (1991), "The zero-frequency problem", IEEE Transactions on Information Theory 37(4),
method C; in interpolated form, Chen and Goodman (1999), "An empirical study of smoothing techniques
for language modeling", Computer Speech and Language 13, section 2.
"""

import lzma
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class _Level:
    """The counts of one order k, over contexts numbered by rank.

    A context is found by its key, (oldest character) * (contexts of order k-1, plus one for all
    unseen) + (number of the context without it), so keys stay small at any order.

    Attributes:
        contexts: sorted keys of the contexts seen, int64 [M].
        total: N(h), float64 [M + 1]; the last entry, 0, is the unseen context's.
        kinds: T(h), float64 [M + 1].
        pairs: sorted keys of the (h, c) seen, h * V + c, int64 [P].
        count: N(h c), float64 [P].
    """

    contexts: np.ndarray
    total: np.ndarray
    kinds: np.ndarray
    pairs: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class Markov:
    """A fitted model; build it with `fit`.

    Attributes:
        size: symbols V.
        levels: the counts of orders 0 to n.
    """

    size: int
    levels: tuple[_Level, ...]

    @classmethod
    def fit(cls, tokens: np.ndarray, size: int, order: int) -> "Markov":
        """Count every context of up to `order` characters.

        Args:
            tokens: ids of the training part, int [N].
            size: symbols V.
            order: the longest context n, in characters, at least 0.

        Returns:
            The model.
        """
        tokens = np.asarray(tokens, np.int64)
        levels: list[_Level] = []
        context = np.zeros(len(tokens), np.int64)
        for k in range(order + 1):
            keys = _keys(tokens, context, k, _ranks(levels))
            contexts, numbers = np.unique(keys, return_inverse=True)
            pairs, count = np.unique(numbers * size + tokens[k:], return_counts=True)
            total = np.bincount(pairs // size, count, minlength=len(contexts) + 1)
            kinds = np.bincount(pairs // size, minlength=len(contexts) + 1).astype(np.float64)
            levels.append(_Level(contexts, total, kinds, pairs, count.astype(np.float64)))
            context = numbers
        return cls(size, tuple(levels))

    def probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """Return the probability given to each character of a text.

        Args:
            tokens: ids, int [N]; the first has no character before it.

        Returns:
            [orders 0 to n, N], float64: row k is the model of order k.
        """
        tokens = np.asarray(tokens, np.int64)
        p = np.full(len(tokens), 1 / self.size)
        rows = []
        context = np.zeros(len(tokens), np.int64)
        for k, level in enumerate(self.levels):
            context = _find(level.contexts, _keys(tokens, context, k, _ranks(self.levels[:k])))
            pair = _find(level.pairs, context * self.size + tokens[k:])
            count = np.append(level.count, 0.0)[pair]
            total, kinds = level.total[context], level.kinds[context]
            seen = total > 0
            mixed = (count + kinds * p[k:]) / np.where(seen, total + kinds, 1.0)
            p = np.concatenate([p[:k], np.where(seen, mixed, p[k:])])
            rows.append(p)
        return np.stack(rows)

    def distribution(self, history: np.ndarray) -> np.ndarray:
        """Return the probability of every next character after a history, float64 [V]."""
        texts = (np.append(history, c).astype(np.int64) for c in range(self.size))
        return np.array([self.probabilities(text)[-1, -1] for text in texts])

    def nats(self, tokens: np.ndarray) -> np.ndarray:
        """Return the mean -log p of every character but the first, in nats, per order, [n + 1]."""
        return -np.log(self.probabilities(tokens)[:, 1:]).mean(axis=1)


def xz_bits(train: bytes, validation: bytes) -> int:
    """Measure what a compressor that has read the training part pays for the validation part.

    The size of both parts compressed together less the size of the first compressed alone, so that
    the dictionary is primed, as a model's weights are; unlike the models here, and in its favour,
    xz also goes on adapting within the validation part.

    Args:
        train: the training part, UTF-8.
        validation: the validation part, UTF-8.

    Returns:
        Bits for the whole validation part; divide by its characters.
    """
    return 8 * (len(lzma.compress(train + validation)) - len(lzma.compress(train)))


def _ranks(levels: tuple[_Level, ...] | list[_Level]) -> int:
    """Return how many numbers the contexts of the longest order so far use, unseen included."""
    return len(levels[-1].contexts) + 1 if levels else 1


def _keys(tokens: np.ndarray, context: np.ndarray, k: int, ranks: int) -> np.ndarray:
    """Return the keys of the order-k contexts of tokens[k:], from the numbers of order k - 1.

    Args:
        tokens: ids [N].
        context: numbers of the order k - 1 contexts of tokens[k - 1:]; any zeros for k = 0.
        k: the order.
        ranks: how many numbers `context` may hold.
    """
    if k == 0:
        return np.zeros(len(tokens), np.int64)
    return tokens[: max(len(tokens) - k, 0)] * ranks + context[1:]


def _find(known: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the index of each key in a sorted array, or the array's length where it is absent."""
    index = np.searchsorted(known, keys)
    present = np.append(known, -1)[index] == keys
    return np.where(present, index, len(known))
