"""What holds for every vocabulary, whatever its unit."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_lab.errors import DataError, UsageError
from lstm_lab.text.subwords import LETTERS
from lstm_lab.text.tokenisers import UNITS, Unit, build, from_json, to_json
from lstm_lab.text.vocabulary import Vocabulary, encode_pieces

# White space of all kinds, words that merge, and characters of several bytes, more often than chance has them.
TEXTS = st.lists(
    st.sampled_from(
        [*" \n\t\r'.1é\x1c\x85\u2028\ufeff😀", "the", "low", "'ll", "  ", "\n\n", " <unk>"]
    )
    | st.characters(exclude_categories=["Cs"]),
    max_size=40,
).map("".join)
CUTS = st.lists(st.integers(0, 1000), max_size=6)
SIZES: dict[Unit, int] = {"word": 12, "subword": 280}
CORPUS = "the low lower\tlowest, they'll  follow\r\n the 😀 … 😀 .\x1c\n\n" * 3


def pieces(text: str, cuts: list[int]) -> list[str]:
    """Cut a text at the given places, taken modulo its length."""
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


def made(unit: Unit, text: str) -> Vocabulary:
    """A vocabulary that covers the text: only characters have to be its own."""
    return build(unit, [text if unit == "character" else CORPUS], size=SIZES.get(unit))


@pytest.mark.parametrize("unit", UNITS)
@given(TEXTS, CUTS)
def test_a_text_in_pieces_has_the_ids_of_the_whole(unit: Unit, text: str, cuts: list[int]) -> None:
    vocabulary = made(unit, text)
    whole = vocabulary.encode(text)
    parts = list(encode_pieces(vocabulary, pieces(text, cuts)))
    assert whole.dtype == np.int32
    assert all(part.dtype == np.int32 for part in parts)
    assert [i for part in parts for i in part.tolist()] == whole.tolist()
    for at in range(len(text) + 1):  # wherever a cut is allowed, not the last place alone
        left = text[: vocabulary.cut(text[:at])]
        both = [*vocabulary.encode(left), *vocabulary.encode(text[len(left) :])]
        assert both == whole.tolist()


@pytest.mark.parametrize("unit", UNITS)
@given(TEXTS, CUTS)
def test_ids_in_pieces_give_the_text_of_the_whole(unit: Unit, text: str, cuts: list[int]) -> None:
    vocabulary = made(unit, text)
    ids = vocabulary.encode(text)
    places = sorted(cut % (len(ids) + 1) for cut in cuts)
    texts = list(vocabulary.stream(np.split(ids, places)))
    assert "".join(texts) == vocabulary.decode(ids)
    assert len(texts) >= len(places) + 1  # one for each piece, so that a prompt's can be dropped
    if not vocabulary.lost:
        assert vocabulary.decode(ids) == text
    assert vocabulary.encode(vocabulary.decode(ids)).tolist() == ids.tolist()


@pytest.mark.parametrize("unit", UNITS)
@given(CUTS)
def test_a_vocabulary_does_not_depend_on_the_cuts_and_survives_json(
    unit: Unit, cuts: list[int]
) -> None:
    vocabulary = made(unit, CORPUS)
    assert build(unit, pieces(CORPUS, cuts), size=SIZES.get(unit)) == vocabulary
    assert vocabulary.size == len(vocabulary.symbols) == len(set(vocabulary.symbols))
    restored = from_json(json.loads(json.dumps(to_json(vocabulary))))
    assert restored == vocabulary
    assert restored.encode(CORPUS).tolist() == vocabulary.encode(CORPUS).tolist()


@pytest.mark.parametrize("unit", UNITS)
def test_ids_outside_are_refused(unit: Unit) -> None:
    vocabulary = made(unit, CORPUS)
    for ids in ([-1], [vocabulary.size], [[0]]):
        with pytest.raises(UsageError, match=f"of 0 to {vocabulary.size - 1}"):
            vocabulary.decode(np.array(ids))
        with pytest.raises(UsageError, match=f"of 0 to {vocabulary.size - 1}"):
            list(vocabulary.stream([np.array(ids)]))


@pytest.mark.parametrize("unit", UNITS)
def test_a_text_is_read_as_its_ids_are_taken(unit: Unit) -> None:
    left = iter([CORPUS] * 9)
    next(encode_pieces(made(unit, CORPUS), left))
    assert len(list(left)) == 8


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        [],
        "word",
        {},
        {"unit": "syllable"},
        {"unit": "character"},
        {"unit": "character", "symbols": ["a", 1]},
        {"unit": "character", "symbols": ["a", "a"]},
        {"unit": "word", "symbols": "abc"},
        {"unit": "word", "symbols": ["<eos>", "<unk>"]},
        {"unit": "subword", "merges": [["a"]]},
        {"unit": "subword", "merges": [["ab", "c"]]},
        {"unit": "subword", "merges": [["a", "b"], [" ", "t"]]},
        {"unit": "subword", "merges": 3},
    ],
)
def test_damaged_json_is_refused_in_one_line(damaged: Any) -> None:
    with pytest.raises(DataError, match=r"^vocabulary: .*: .*$"):
        from_json(damaged)


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (
            lambda: build(cast(Unit, "syllable"), []),
            "unit: got 'syllable': use character, byte, word or subword",
        ),
        (lambda: build("byte", [], size=300), "size, cutoff: got 300, 1, but the unit byte"),
        (lambda: build("character", [], cutoff=2), "got None, 2, but the unit character"),
        (lambda: build("word", [], size=2), "size: got 2, wanted at least 3"),
        (lambda: build("word", [], cutoff=0), "cutoff: got 0, wanted at least 1"),
        (lambda: build("subword", [], size=255), "size: got 255, wanted at least 256"),
        (lambda: build("subword", [], cutoff=0), "cutoff: got 0, wanted at least 1"),
    ],
)
def test_what_a_unit_cannot_be_built_with_is_refused(
    made: Callable[[], Vocabulary], named: str
) -> None:
    with pytest.raises(UsageError, match=named):
        made()


def test_without_a_text_only_what_needs_none_is_known() -> None:
    assert [build(unit, []).size for unit in UNITS] == [0, 256, 2, len(LETTERS)]
