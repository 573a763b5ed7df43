"""How much of a text is copied: the longest substring from each place that is in a corpus as well.

The lengths are the matching statistics of W. I. Chang and E. L. Lawler, "Sublinear approximate string matching and
biological applications", Algorithmica 12 (1994), section 3. The length at a place is at most one less than at the
place before, so finding all of them takes fewer than three look-ups per character, each a search of the corpus.
"""

from typing import NamedTuple

import numpy as np

from lstm_lab.errors import UsageError


class Novelty(NamedTuple):
    """What is copied: `longest`, a string, and `mean`, the mean length in characters over all places."""

    longest: str
    mean: float


def novelty(text: str, corpus: str) -> Novelty:
    """Measure what a text has copied from a corpus.

    Args:
        text: at least one character.
        corpus: what it may have been copied from.

    Raises:
        UsageError: the text is empty.

    >>> novelty("to be seen", "to be or not to be")
    Novelty(longest='to be ', mean=2.4)
    """
    if not text:
        raise UsageError("novelty: got no text, wanted at least one character: write some")
    lengths = np.array(matches(text, corpus))
    start = int(lengths.argmax())
    return Novelty(text[start : start + int(lengths[start])], float(lengths.mean()))


def matches(text: str, corpus: str) -> list[int]:
    """Return for each place of a text how long the longest substring from there is that the corpus has.

    >>> matches("to be seen", "to be or not to be")
    [6, 5, 4, 3, 2, 1, 0, 1, 1, 1]
    """
    found: list[int] = []
    length = 0
    for start in range(len(text)):
        length = max(length - 1, 0)
        while start + length < len(text) and text[start : start + length + 1] in corpus:
            length += 1
        found.append(length)
    return found
