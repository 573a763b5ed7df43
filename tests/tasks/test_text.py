"""The text task counts every symbol once, carries streams in order, refuses what it cannot cut."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_lab.cells.elman import Elman
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.min_gru import MinGRU
from lstm_lab.errors import DataError, UsageError
from lstm_lab.model import Model
from lstm_lab.tasks.base import Batch
from lstm_lab.tasks.text import Text
from lstm_lab.text.tokenisers import Unit
from lstm_lab.text.vocabulary import CharVocabulary
from lstm_lab.train import Network, examine
from lstm_lab.trial import Evaluation, Trial

KEY = jax.random.key(0)


def counting(train: int, validation: int) -> dict[str, np.ndarray]:
    """Return data whose ids are their positions, so that a batch shows where it was cut."""
    return {
        "train": np.arange(train, dtype=np.int32),
        "validation": np.arange(validation, dtype=np.int32),
    }


def text_file(folder: Path, text: str) -> str:
    """Write a corpus and return its path."""
    path = folder / "corpus.txt"
    path.write_bytes(text.encode())
    return str(path)


# Exactly one window; nothing left over; the most left over; length 1; one stream.
@pytest.mark.parametrize(
    ("batch", "length", "extra"), [(3, 5, 0), (3, 5, 15), (3, 5, 29), (4, 1, 9), (1, 7, 20)]
)
def test_an_epoch_of_contiguous_batches_covers_every_symbol_once(
    batch: int, length: int, extra: int
) -> None:
    symbols = batch * length + 1 + extra
    task, data = Text(length=length), counting(symbols, 2)
    windows = (symbols - 1) // (batch * length)
    batches = [task.sample(data, KEY, s, batch) for s in range(windows)]
    x = np.concatenate([np.asarray(b.x) for b in batches], axis=1)
    y = np.concatenate([np.asarray(b.y) for b in batches], axis=1)
    np.testing.assert_array_equal(x.ravel(), np.arange(batch * windows * length))
    np.testing.assert_array_equal(y, x + 1)
    assert symbols - 1 - x.size < batch * length
    assert all(np.asarray(b.mask).all() for b in batches)


@given(
    batch=st.integers(1, 3),
    length=st.integers(3, 8),
    windows=st.integers(1, 5),
    extra=st.integers(0, 2),
    jitter=st.integers(1, 3),
)
def test_with_jitter_every_pass_trains_on_every_symbol_once(
    batch: int, length: int, windows: int, extra: int, jitter: int
) -> None:
    jitter = min(jitter, (length - 1) // 2)
    task, data = (
        Text(length=length, jitter=jitter),
        counting(batch * windows * length + 1 + extra, 2),
    )
    for step in range(2 * windows):
        if step % windows == 0:
            read = np.zeros((batch, 0), np.int32)
        window = task.sample(data, KEY, step, batch)
        assert window.lengths is not None
        assert window.reset is not None
        x, y, mask = (np.asarray(a) for a in (window.x, window.y, window.mask))
        (steps,) = set(np.asarray(window.lengths).tolist())
        assert length - 2 * jitter <= steps <= length + 2 * jitter == x.shape[1]
        assert mask.tolist() == [[t < steps for t in range(x.shape[1])]] * batch
        assert np.asarray(window.reset).sum() == batch * (step % windows == 0)
        np.testing.assert_array_equal(y[mask], x[mask] + 1)
        read = np.append(read, x[:, :steps], axis=1)
        if step % windows == windows - 1:
            np.testing.assert_array_equal(read.ravel(), np.arange(batch * windows * length))


def test_borders_shift_by_every_step_of_the_jitter_alike_and_anew_in_each_pass() -> None:
    task, data = Text(length=5, jitter=2), counting(2 * 40 * 5 + 1, 2)
    passes = [
        np.array([task.sample(data, KEY, step, 2).x[0, 0] for step in range(first, first + 40)])
        for first in (0, 40)
    ]
    shifts = [begins - 5 * np.arange(40) for begins in passes]
    assert shifts[0][0] == shifts[1][0] == 0
    for own in shifts:
        found = np.bincount(own[1:] + 2, minlength=5)
        assert len(found) == 5
        assert found.min() > 0
    assert (shifts[0] != shifts[1]).any()
    other = [int(task.sample(data, jax.random.key(1), step, 2).x[0, 0]) for step in range(40)]
    assert (passes[0] != other).any()


@pytest.mark.parametrize("cell", [LSTM(), MinGRU()], ids=["LSTM", "minGRU"])
def test_the_state_carried_over_shifted_borders_is_that_of_one_reading(cell: Any) -> None:
    task, batch = Text(length=6, jitter=2), 3
    data = task.load()
    network = Network(Trial(model=Model(cell), task=task, d_hidden=4))
    params = network.init(jax.random.key(0))
    carry = network.initial_carry(params, batch)
    streams = np.arange(batch) * ((len(data["train"]) - 1) // (batch * 6) * 6)
    outputs = []
    for step in range(5):
        window = task.sample(data, KEY, step, batch)
        assert window.lengths is not None
        carry, y = network.apply(
            params, window.x, carry=carry, lengths=window.lengths, reset=window.reset
        )
        outputs.append(y[:, : window.lengths[0]])
    read = np.concatenate(outputs, axis=1)
    x = data["train"][streams[:, None] + np.arange(read.shape[1])]
    wanted = network.apply(params, jnp.asarray(x))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), (carry, read), wanted)


def test_a_stream_resets_at_its_first_step_and_nowhere_else() -> None:
    task, data = Text(length=3), counting(25, 2)  # 2 streams of 4 windows
    for step in range(9):
        batch = task.sample(data, KEY, step, 2)
        assert batch.reset is not None
        want = np.zeros((2, 3), bool)
        want[:, 0] = step % 4 == 0
        np.testing.assert_array_equal(batch.reset, want)
    first, again = (task.sample(data, KEY, step, 2) for step in (0, 4))
    np.testing.assert_array_equal(first.x, again.x)


# The least there is; more rows than symbols; a short last row; two empty rows; whole windows.
@pytest.mark.parametrize(
    ("symbols", "batch", "length"), [(2, 1, 1), (2, 3, 4), (12, 4, 2), (7, 5, 2), (37, 4, 3)]
)
def test_validation_counts_every_symbol_but_the_first_once(
    symbols: int, batch: int, length: int
) -> None:
    task, data = Text(length=length), counting(1, symbols)
    counted: list[int] = []
    ends = np.full(batch, -1)
    for index in range(task.evaluation(data, batch)):
        window = task.evaluation_batch(data, KEY, index, batch)
        assert window.reset is not None
        x, y, mask = (np.asarray(a) for a in (window.x, window.y, window.mask))
        assert np.asarray(window.reset)[:, 0].tolist() == [index == 0] * batch
        assert not np.asarray(window.reset)[:, 1:].any()
        np.testing.assert_array_equal(y[mask], x[mask] + 1)
        if index:  # the carry goes on: a row's next window begins where its last one ended
            np.testing.assert_array_equal(x[mask[:, 0], 0], ends[mask[:, 0]])
        ends = y[:, -1]
        counted += y[mask].tolist()
    assert sorted(counted) == list(range(1, symbols))


def test_windows_are_random_within_the_training_part_and_carry_nothing() -> None:
    task, data = Text(length=5, batching="windows"), counting(12, 2)
    assert not task.stateful
    starts: set[int] = set()
    for step in range(8):
        batch = task.sample(data, KEY, step, 16)
        assert batch.reset is None
        x = np.asarray(batch.x)
        np.testing.assert_array_equal(x, x[:, :1] + np.arange(5))
        np.testing.assert_array_equal(batch.y, x + 1)
        starts |= set(x[:, 0].tolist())
    assert starts == set(range(7))  # 6 is the last with a label for each step
    np.testing.assert_array_equal(task.sample(data, KEY, 3, 4).x, task.sample(data, KEY, 3, 4).x)
    other = task.sample(data, jax.random.key(1), 3, 16).x
    assert (np.asarray(task.sample(data, KEY, 3, 16).x) != np.asarray(other)).any()


@pytest.mark.parametrize("batching", ["contiguous", "windows"])
def test_sampling_is_traced_once_for_all_steps(
    batching: Literal["contiguous", "windows"],
) -> None:
    task, data = Text(length=4, batching=batching), counting(50, 30)
    traces = []

    @jax.jit
    def draw(data: dict, key: jax.Array, step: jax.Array) -> tuple[Batch, Batch]:
        traces.append(step)
        return task.sample(data, key, step, 3), task.evaluation_batch(data, key, step, 3)

    for step in range(3):
        drawn = draw(data, KEY, jnp.int32(step))
        eager = task.sample(data, KEY, step, 3), task.evaluation_batch(data, KEY, step, 3)
        jax.tree.map(np.testing.assert_array_equal, drawn, eager)
    assert len(traces) == 1
    assert drawn[0].x.dtype == drawn[0].y.dtype == jnp.int32


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
    task, data = Text(length=4), {}
    scores = task.conclude({"loss": np.array([1.0, 1e9], np.float32)}, data)
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
    assert task.label == "Text corpus words from 2 on length 4"
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
    monkeypatch.setattr("lstm_lab.tasks.text.COUNTED", 400)
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
