"""A text passes until it stops, and whatever may be the beginning of a stop waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_lab.text.stops import Until

LETTERS = st.text("ab", max_size=12)
STOPS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=3)


@given(st.lists(LETTERS, max_size=6), STOPS)
def test_however_it_is_cut_into_pieces_it_ends_at_the_first_stop(
    pieces: list[str], stops: list[str]
) -> None:
    until, text = Until(stops), "".join(pieces)
    read = "".join([*map(until, pieces), until.rest()])
    ends = (
        (end, start)
        for end in range(len(text) + 1)
        for start in range(end)
        if text[start:end] in stops
    )
    end, start = next(ends, (None, len(text)))
    assert until.stopped == (end is not None)
    assert read == text[:start]


@pytest.mark.parametrize("piece", ["a", "the end", "\n\n"])
def test_without_stops_everything_passes_at_once(piece: str) -> None:
    assert Until([])(piece) == piece
