"""A unit that tracks something is found where there is one, and not where there are many that do not."""

from pathlib import Path

import numpy as np
import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.inspect.labels import labels, labels_of
from lstm_lab.inspect.states import Leaf
from lstm_lab.inspect.tracking import BLOCKS, CONTEXT, Tracked, survey, track
from lstm_lab.model import Model
from lstm_lab.text.vocabulary import ByteVocabulary
from tests.inspect.known import drawn, text

N = 1_000


def leaf(value: np.ndarray) -> Leaf:
    return Leaf(1, "h", "state", np.arange(value.shape[-1]), value)


def best(leaves: list[Leaf], label: np.ndarray) -> Tracked | None:
    return track(leaves, {"label": label}).get("label")


def text_of_lines(rng: np.random.Generator) -> str:
    lines = "".join("x" * rng.integers(1, 30) + "\n" for _ in range(N))
    return lines[:N]


@pytest.mark.parametrize("falling", [False, True])
def test_a_unit_that_counts_the_position_in_the_line_is_found(falling: bool) -> None:
    rng = np.random.default_rng(0)
    position = np.stack([labels(text_of_lines(rng))["position in the line"] for _ in range(2)])
    noise = rng.normal(size=(2, N, 50))
    counts = np.tanh(position / 40) * (-1 if falling else 1) + 0.01 * noise[..., 0]
    leaves = [leaf(noise), leaf(np.stack([noise[..., 1], counts], axis=-1))]
    found = best(leaves, position)
    assert found is not None
    assert (found.leaf, found.place) == (1, 1)
    assert found.score > 0.95
    assert found.interval.low <= found.score <= found.interval.high


@pytest.mark.parametrize("turned", [False, True])
def test_a_unit_above_a_threshold_inside_quotes_is_found(turned: bool) -> None:
    rng = np.random.default_rng(0)
    quoted = np.stack([np.repeat(rng.random(N // 10) < 0.2, 10) for _ in range(2)])
    noise = rng.normal(size=(2, N, 50)).round(1)
    value = np.where(quoted, 5.0, 2.0) + 0.3 * noise[..., :1][..., 0]
    value = -value if turned else value
    found = best([leaf(np.concatenate([noise, value[..., None]], axis=-1))], quoted)
    assert found is not None
    assert found.place == 50
    assert found.score > 0.99


def test_the_best_of_many_that_know_nothing_scores_chance() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, N, 1_000))
    for label, chance in ((rng.random((2, N)) < 0.5, 0.5), (rng.normal(size=(2, N)), 0.0)):
        found = best([leaf(noise)], label)
        # What it would look like, scored where it was chosen.
        flattered = best([leaf(noise[[0, 0]])], label[[0, 0]])
        assert found is not None
        assert flattered is not None
        assert found.score < chance + 0.03
        assert found.interval.low < chance
        assert flattered.score > found.score


def test_what_hardly_varies_is_not_scored() -> None:
    rng = np.random.default_rng(0)
    rare = np.zeros((2, N), bool)
    rare[:, :100] = True
    assert best([leaf(rng.normal(size=(2, N, 3)))], rare) is None
    assert best([], rare) is None


def test_a_quotation_and_brackets_end_with_the_paragraph() -> None:
    found = labels('say "no (it\n\nis [a {b}] "c" d) e')
    assert np.flatnonzero(found["inside double quotes"]).tolist() == [*range(4, 12), 24, 25]
    assert found["bracket depth"].max() == 2
    assert found["bracket depth"][12] == 0
    assert found["bracket depth"][-1] == 0


def test_a_symbol_has_the_label_of_its_last_character() -> None:
    ids = ByteVocabulary().encode("é B\nc")
    found = labels_of(ByteVocabulary(), ids)
    assert found["inside a word"].tolist() == [True, True, False, True, False, True]
    assert found["upper case"].tolist() == [False, False, False, True, False, False]
    assert found["position in the line"].tolist() == [1, 1, 2, 3, 0, 1]


def test_the_survey_scores_both_networks_on_held_out_text(tmp_path: Path) -> None:
    task = text(tmp_path)
    network, params = drawn(task, Model(cell=Elman()))
    ids = task.load()["train"]
    data = {"train": ids, "validation": ids[7 : CONTEXT + 40 * BLOCKS]}
    rows = survey(network, params, data, task.vocabulary())
    assert {row.label for row in rows} >= {"position in the line", "end of a line"}
    assert "digit" not in {row.label for row in rows}
    gains = [row.trained.score - row.untrained.score for row in rows]
    assert gains == sorted(gains, reverse=True)
    assert not survey(network, params, {**data, "validation": ids[:CONTEXT]}, task.vocabulary())
