"""The text task reads corpora and their parts, scores what is written, refuses what it cannot cut."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.errors import DataError, UsageError
from lstm_lab.model import Model
from lstm_lab.tasks.text import Text
from lstm_lab.text.tokenisers import Unit
from lstm_lab.text.vocabulary import CharVocabulary
from lstm_lab.train import Network, examine
from lstm_lab.trial import Evaluation, Trial

KEY = jax.random.key(0)


def text_file(folder: Path, text: str) -> str:
    """Write a corpus and return its path."""
    path = folder / "corpus.txt"
    path.write_bytes(text.encode())
    return str(path)


def test_the_embedded_corpus_is_the_default_and_splits_by_symbols() -> None:
    task = Text()
    data = task.load()
    train, validation = data["train"], data["validation"]
    assert train.dtype == validation.dtype == np.uint8
    symbols = len(train) + len(validation)
    assert len(validation) == round(0.1 * symbols)
    assert isinstance(task.vocabulary(), CharVocabulary)
    assert task.vocabulary() is replace(task, length=7).vocabulary()  # built once per corpus
    assert (
        task.d_in == task.d_out == len(set(task.vocabulary().decode(np.append(train, validation))))
    )
    assert task.label == "Text pydoc length 100"
    assert len(task.sha256()) == 64
    assert np.shares_memory(task.load()["train"], train)  # read and encoded once


def test_bytes_need_no_vocabulary_of_their_own(tmp_path: Path) -> None:
    text = "\u00e9\u4e2d\U0001f40d\r\n" * 40
    task = Text(corpus=text_file(tmp_path, text), unit="byte", length=5)
    task.validate()
    data = task.load()
    ids = np.concatenate([data["train"], data["validation"]])
    assert bytes(ids.tolist()) == text.encode()
    assert task.d_in == 256
    assert task.label == "Text corpus bytes length 5"
    assert task.baselines(data)["xz"]["bits"] < 8


def test_scores_are_those_of_the_answer_given() -> None:
    task, data = Text(length=50), Text().load()
    batch = task.sample(data, KEY, 0, 4)
    perfect = task.metrics(task.oracle(batch), batch)
    assert float(perfect["loss"].max()) < task.solved["loss"]
    np.testing.assert_array_equal(perfect["accuracy"], np.ones(4))
    V = task.d_out
    uniform = task.metrics(jnp.zeros((4, 50, V)), batch)
    np.testing.assert_allclose(uniform["loss"], math.log(V), rtol=1e-6)
    np.testing.assert_allclose(uniform["bits"], math.log2(V), rtol=1e-6)
    assert task.chance == {"loss": math.log(V), "bits": math.log2(V), "accuracy": 1 / V}


# Text, and bytes per symbol where they are plain to see.
UNITS = {
    "character": ("\u00e9\u4e2da" * 1000, 2.0),
    "byte": ("\u00e9\u4e2da" * 1000, 1.0),
    "subword": ("one two\n" * 1000, None),
}


@pytest.mark.parametrize("unit", UNITS)
def test_bits_per_byte_are_those_of_the_text_whatever_the_tokeniser(
    tmp_path: Path, unit: Unit
) -> None:
    text, wanted = UNITS[unit]
    task = Text(corpus=text_file(tmp_path, text), unit=unit, length=8)
    data = task.load()
    decoded = task.vocabulary().decode(np.asarray(data["validation"][1:]))
    bytes_ = len(decoded.encode())
    if wanted:
        assert data["bytes_per_symbol"] == pytest.approx(wanted, rel=0.01)
    scores = task.conclude({"loss": np.float32(2), "bits": np.float32(2 / math.log(2))}, data)
    total = 2 * (len(data["validation"]) - 1) / math.log(2)
    assert float(scores["bits_per_byte"]) == pytest.approx(total / bytes_, rel=0.01)


def test_perplexity_is_of_the_mean_loss_and_always_finite() -> None:
    scores = Text().conclude({"loss": np.array([1.0, 1e9], np.float32)}, {})
    assert scores["perplexity"][0] == pytest.approx(math.e)
    assert np.isfinite(scores["perplexity"]).all()


def test_an_examination_ends_with_the_perplexity_of_all_it_has_read(tmp_path: Path) -> None:
    task = Text(corpus=text_file(tmp_path, "abcabd" * 60), length=4)
    model = Model(Elman())
    network = Network(Trial(model=model, task=task, d_hidden=2, evaluate=Evaluation(batch=3)))
    # A network that is sure of itself is wrong by much now and then: the mean of exp is far from exp of the mean.
    params = jax.tree.map(lambda leaf: 20 * leaf + 1, network.init(KEY))
    data = task.load()
    scores = examine(network, data, task.evaluation(data, 3), KEY, params)
    assert set(scores) == {"loss", "bits", "accuracy", "perplexity", "bits_per_byte"}
    loss = float(scores["loss"])
    assert float(scores["perplexity"]) == pytest.approx(math.exp(loss), rel=1e-5)
    assert float(scores["bits_per_byte"]) == pytest.approx(loss / math.log(2), rel=1e-5)


def test_words_have_no_bits_per_byte_and_unknown_ones_are_one_symbol(tmp_path: Path) -> None:
    corpus = text_file(tmp_path, "the cat sat\n" * 90 + "the dog sat\n" * 10)
    task = Text(corpus=corpus, unit="word", cutoff=2, length=4)
    data = task.load()
    assert task.vocabulary().symbols == ("<unk>", "<eos>", "cat", "the", "sat")
    assert task.vocabulary().decode(np.asarray(data["validation"][:4])) == "the <unk> sat\n"
    assert "bytes_per_symbol" not in data
    assert set(task.baselines(data)["markov order 1"]) == {"loss", "bits", "perplexity"}
    assert task.label == "Text corpus words seen 2 times length 4"
    sized = Text(corpus=corpus, unit="subword", vocabulary_size=260, length=4)
    assert sized.d_in == 260
    assert sized.label == "Text corpus 260 subwords length 4"


def test_given_parts_are_read_whole_and_the_test_part_last(tmp_path: Path) -> None:
    for part, text in (("train", "ab" * 30), ("valid", "abb"), ("test", "aba")):
        (tmp_path / f"{part}.txt").write_text(text)
    task = Text(corpus=str(tmp_path), length=4, held_out=2)
    task.validate()
    data = task.load()
    assert [len(data[part]) for part in ("train", "validation")] == [60, 3]
    last = task.test_data(data)
    decode = task.vocabulary().decode
    assert decode(np.asarray(last["validation"])) == "aba"
    assert decode(np.asarray(last["train"])) == "ab" * 30
    # The baselines are asked what the network is asked last: after a comes b, then a, as in training.
    assert task.baselines(data)["markov order 1"]["loss"] < 0.1
    with pytest.raises(UsageError, match=r"Text.test: got 0\.1, but the corpus comes in parts"):
        replace(task, test=0.1).validate()


def test_a_test_part_and_the_most_to_hold_out_are_cut_from_the_end(tmp_path: Path) -> None:
    corpus = text_file(tmp_path, "".join(map(chr, range(0x4E00, 0x4E00 + 1000))))
    task = Text(corpus=corpus, length=4, test=0.2)
    data = task.load()
    ids = np.concatenate([data["train"], data["validation"], data["test"]["validation"]])
    np.testing.assert_array_equal(ids, np.arange(1000))
    assert ids.dtype == np.uint16
    assert [len(data["validation"]), len(data["test"]["validation"])] == [100, 200]
    data = replace(task, held_out=150).load()
    assert [len(data["train"]), len(data["validation"])] == [750, 100]
    data = Text(corpus=corpus, length=4).load()
    assert Text().test_data(data) is data


def test_baselines_of_a_long_corpus_count_its_last_symbols(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lstm_lab.text.baselines.COUNTED", 400)
    task = Text(corpus=text_file(tmp_path, "ab" * 500 + "cd" * 500), length=4)
    scores = task.baselines(task.load())
    assert scores["markov order 0, last 400 symbols"]["bits"] == pytest.approx(1, abs=0.01)


def test_padding_in_validation_does_not_count() -> None:
    task, data = Text(length=8), Text().load()
    data = {**data, "validation": data["validation"][:11]}
    batch = task.evaluation_batch(data, KEY, 0, 4)  # 10 predictions: 3, 3, 3 and 1
    np.testing.assert_array_equal(task.weight(batch), [3, 3, 3, 1])
    nonsense = jnp.where(batch.mask[..., None], task.oracle(batch), jnp.float32(jnp.nan))
    assert float(task.loss(nonsense, batch).max()) < 1e-5


def test_baselines_on_the_embedded_corpus() -> None:
    task = Text()
    data = task.load()
    scores = task.baselines(data)
    loss = {name: score["loss"] for name, score in scores.items()}
    assert set(loss) == {"xz", *(f"markov order {k}" for k in range(6))}
    names = {"loss", "bits", "bits_per_byte", "perplexity"}
    assert all(set(score) == names for score in scores.values())
    for score in scores.values():
        assert score["bits"] == pytest.approx(score["loss"] / math.log(2))
    # The text belongs to the Python version, so the bounds are wide: 1.40, 1.32 and 0.98 on 3.11.
    ladder = [task.chance["loss"], *(loss[f"markov order {k}"] for k in range(5)), loss["xz"]]
    assert ladder == sorted(ladder, reverse=True)
    assert loss["markov order 3"] == pytest.approx(1.40, abs=0.1)
    assert loss["markov order 4"] == pytest.approx(1.32, abs=0.1)
    assert loss["xz"] == pytest.approx(0.98, abs=0.1)


def test_markov_order_0_is_the_frequency_of_symbols(tmp_path: Path) -> None:
    task = Text(corpus=text_file(tmp_path, "ab" * 500), length=4)
    scores = task.baselines(task.load())
    assert scores["markov order 0"]["bits"] == pytest.approx(1, abs=1e-3)
    assert scores["markov order 1"]["bits"] < 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 0}, "Text.length: got 0, wanted an integer of at least 1"),
        ({"length": -3}, "Text.length: got -3"),
        ({"validation": 0.0}, "validation: got 0.0, wanted a fraction between 0 and 1"),
        ({"validation": 1.0}, "validation: got 1.0"),
        ({"validation": float("nan")}, "validation: got nan"),
        ({"unit": "letter"}, "Text.unit: got 'letter': use character, byte, word or subword"),
        ({"separator": "dash"}, "Text.separator: got 'dash': use end or line"),
        ({"test": 0.9}, "test: got 0.9 beside 0.1"),
        ({"test": -0.1}, "test: got -0.1"),
        ({"held_out": 1}, "Text.held_out: got 1, wanted an integer of at least 2"),
        ({"cutoff": 2}, "Text.cutoff: got 2, but the unit character takes none"),
        ({"unit": "byte", "vocabulary_size": 300}, "vocabulary_size: got 300, but the unit byte"),
        ({"unit": "subword", "vocabulary_size": 255}, "got 255, wanted an integer of at least 256"),
        ({"unit": "word", "cutoff": 0}, "Text.cutoff: got 0"),
        ({"length": 8, "jitter": 4}, "Text.jitter: got 4 with length 8 and contiguous batching"),
        ({"jitter": 1, "batching": "windows"}, "Text.jitter: got 1 with .* windows batching"),
        ({"jitter": -1}, "Text.jitter: got -1, wanted an integer of at least 0"),
        ({"batching": "random"}, "Text.batching: got 'random': use contiguous or windows"),
    ],
)
def test_bad_fields_are_refused(change: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(Text(), **change).validate()


@pytest.mark.parametrize(
    ("content", "length", "message"),
    [
        (b"", 1, "is empty"),
        (b"x", 1, "has 1 symbols, 1 to train and 0 to validate on"),
        (b"x" * 20, 18, "18 to train and 2 to validate on, and length 18 needs 19 and 2"),
        (b"x" * 14, 1, "13 to train and 1 to validate on"),
        (b"caf\xe9", 1, "is not UTF-8, with 0xe9 at byte 3"),
        (b"a\0", 1, "with a zero at byte 1"),
    ],
)
def test_bad_corpora_are_refused_before_and_while_loading(
    tmp_path: Path, content: bytes, length: int, message: str
) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    task = Text(corpus=str(path), length=length)
    for refuse in (task.validate, task.load):
        with pytest.raises(DataError, match=message) as caught:
            refuse()
        assert caught.value.exit_code == 3


def test_a_corpus_may_be_just_long_enough(tmp_path: Path) -> None:
    task = Text(corpus=text_file(tmp_path, "x" * 20), length=17)
    task.validate()
    task.check(1)
    data = task.load()
    assert np.asarray(task.sample(data, KEY, 5, 1).x).shape == (1, 17)
    assert task.evaluation(data, 1) == 1


@pytest.mark.parametrize("batching", ["contiguous", "windows"])
def test_a_batch_larger_than_the_data_is_refused(
    tmp_path: Path, batching: Literal["contiguous", "windows"]
) -> None:
    task = Text(corpus=text_file(tmp_path, "x" * 100), length=10, batching=batching)
    task.check(8)  # 90 to train on
    message = "got 9 streams of length 10, 91 symbols .* has 90: take a batch of at most 8"
    with pytest.raises(UsageError, match=message):
        task.check(9)
    with pytest.raises(UsageError, match="batch: got 0"):
        task.check(0)


def test_validation_needs_neither_datasets_nor_much_time(tmp_path: Path) -> None:
    program = (
        "import sys, time; from lstm_lab.tasks.text import Text; start = time.time();"
        f"Text().validate(); Text({text_file(tmp_path, 'text ' * 99_999)!r}).validate();"
        "Text('hub:owner/name').validate();"
        "assert 'datasets' not in sys.modules; assert time.time() - start < 1"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
