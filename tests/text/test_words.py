"""Words as the Penn Treebank and WikiText have them."""

import lzma
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_lab.errors import DataError
from lstm_lab.text.corpora import END as DOCUMENT_END
from lstm_lab.text.vocabulary import encode_pieces
from lstm_lab.text.words import WordVocabulary

WIKITEXT = " \n = Title = \n \n the <unk> of the cat , the end \n"


def test_every_line_ends_an_empty_one_too() -> None:
    vocabulary = WordVocabulary.of(WIKITEXT)
    words = [vocabulary.symbols[i] for i in vocabulary.encode(WIKITEXT)]
    expected = "<eos> = Title = <eos> <eos> the <unk> of the cat , the end <eos>"
    assert words == expected.split()
    assert vocabulary.decode(vocabulary.encode(WIKITEXT)) == (
        "\n= Title =\n\nthe <unk> of the cat , the end\n"
    )


def test_what_ends_a_document_is_a_word() -> None:
    text = f"one.{DOCUMENT_END}two\n{DOCUMENT_END}two"
    vocabulary = WordVocabulary.of(text)
    words = [vocabulary.symbols[i] for i in vocabulary.encode(text)]
    assert words == ["one.", DOCUMENT_END, "two", "<eos>", DOCUMENT_END, "two"]


def test_a_line_that_is_not_at_its_end_has_none() -> None:
    vocabulary = WordVocabulary.of("a b")
    assert [vocabulary.symbols[i] for i in vocabulary.encode("a b")] == ["a", "b"]


def test_the_most_frequent_come_first_and_equals_by_the_alphabet() -> None:
    text = "c c c b a d d <unk> <unk> <eos>"
    assert WordVocabulary.of(text).symbols == ("<unk>", "<eos>", "c", "d", "a", "b")
    assert WordVocabulary.of(text, cutoff=2).symbols == ("<unk>", "<eos>", "c", "d")
    assert WordVocabulary.of(text, size=5).symbols == ("<unk>", "<eos>", "c", "d", "a")
    assert WordVocabulary.of(text, cutoff=3, size=5).symbols == ("<unk>", "<eos>", "c")


@given(st.text(" \n\t\r\u2028\xa0ab.", max_size=40))
def test_words_and_lines_are_those_of_the_published_code(text: str) -> None:
    # Both repositories: for each line, line.split() + ["<eos>"].
    vocabulary = WordVocabulary.of(text)
    lines = text.split("\n")
    expected = [word for line in lines[:-1] for word in [*line.split(), "<eos>"]]
    expected += lines[-1].split()
    assert [vocabulary.symbols[i] for i in vocabulary.encode(text)] == expected


def test_a_prompt_that_is_dropped_leaves_the_space_after_it() -> None:
    vocabulary = WordVocabulary.of("the cat sat\n")
    prompt, *drawn = np.split(vocabulary.encode("the cat sat\nthe cat"), [1, 2, 4, 5])
    assert list(vocabulary.stream([prompt, *drawn])) == ["the", " cat", " sat\n", "the", " cat"]


@pytest.mark.parametrize(
    "symbols",
    [
        (),
        ("a", "b"),
        ("<unk>", "<eos>", "a", "a"),
        ("<unk>", "<eos>", "a b"),
        ("<unk>", "<eos>", ""),
    ],
)
def test_symbols_that_are_no_words_are_refused(symbols: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="not <unk>, <eos> and distinct words"):
        WordVocabulary(symbols)


# Merity et al. (2017), "Pointer sentinel mixture models", ICLR, table 1: the tokens of WikiText-2.
@pytest.mark.parametrize(("part", "tokens"), [("valid", 217_646), ("test", 245_569)])
def test_wikitext_has_as_many_tokens_as_published(data_dir: Path, part: str, tokens: int) -> None:
    path = data_dir / "text" / f"wikitext2.{part}.txt.xz"
    if not path.is_file():
        pytest.skip(f"no {path.name}")
    text = lzma.decompress(path.read_bytes()).decode()
    vocabulary = WordVocabulary.of(text)
    assert len(vocabulary.encode(text)) == tokens
    rows = (text[start : start + 9973] for start in range(0, len(text), 9973))
    assert sum(map(len, encode_pieces(vocabulary, rows))) == tokens
