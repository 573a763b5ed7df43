"""The lab's own costs, asked at sizes that take seconds; what the numbers are is no test's business."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lstm_lab.bench import costs
from lstm_lab.bench.costs import (
    Compile,
    Cost,
    Generation,
    Memory,
    Overhead,
    Question,
    SecondStart,
    Seeds,
    every_question,
    quick_questions,
)
from lstm_lab.bench.costs.base import agree
from lstm_lab.cli import execute

SEEDS = Seeds(seeds=3, batch=4, length=5, hidden=4, steps=2, rounds=2)
# Its batch is cut over both devices.
OVERHEAD = Overhead(batch=32, lag=3, hidden=4, steps=2, rounds=2)
SMALL = SecondStart(batch=4, lag=3, symbols=2, hidden=4, rounds=1)
MEMORY = Memory(batch=2, lag=15, symbols=2, hidden=4, remat=4)

RATIO = Cost("a by b", "LSTM 1,2,3,4", "s", [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], bar=0.75)
SECONDS = Cost("c", "LSTM 1,2,3,4", "s", [4.0, 5.0], bar=3.0)
BYTES = Cost("d by e", "LSTM 1,2,3,4", "bytes", [2.0**20], [2.0**22])
FAILED = Cost("f", "LSTM 1,2,3,4", "s", problem="no")


@pytest.fixture(autouse=True)
def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM_LAB_CPU_DEVICES", "2")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions are answered in this process."""
    monkeypatch.setattr(Question, "ask", lambda question: question.measure())


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("question", [SEEDS, OVERHEAD], ids=lambda question: question.name)
def test_both_sides_train_alike_and_have_a_turn_in_every_round(question: Question) -> None:
    costs = question.costs()
    assert costs
    for cost in costs:
        assert len(cost.judged) == 2
        assert min(*cost.measured, *cost.against) > 0


@pytest.mark.usefixtures("here")
def test_seeds_are_held_against_runs_on_all_devices_and_against_runs_on_one() -> None:
    on_all, on_one = replace(SEEDS, batch=32).costs()
    assert (on_all.name[-11:], on_one.name[-10:]) == ("all devices", "one device")
    assert on_all.measured == on_one.measured
    assert on_all.against != on_one.against


def test_trainings_that_differ_are_not_compared() -> None:
    with pytest.raises(RuntimeError, match="not the same training"):
        agree(np.array([1.0, 2.0]), np.array([1.0, 2.1]))
    with pytest.raises(RuntimeError, match="differ by nan"):
        agree(np.array([np.nan]), np.array([np.nan]))


def test_a_second_start_finds_what_the_first_has_left(tmp_path: Path) -> None:
    cached = replace(SMALL, cache=str(tmp_path))
    first = cached.ask()
    left = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*-cache")}
    assert left
    assert sum(first[s] for s in ("tracing", "lowering", "compiling")) == pytest.approx(
        first["all"]
    )
    cached.ask()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*-cache")} == left


@pytest.mark.parametrize(("kind", "bar"), [(Compile, 3.0), (SecondStart, None)])
def test_the_bar_is_for_all_stages_together(
    kind: type[Compile], bar: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ask(question: Compile) -> dict[str, float]:
        asked.append(question.cache)
        return {"tracing": 1.0, "lowering": 2.0, "compiling": 3.0, "all": 6.0}

    monkeypatch.setattr(Question, "ask", ask)
    ready, *stages = kind(rounds=2).costs()
    assert (ready.bar, ready.measured) == (bar, [6.0, 6.0])
    assert [(stage.bar, stage.measured[0]) for stage in stages] == [
        (None, s) for s in (1.0, 2.0, 3.0)
    ]
    # One directory for all starts, and the first of them is not counted.
    assert len(asked) == 2 + (kind is SecondStart)
    assert len(set(asked)) == 1
    assert bool(asked[0]) == (kind is SecondStart)


@pytest.mark.usefixtures("here")
def test_drawing_text_is_timed_without_its_compiling() -> None:
    (cost,) = Generation(samples=2, layers=1, hidden=4, characters=5, rounds=2).costs()
    assert cost.bar == 1.0
    assert len(cost.measured) == 2
    assert min(cost.measured) > 0


@pytest.mark.usefixtures("here")
def test_rematerialisation_trains_alike_and_takes_less_by_plan() -> None:
    _, planned = MEMORY.costs()
    assert planned.bar == 0.2
    assert planned.measured[0] > 0
    assert planned.against[0] > 0


def test_a_process_that_fails_says_why() -> None:
    (cost,) = costs.measured(replace(MEMORY, hidden=0))
    assert cost.problem
    assert cost.at == replace(MEMORY, hidden=0).at
    assert cost.problem in costs.line(cost)


def test_a_table_has_a_row_for_every_cost_and_says_whether_the_bar_is_met() -> None:
    rows = costs.table(costs.record([RATIO, SECONDS, BYTES, FAILED], [])).splitlines()[2:]
    at = "| LSTM 1,2,3,4 |"
    assert rows == [
        f"| a by b {at} 2.00 [1.00, 3.00] s | 2.00 [2.00, 2.00] s | 1.000 [0.500, 1.500] | 0.75, missed |",
        f"| c {at} 4.50 [4.00, 5.00] s |  |  | 3 s, missed |",
        f"| d by e {at} 1 MiB | 4 MiB | 0.250 |  |",
        f"| f {at} no |  |  |  |",
    ]
    assert costs.line(BYTES) == "d by e, LSTM 1,2,3,4: 0.250"


def test_a_record_is_read_as_it_was_written() -> None:
    data = json.loads(json.dumps(costs.record([RATIO, SECONDS, BYTES, FAILED], ["g", "h"])))
    assert costs.read(data) == [RATIO, SECONDS, BYTES, FAILED]
    assert "Left out, as they take longer: g; h." in costs.table(data)


def test_what_is_quick_asks_less_than_all() -> None:
    def titles(questions: list[Question]) -> set[str]:
        return {question.title for question in questions}

    assert len(titles(every_question(7))) == len(every_question(7))
    assert len(titles(quick_questions(3)) & titles(every_question(7))) == 1


@pytest.mark.usefixtures("here")
def test_costs_alone_can_be_asked_for_and_are_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(costs, "quick_questions", lambda rounds: [replace(OVERHEAD, rounds=rounds)])
    words = ["bench", "--quick", "--only", "costs", "--rounds", "2", "--out", str(tmp_path)]
    assert execute(words) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "## What the lab itself costs" in said
    assert "memory: LSTM 8,16384,32,128, remat=128" in said
    assert "## A training step" not in said
    (record,) = tmp_path.glob("*.json")
    (cost,) = costs.read(json.loads(record.read_text())["costs"])
    assert len(cost.measured) == 2
    assert record.with_suffix(".md").exists()
    assert not record.with_suffix(".svg").exists()
