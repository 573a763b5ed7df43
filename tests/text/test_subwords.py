"""Byte-pair encoding: every text comes back, and the ids are those of `tokenizers` itself."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from lstm_lab.errors import DataError, UsageError
from lstm_lab.text import subwords as module
from lstm_lab.text.subwords import LETTERS, SubwordVocabulary
from lstm_lab.text.vocabulary import ByteVocabulary

CORPUS = (
    "It is the low, the lower and the lowest; they'll follow.\r\n\r\n  é 😀 naïve .\x1c .\x1c\n" * 4
)
VOCABULARY = SubwordVocabulary.of(CORPUS, size=290)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(TEXTS)
@example("\ufeffa\r\n\tb\0\x7f\u2028 \xa0<unk> <eos> 👩‍👩‍👧 e\u0301 ﬁ  ")
def test_every_text_comes_back(text: str) -> None:
    assert VOCABULARY.decode(VOCABULARY.encode(text)) == text
    assert b"".join(VOCABULARY.symbols[i] for i in VOCABULARY.encode(text)) == text.encode()


@given(TEXTS | st.text(" \n\t\x1c\x85\u2028.'thelow", max_size=60))
@example("a .\x1cb")  # white space to Python, and no end of a word to the pattern of GPT-2
def test_the_ids_are_those_of_the_library_on_the_whole_text(text: str) -> None:
    names = dict.fromkeys([*LETTERS, *map("".join, VOCABULARY.merges)])
    library = Tokenizer(BPE({name: i for i, name in enumerate(names)}, VOCABULARY.merges))
    library.pre_tokenizer = ByteLevel(add_prefix_space=False)
    assert VOCABULARY.encode(text).tolist() == library.encode(text).ids


def test_learning_twice_gives_the_same() -> None:
    assert SubwordVocabulary.of(CORPUS, size=290) == VOCABULARY
    assert VOCABULARY.size == 290


def test_the_commonest_pair_comes_first() -> None:
    assert SubwordVocabulary.of("ab ab ab cd cd", size=257).symbols[256] == b"ab"


def test_a_pair_seen_less_often_than_the_cutoff_is_not_joined() -> None:
    text = "ab ab ab cd cd"
    assert SubwordVocabulary.of(text, 999, cutoff=3).symbols[256:] == (b"ab",)
    assert b"cd" in SubwordVocabulary.of(text, 999, cutoff=2).symbols


def test_without_merges_it_is_bytes() -> None:
    text = "naïve 😀\n"
    assert SubwordVocabulary().encode(text).tolist() == ByteVocabulary().encode(text).tolist()
    assert SubwordVocabulary().size == 256


def test_the_letters_are_those_of_the_library() -> None:
    assert set(LETTERS) == set(ByteLevel.alphabet())
    [(letters, _)] = ByteLevel(add_prefix_space=False).pre_tokenize_str("é")
    assert letters == "".join(LETTERS[byte] for byte in "é".encode())


def test_two_merges_to_one_symbol_have_one_id() -> None:
    merges = (("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc"))
    vocabulary = SubwordVocabulary(merges)
    assert vocabulary.symbols[256:] == (b"ab", b"bc", b"abc")
    assert vocabulary.encode("abc").tolist() == [258]


@given(st.lists(st.integers(0, 289), max_size=30), st.lists(st.integers(0, 30), max_size=5))
def test_ids_that_are_no_text_stream_as_they_decode(ids: list[int], cuts: list[int]) -> None:
    whole = np.array(ids, np.int32)
    parts = np.split(whole, sorted(cut % (len(ids) + 1) for cut in cuts))
    assert "".join(VOCABULARY.stream(parts)) == VOCABULARY.decode(whole)


def test_a_character_cut_in_two_waits() -> None:
    parts = [np.array([byte]) for byte in "é!".encode()]
    assert list(SubwordVocabulary().stream(parts)) == ["", "é", "!", ""]


def test_a_long_text_is_handed_over_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = VOCABULARY.encode(CORPUS).tolist()
    monkeypatch.setattr(module, "PIECE", 7)
    assert VOCABULARY.encode(CORPUS).tolist() == whole
    assert SubwordVocabulary.of(CORPUS, size=290) == VOCABULARY


@pytest.mark.parametrize(
    "act", [VOCABULARY.encode, lambda text: SubwordVocabulary.of(text, size=290)]
)
def test_a_lone_surrogate_has_no_ids(act: object) -> None:
    with pytest.raises(UsageError, match=r"U\+DC80\) at position 1 is a lone surrogate"):
        act("a\udc80")  # type: ignore[operator]


def test_merges_that_could_not_be_learned_are_refused() -> None:
    with pytest.raises(DataError, match="merge 1 is \\('ab', 'd '\\)"):
        SubwordVocabulary((("a", "b"), ("ab", "d ")))


def test_tokenizers_is_imported_only_where_it_is_needed() -> None:
    code = (
        "import sys, lstm_lab.text.tokenisers as t; t.build('word', ['a']); "
        "assert 'tokenizers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
