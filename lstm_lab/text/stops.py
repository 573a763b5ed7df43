"""Strings at which a text ends, found while it arrives in pieces."""

from collections.abc import Sequence


class Until:
    """Passes a text on until one of several strings is in it.

    What may be the beginning of one is held back until it is known.

    Args:
        stops: none of them empty.

    >>> until = Until(["end", "no"])
    >>> [until(piece) for piece in ("the e", "dge of n", "ow", "en", "d, not this")], until.stopped
    (['the ', 'edge of ', '', '', ''], True)
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.stopped = False
        self._stops = tuple(stops)
        self._held = ""

    def __call__(self, piece: str) -> str:
        """Return what of the text so far, not returned before, comes before any stop."""
        if self.stopped:
            return ""
        text = self._held + piece
        # The one that is whole first ends the text, so that its pieces do not matter.
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            return text[: min(found)[1]]
        longest = max((_overlap(text, stop) for stop in self._stops), default=0)
        cut = len(text) - longest
        self._held = text[cut:]
        return text[:cut]

    def rest(self) -> str:
        """Return what was held back, where the text has ended without a stop."""
        held, self._held = self._held, ""
        return "" if self.stopped else held


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of a text that begins a stop, the whole of it excluded."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
