"""What a unit may be found to track: labels of every character, computed from the text alone.

A label says what holds once the character has been read. Bools are yes or no, floats are amounts. They follow
A. Karpathy, J. Johnson and L. Fei-Fei, "Visualizing and understanding recurrent networks" (2016), whose figure 2 has
cells for the position in a line, quotations and brackets.
"""

from collections.abc import Callable
from itertools import islice

import numpy as np

from lstm_lab.text.vocabulary import Vocabulary

OPENING, CLOSING = "([{", ")]}"


def labels(text: str) -> dict[str, np.ndarray]:
    r"""Label every character.

    A quotation and all brackets end at an empty line at the latest, so that one that is never closed misleads for a
    paragraph only.

    Args:
        text: N characters, at least 1.

    Returns:
        Bool or float `[N]` by name.

    >>> found = labels('a (b)\n"C"')
    >>> found["position in the line"].astype(int).tolist()
    [1, 2, 3, 4, 5, 0, 1, 2, 3]
    >>> found["bracket depth"].astype(int).tolist()
    [0, 0, 1, 1, 0, 0, 0, 0, 0]
    >>> np.flatnonzero(found["inside double quotes"]).tolist()
    [6, 7]
    """
    letter, newline = _where(text, str.isalpha), _where(text, "\n".__eq__)
    after = np.append(True, newline[:-1])
    quoted, depth = _inside(text, newline & after)
    return {
        "position in the line": _since(newline),
        "position in the word": _since(~letter),
        "bracket depth": depth,
        "inside double quotes": quoted,
        "inside a word": letter,
        "first letter of a word": letter & ~np.append(False, letter[:-1]),
        "upper case": _where(text, str.isupper),
        "digit": _where(text, str.isdigit),
        "first character of a line": after,
        "end of a line": newline,
    }


def labels_of(vocabulary: Vocabulary, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Label every symbol as its last character is labelled.

    Args:
        vocabulary: of the symbols; one may be several characters, or a part of one.
        ids: int `[N]`.

    Returns:
        As `labels`.
    """
    pieces = pieces_of(vocabulary, ids)
    last = np.maximum(np.cumsum([len(piece) for piece in pieces]) - 1, 0)
    return {name: label[last] for name, label in labels("".join(pieces)).items()}


def pieces_of(vocabulary: Vocabulary, ids: np.ndarray) -> list[str]:
    """The characters that each symbol of ids `[N]` completes: none for a byte inside a character."""
    return list(islice(vocabulary.stream(np.split(ids, len(ids))), len(ids)))


def _where(text: str, holds: Callable[[str], bool]) -> np.ndarray:
    """Where something holds of a character."""
    return np.fromiter(map(holds, text), bool, len(text))


def _since(event: np.ndarray) -> np.ndarray:
    """Characters since the event last held, or since before the text."""
    at = np.arange(len(event))
    return (at - np.maximum.accumulate(np.where(event, at, -1))).astype(float)


def _inside(text: str, empty_line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each character stands inside double quotes, and inside how many brackets."""
    quoted, depth = np.zeros(len(text), bool), np.zeros(len(text))
    within, level = False, 0
    for i, char in enumerate(text):
        if empty_line[i]:
            within, level = False, 0
        within ^= char == '"'
        level = max(level + (char in OPENING) - (char in CLOSING), 0)
        quoted[i], depth[i] = within, level
    return quoted, depth
