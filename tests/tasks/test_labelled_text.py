"""Texts keep their labels and their ends, no text is in two parts, and scores are what their names say."""

from collections import Counter, defaultdict
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.errors import AbsentError, DataError, UsageError
from lstm_lab.tasks.labelled_text import LabelledText, words

# 60 good and 30 bad, each twice; ten of two labels. Few words, so that training shows them all.
ENDS = [f"{a} {b}" for a in "abcdefgh" for b in "abcdefgh"]
GOOD = [f"Good day {end}!" for end in ENDS[:60]]
BAD = [f"bad  DAY, {end}" for end in ENDS[:30]]
BOTH = [f"so so {end}" for end in ENDS[:10]]


def write(path: Path, rows: list[tuple[str, str]]) -> str:
    path.write_text("".join(f"{label}\t{text}\n" for text, label in rows))
    return str(path)


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabelledText:
    monkeypatch.setenv("LSTM_LAB_DATA", str(tmp_path))
    rows = [(text, "good") for text in 2 * GOOD + BOTH]
    rows += [(text, "bad") for text in 2 * BAD + BOTH] + [("  ", "bad")]
    write(tmp_path / "rows.txt", rows)
    return LabelledText("rows.txt", text_column="1", label_column="0", length=9, min_count=1)


def texts(task: LabelledText) -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """Every part's texts and labels, decoded."""
    parts, symbols, labels = task.corpus()
    return {
        name: [
            (tuple(symbols[i] for i in x[:length]), labels[y])
            for x, y, length in zip(part.x, part.y, part.lengths, strict=True)
        ]
        for name, part in parts.items()
    }


def test_words_are_lower_cased_and_punctuation_stands_alone() -> None:
    assert words("I DON'T think so... (naïve?) 4-5") == (
        "i", "don't", "think", "so", ".", ".", ".", "(", "naïve", "?", ")", "4", "-", "5",
    )  # fmt: skip


def test_parts_hold_every_row_once_and_share_no_text(task: LabelledText) -> None:
    found = texts(task)
    rows = [row for part in found.values() for row in part]
    wanted = {(words(text), "good") for text in GOOD + BOTH}
    wanted |= {(words(text), "bad") for text in BAD + BOTH}
    assert Counter(rows) == Counter(wanted)
    held = [{text for text, _ in part} for part in found.values()]
    assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]


def test_every_label_is_held_out_in_the_same_fractions(task: LabelledText) -> None:
    counts = {name: Counter(label for _, label in part) for name, part in texts(task).items()}
    # Texts of both labels count for the first: 70 and 30.
    for name, (good, bad) in {"test": (14, 6), "validation": (7, 3)}.items():
        assert counts[name]["good"] == good
        both = sum(text[0] == "so" for text, _ in texts(task)[name]) // 2
        assert counts[name]["bad"] == bad + both


def test_a_split_is_fixed_and_another_is_another(task: LabelledText) -> None:
    from lstm_lab.tasks import labelled_text

    first = texts(task)
    labelled_text._corpus.cache_clear()
    assert texts(task) == first
    other = LabelledText(**{**vars(task), "split": 1})
    assert set(texts(other)["test"]) != set(first["test"])


def test_what_is_cut_off_leaks_neither(task: LabelledText) -> None:
    # Two words are read: all that is good is the same text then, and so is all that is bad.
    short = LabelledText(**{**vars(task), "length": 2})
    with pytest.raises(DataError, match="got 0 texts to test on: give more texts"):
        short.load()


def test_given_parts_stand_as_they_are_and_training_leaves_them_out(
    task: LabelledText, tmp_path: Path
) -> None:
    test = [(GOOD[0], "good"), (GOOD[0], "good"), (BAD[0], "bad"), ("new words", "bad")]
    validation = [(GOOD[0], "good"), (GOOD[1], "good"), (BAD[1], "bad")]
    given = LabelledText(
        **{
            **vars(task),
            "test": write(tmp_path / "test.txt", test),
            "validation": write(tmp_path / "validation.txt", validation),
        }
    )
    found = texts(given)
    known = [(words(GOOD[0]), "good"), (words(GOOD[0]), "good"), (words(BAD[0]), "bad")]
    assert found["test"] == [*known, (("<unk>", "<unk>"), "bad")]
    assert found["validation"] == [(words(GOOD[1]), "good"), (words(BAD[1]), "bad")]
    assert len(found["train"]) == 60 + 30 + 20 - 4
    assert not {text for text, _ in found["train"]} & {words(t) for t in GOOD[:2] + BAD[:2]}


def test_a_label_that_training_never_shows_is_refused(task: LabelledText, tmp_path: Path) -> None:
    test = write(tmp_path / "test.txt", [("a b", "good"), ("c d", "ugly")])
    with pytest.raises(DataError, match="2 texts to test on, labelled 'ugly' as none is"):
        LabelledText(**{**vars(task), "test": test}).load()


def test_one_label_is_refused(task: LabelledText, tmp_path: Path) -> None:
    source = write(tmp_path / "one.txt", [(text, "good") for text in GOOD])
    with pytest.raises(DataError, match="labelled good to train on, wanted two labels"):
        LabelledText(**{**vars(task), "source": source}).load()


def test_rare_symbols_are_unknown_and_a_text_is_read_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_LAB_DATA", str(tmp_path))
    rows = [(f"{letter}aab{letter}", label) for label in "pq" for letter in "cdefghijkl"]
    task = LabelledText(
        write(tmp_path / "names.txt", [(label + text, label) for text, label in rows]),
        text_column="1", label_column="0", unit="character", length=4, min_count=3,
    )  # fmt: skip
    assert task.corpus().symbols == ("<unk>", "a", "p", "q")
    assert {text for part in texts(task).values() for text, _ in part} == {
        ("p", "<unk>", "a", "a"),
        ("q", "<unk>", "a", "a"),
    }


def test_balanced_accuracy_is_the_mean_over_labels(task: LabelledText) -> None:
    data = task.test_data(task.load())
    part = data["validation"]
    guesses = jnp.asarray(np.random.default_rng(0).normal(size=(len(part.y), 2)), jnp.float32)
    total: dict[str, float] = defaultdict(float)
    for index in range(task.evaluation(data, 8)):
        # Of batches the last is filled up, as in an examination.
        batch = task.evaluation_batch(data, jax.random.key(0), index, 8)
        rows = (index * 8 + np.arange(8)) % len(part.y)
        for name, scores in task.metrics(guesses[rows], batch).items():
            total[name] += float(jnp.sum(scores * task.weight(batch)))
        total["weight"] += float(jnp.sum(task.weight(batch)))
    right = np.asarray(guesses).argmax(axis=1) == part.y
    assert total["weight"] == len(part.y)
    assert total["accuracy"] / len(part.y) == pytest.approx(right.mean())
    wanted = np.mean([right[part.y == label].mean() for label in (0, 1)])
    assert total["balanced_accuracy"] / len(part.y) == pytest.approx(wanted)
    assert wanted != pytest.approx(right.mean())


def test_chance_is_the_most_frequent_label(task: LabelledText) -> None:
    parts, _, labels = task.corpus()
    good = labels.index("good")
    assert task.chance["accuracy"] == pytest.approx(np.mean(parts["test"].y == good))
    assert task.chance["balanced_accuracy"] == 0.5
    p = np.mean(parts["train"].y == good)
    share = task.chance["accuracy"]
    wanted = -share * np.log(p) - (1 - share) * np.log(1 - p)
    assert task.chance["loss"] == pytest.approx(wanted)


def test_counting_words_tells_what_words_tell(task: LabelledText) -> None:
    ((name, scores),) = task.baselines(task.load()).items()
    assert name == "logistic regression, word 1-2-grams"
    # All but the texts of both labels, of which one half is wrong.
    both = np.mean([text[0] == "so" for text, _ in texts(task)["test"]])
    assert scores["accuracy"] == pytest.approx(1 - both / 2)
    assert scores["loss"] < task.chance["loss"]


def test_files_that_are_not_there_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_LAB_DATA", str(tmp_path))
    with pytest.raises(AbsentError, match=r"no labelled_text/.*UCI Machine Learning Repository"):
        LabelledText().validate()
    with pytest.raises(UsageError, match="unit: got 'byte': use word or character"):
        LabelledText(unit="byte").validate()  # type: ignore[arg-type]


def test_labels_are_short_and_tell_sources_apart() -> None:
    assert LabelledText("hub:stanfordnlp/imdb:train", length=200).label == "imdb, 200 words"
    assert LabelledText("a/b/mine.csv", unit="character").label == "mine, 40 characters"


def test_real_parts_are_what_the_files_hold(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_LAB_DATA", str(data_dir))
    task = LabelledText("names_by_language", unit="character", length=20)
    try:
        task.validate()
    except AbsentError as error:
        pytest.skip(str(error))
    sizes = {name: len(part.y) for name, part in task.load().items()}
    assert sizes == {"train": 12_610, "test": 3_594, "validation": 1_808}
    assert (task.d_in, task.d_out) == (69, 18)
    found = texts(task)
    names = [{text for text, _ in part} for part in found.values()]
    assert sum(map(len, names)) == len(set.union(*names)) == 17_450
