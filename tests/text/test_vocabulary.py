"""Every text a vocabulary covers survives the way to ids and back, whole or in pieces."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_lab.errors import DataError, UsageError
from lstm_lab.text import vocabulary as module
from lstm_lab.text.vocabulary import ByteVocabulary, CharVocabulary, recut

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def pieces(ids: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    """Cut ids at the given places, taken modulo their number."""
    return np.split(ids, sorted(cut % (len(ids) + 1) for cut in cuts))


@given(TEXTS)
def test_characters_round_trip(text: str) -> None:
    vocabulary = CharVocabulary.of(text)
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int32
    assert ids.shape == (len(text),)
    assert vocabulary.decode(ids) == text
    assert list(vocabulary.symbols) == sorted(set(text))
    restored = json.loads(json.dumps(vocabulary.symbols))
    assert CharVocabulary(tuple(restored)) == vocabulary


@given(TEXTS)
def test_bytes_round_trip(text: str) -> None:
    ids = ByteVocabulary().encode(text)
    assert ids.dtype == np.int32
    assert ids.tolist() == list(text.encode())
    assert ByteVocabulary().decode(ids) == text
    assert ByteVocabulary().size == len(ByteVocabulary().symbols) == 256


@given(TEXTS, st.lists(st.integers(0, 1000), max_size=6))
def test_streaming_gives_the_same_text_wherever_it_is_cut(text: str, cuts: list[int]) -> None:
    for vocabulary in (CharVocabulary.of(text), ByteVocabulary()):
        assert "".join(vocabulary.stream(pieces(vocabulary.encode(text), cuts))) == text


@given(st.binary(max_size=40), st.lists(st.integers(0, 1000), max_size=6))
def test_bytes_that_are_no_text_stream_as_they_decode(data: bytes, cuts: list[int]) -> None:
    ids = np.frombuffer(data, np.uint8).astype(np.int32)
    whole = ByteVocabulary().decode(ids)
    assert whole == data.decode("utf-8", "replace")
    assert "".join(ByteVocabulary().stream(pieces(ids, cuts))) == whole


@given(TEXTS, st.integers(1, 9), st.integers(1, 9))
def test_a_text_cut_anew_is_the_same_text(text: str, step: int, most: int) -> None:
    pieces = [text[start : start + step] for start in range(0, len(text), step)]
    assert "".join(recut(pieces, lambda text: text.rfind("a") + 1, most)) == text
    assert all(len(piece) <= most for piece in recut(pieces, len, most))
    assert CharVocabulary.of(pieces) == CharVocabulary.of(text)


def test_long_texts_are_encoded_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "abc\U0001f40d" * 10
    vocabulary = CharVocabulary.of(text)
    whole = vocabulary.encode(text)
    monkeypatch.setattr(module, "PIECE", 7)
    np.testing.assert_array_equal(vocabulary.encode(text), whole)
    with pytest.raises(UsageError, match="position 40 "):
        vocabulary.encode(text + "?")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("abz", r"'z' \(U\+007A\) at position 2"),
        ("\U0001f40d", r"\(U\+1F40D\) at position 0"),
        ("a\n", r"'\\n' \(U\+000A\) at position 1"),
        ("ab\udc80", r"'\\udc80' \(U\+DC80\) at position 2"),
    ],
)
def test_an_unknown_character_is_named(text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named + r".*unit byte"):
        CharVocabulary.of("ab").encode(text)


def test_a_lone_surrogate_has_no_bytes() -> None:
    with pytest.raises(UsageError, match=r"U\+DC80\) at position 1 is a lone surrogate"):
        ByteVocabulary().encode("a\udc80")


@pytest.mark.parametrize("ids", [[-1], [0, 2], [[0]]])
def test_ids_outside_the_vocabulary_are_refused(ids: list) -> None:
    with pytest.raises(UsageError, match="wanted \\[N\\] of 0 to 1"):
        CharVocabulary.of("ab").decode(np.array(ids))
    with pytest.raises(UsageError, match="wanted \\[N\\] of 0 to 255"):
        ByteVocabulary().decode(np.array(ids) * 300)


@pytest.mark.parametrize("symbols", [("a", "a"), ("ab",), ("",)])
def test_symbols_that_would_not_round_trip_are_refused(symbols: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="not distinct single characters"):
        CharVocabulary(symbols)
