"""What a run of the benchmark says, from timings whose ratios are known."""

from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest

from lstm_lab.bench import costs, results, speed
from lstm_lab.bench.costs import Cost
from lstm_lab.bench.speed import geometric_means
from lstm_lab.bench.turns import MEASURES, Pace, Timing
from lstm_lab.bench.workload import Workload, every_workload, valid
from lstm_lab.cli import execute


def timing(framework: str, *seconds: float, problem: str = "") -> Timing:
    return Timing(framework, {m: list(seconds) for m in MEASURES}, bytes=2**21, problem=problem)


RESULTS = [
    (
        Workload("LSTM", 2, 3, 4, 5),
        [timing("lstm_lab", 0.010, 0.020), timing("A", 0.020, 0.010), timing("B", 0.040, 0.040)],
    ),
    (
        Workload("LSTM", 2, 3, 4, 6),
        [timing("lstm_lab", 0.010, 0.010), timing("A", 0.010, 0.020), timing("B", problem="no")],
    ),
]
ABOUT = {
    "device": "a CPU",
    "threads": 2,
    "versions": {"jax": "1"},
    "frameworks": {"ours": "2"},
    "absent": {"C": "it is not here"},
    "taken": 0.25,
    "not reached": [],
}
COSTS = costs.record([Cost("seeds", "LSTM", "s", [1.0], [2.0], bar=0.55)], [])


def test_the_geometric_mean_is_of_ratios_within_a_round() -> None:
    assert geometric_means(RESULTS, "A", "train") == pytest.approx([sqrt(0.5), 1.0])


def test_a_framework_that_failed_counts_where_it_did_not() -> None:
    assert geometric_means(RESULTS, "B", "train") == pytest.approx([0.25, 0.5])


def test_a_table_has_a_row_for_every_network_and_the_mean_of_each_cell() -> None:
    rows = speed.table("train", 1e6, RESULTS).splitlines()
    assert rows[2].startswith("| LSTM 2,3,4,5 | 15.0 |")
    assert "1.25 [0.50, 2.00]" in rows[2]
    assert rows[3].endswith("| no |")
    assert rows[4].startswith("| **LSTM, geometric mean of 2 shapes** |")
    assert "0.85 [0.71, 1.00]" in rows[4]


def test_the_summary_has_a_row_for_every_cell_and_measure() -> None:
    rows = speed.summary(RESULTS).splitlines()
    assert rows[0] == "| ours / theirs | A | B |"
    assert [row.split("|")[1].strip() for row in rows[2:]] == [
        f"LSTM, 2 shapes: {words}" for words in speed.SHORT.values()
    ]
    # Round by round √(½ · 1) and √(2 · ½); the least times are 10 and 10 ms against 10 and 10.
    assert (
        rows[2]
        == "| LSTM, 2 shapes: training step | 0.85 [0.71, 1.00] · 1.00 | 0.38 [0.25, 0.50] · 0.25 |"
    )


def test_a_record_is_shown_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = speed.record(ABOUT, Pace(), 1e9, RESULTS, COSTS)
    path = results.write(tmp_path, data)
    assert execute(["bench", "--show", str(path)]) == 0
    assert capsys.readouterr().out == speed.page(data, RESULTS) + "\n"
    (tmp_path / "other.json").write_text("{}")
    for wrong in ("absent.json", "other.json"):
        assert execute(["bench", "--show", str(tmp_path / wrong)]) == 2
        assert f"{wrong}: " in capsys.readouterr().err


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    data = speed.record(ABOUT, Pace(), 1e9, RESULTS, COSTS)
    path = results.write(tmp_path, data)
    assert path.name == "a-cpu.json"
    again, read = speed.read(path)
    assert again["ceiling"] == 1e9
    assert read == RESULTS
    assert speed.page(again, read) == speed.page(data, RESULTS)


def test_the_page_names_what_was_not_timed_and_the_memory() -> None:
    text = speed.page(speed.record(ABOUT, Pace(), 1e9, RESULTS, COSTS), RESULTS)
    assert "Not timed: C: it is not here." in text
    assert "gave 25% of the time" in text
    assert "| LSTM 2,3,4,5 | 2 | 2 | 2 |" in text
    assert text.endswith(costs.table(COSTS))


def test_the_page_of_an_interrupted_run_says_what_was_not_reached() -> None:
    data = speed.record(
        {**ABOUT, "not reached": ["LSTM 9,9,9,9", "costs: seeds"]}, Pace(), 1e9, RESULTS, COSTS
    )
    assert "Interrupted before: LSTM 9,9,9,9; costs: seeds." in speed.page(data, RESULTS)


def test_the_readme_has_the_summary_of_the_record_kept_beside_it() -> None:
    root = Path(__file__).parents[2]
    data, kept = speed.read(root / "experiments" / "results" / "cpu.json")
    readme = (root / "README.md").read_text()
    assert speed.summary(kept) in readme
    assert f"host gave {data['taken']:.0%} of the time" in readme


def test_the_page_leaves_out_what_was_not_asked() -> None:
    nothing = costs.record([], [])
    assert "itself costs" not in speed.page(
        speed.record(ABOUT, Pace(), 1e9, RESULTS, nothing), RESULTS
    )
    assert "Memory" not in speed.page(speed.record(ABOUT, Pace(), 1e9, [], COSTS), [])
    light = [(workload, [replace(t, bytes=None) for t in timings]) for workload, timings in RESULTS]
    assert "Memory" not in speed.page(speed.record(ABOUT, Pace(), 1e9, light, COSTS), light)


def test_the_figure_names_every_framework_and_network() -> None:
    drawn = speed.figure(RESULTS)
    for word in ("A", "B", "LSTM 2,3,4,5", "LSTM 2,3,4,6"):
        assert f">{word}<" in drawn


def test_operations_are_counted_by_hand() -> None:
    one = Workload("LSTM", batch=2, steps=3, inputs=4, hidden=5)
    project, recur = 2 * 2 * 3 * 4 * 20, 2 * 2 * 3 * 5 * 20
    assert one.flops("forward") == project + recur
    assert one.flops("gradient") == 3 * (project + recur)
    assert one.flops("train") == 2 * project + 3 * recur
    both = Workload("Elman", batch=2, steps=3, inputs=4, hidden=5, layers=2, bidirectional=True)
    below, above, recur = 2 * 2 * 3 * 4 * 5, 2 * 2 * 3 * 10 * 5, 2 * 2 * 3 * 5 * 5
    assert both.flops("train") == 2 * (2 * below + 3 * recur) + 2 * (3 * above + 3 * recur)


def test_rows_with_lengths_count_as_far_as_they_go() -> None:
    data = Workload("LSTM", 4, 9, 1, 1, lengths=True).data()
    assert data["lengths"][0] == 9
    assert (valid(data).sum(axis=(1, 2)) == data["lengths"]).all()
    assert valid(Workload("LSTM", 4, 9, 1, 1).data()).all()


def test_every_workload_has_a_name_of_its_own() -> None:
    labels = [workload.label for workload in every_workload()]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("words", "said"), [(["--only", "LSTN"], "no such network"), (["--rounds", "0"], "rounds: 0")]
)
def test_what_cannot_be_timed_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["bench", *words]) == 2
    assert said in capsys.readouterr().err
