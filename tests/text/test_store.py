"""Tokens are made once, found again, made again where they are damaged, and the same in memory and on disk."""

import json
from pathlib import Path

import numpy as np
import pytest

from lstm_lab.text import store
from lstm_lab.text.corpora import Corpus, open_corpus
from lstm_lab.text.store import Tokeniser, Tokens, tokenise

TEXT = "the quick brown fox \u00e9 jumps over the lazy dog\n" * 300
TOKENISERS = (
    Tokeniser("character"),
    Tokeniser("byte"),
    Tokeniser("word", learned=0.9),
    Tokeniser("subword", 300, 2, 0.9),
)


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """A corpus of which tokens are kept on disk."""
    monkeypatch.setattr(store, "SMALL", 0)
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "cache"))
    (tmp_path / "corpus.txt").write_text(TEXT)
    return open_corpus(str(tmp_path / "corpus.txt"))


def kept(tmp_path: Path) -> Path:
    """The one directory in the cache."""
    (path,) = (tmp_path / "cache").iterdir()
    return path


def same(a: Tokens, b: Tokens) -> bool:
    return a.vocabulary == b.vocabulary and all(
        np.array_equal(a.parts[part], b.parts[part]) for part in a.parts
    )


@pytest.mark.parametrize("tokeniser", TOKENISERS, ids=lambda t: t.unit)
def test_what_is_kept_is_what_would_be_in_memory(
    corpus: Corpus, tokeniser: Tokeniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = tokenise(corpus, tokeniser)
    assert isinstance(mapped.parts["whole"], np.memmap)
    # Aligned so, JAX takes it as it is on a CPU.
    assert mapped.parts["whole"].ctypes.data % 64 == 0
    monkeypatch.setattr(store, "SMALL", 1 << 20)
    held = tokenise(corpus, tokeniser)
    assert not isinstance(held.parts["whole"], np.memmap)
    assert same(mapped, held)
    assert held.parts["whole"].dtype == (np.uint16 if tokeniser.unit == "subword" else np.uint8)
    for tokens in (mapped, held):
        with pytest.raises(ValueError, match="read-only"):
            tokens.parts["whole"][0] = 1
        if not tokens.vocabulary.lost:
            assert tokens.vocabulary.decode(tokens.parts["whole"]) == TEXT


def test_a_corpus_is_tokenised_once(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tokenise(corpus, TOKENISERS[0])
    found = json.loads((kept(tmp_path) / "manifest.json").read_text())
    assert found["tokeniser"]["unit"] == "character"

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("tokenised again")

    monkeypatch.setattr(store, "encode_pieces", forbidden)
    monkeypatch.setattr(store, "build", forbidden)
    assert same(first, tokenise(corpus, TOKENISERS[0]))
    with pytest.raises(AssertionError, match="tokenised again"):
        tokenise(corpus, TOKENISERS[1])
    assert kept(tmp_path)  # and nothing half made beside it


@pytest.mark.parametrize("name", ["whole.npy", "vocabulary.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_what_is_damaged_is_made_again(
    corpus: Corpus, tmp_path: Path, name: str, damage: str
) -> None:
    first = tokenise(corpus, TOKENISERS[0])
    expected = {part: np.array(ids) for part, ids in first.parts.items()}
    path = kept(tmp_path) / name
    raw = bytearray(path.read_bytes())
    path.unlink()
    if damage == "flip":
        raw[len(raw) // 2] ^= 1
    if damage != "remove":
        path.write_bytes(raw[: len(raw) // 2] if damage == "cut" else raw)
    again = tokenise(corpus, TOKENISERS[0])
    assert again.vocabulary == first.vocabulary
    np.testing.assert_array_equal(again.parts["whole"], expected["whole"])
    assert store._opened(kept(tmp_path)) is not None


def test_another_corpus_or_tokeniser_is_kept_beside(corpus: Corpus, tmp_path: Path) -> None:
    tokenise(corpus, TOKENISERS[0])
    tokenise(corpus, TOKENISERS[3])
    tokenise(corpus, Tokeniser("subword", 301, 2, 0.9))
    (tmp_path / "other.txt").write_text(TEXT + "x")
    tokenise(open_corpus(str(tmp_path / "other.txt")), TOKENISERS[0])
    assert len(list((tmp_path / "cache").iterdir())) == 4


def test_words_are_learned_from_what_trains(corpus: Corpus, tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("seen " * 90 + "never " * 10)
    vocabulary = tokenise(open_corpus(str(path)), Tokeniser("word", learned=0.8)).vocabulary
    assert vocabulary.symbols == ("<unk>", "<eos>", "seen")
    for part, text in (("train", "seen"), ("test", "never")):
        (tmp_path / "given").mkdir(exist_ok=True)
        (tmp_path / "given" / f"{part}.txt").write_text(text)
    given = tokenise(open_corpus(str(tmp_path / "given")), Tokeniser("word"))
    assert given.vocabulary.symbols == ("<unk>", "<eos>", "seen")
    assert given.parts["test"].tolist() == [0]
    # Of characters only the set is learned, of all parts.
    assert (
        tokenise(open_corpus(str(tmp_path / "given")), Tokeniser("character")).vocabulary.size == 5
    )


def test_a_directory_that_another_process_has_made_is_left_alone(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store._rename
    inodes = []

    def late(beside: Path, path: Path) -> None:
        """Another process is done just before."""
        monkeypatch.setattr(store, "_rename", first)
        tokenise(corpus, TOKENISERS[1])
        inodes.append(path.stat().st_ino)
        first(beside, path)

    monkeypatch.setattr(store, "_rename", late)
    tokens = tokenise(corpus, TOKENISERS[1])
    assert bytes(tokens.parts["whole"]) == TEXT.encode()
    assert kept(tmp_path).stat().st_ino == inodes[0]
