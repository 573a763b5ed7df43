"""What is copied, against looking at every substring."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_lab.errors import UsageError
from lstm_lab.text.novelty import matches, novelty

LETTERS = st.text("ab c", max_size=20)


@given(LETTERS, LETTERS)
def test_the_lengths_are_those_of_looking_at_every_substring(text: str, corpus: str) -> None:
    wanted = [
        max(n for n in range(len(text) - start + 1) if text[start : start + n] in corpus)
        for start in range(len(text))
    ]
    assert matches(text, corpus) == wanted


def test_a_copy_is_all_copied_and_what_shares_no_letter_is_new() -> None:
    assert novelty("once upon", "it was once upon a time") == ("once upon", 5.0)
    assert novelty("xyz", "once upon a time") == ("", 0.0)
    with pytest.raises(UsageError, match="got no text"):
        novelty("", "once")
