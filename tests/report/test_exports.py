"""The same numbers for other programs, and nothing that they would run."""

import csv
import importlib.util
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lstm_lab.cli import execute
from lstm_lab.report import write_report
from lstm_lab.report.exports import COLUMNS, long_form, to_csv, to_parquet
from lstm_lab.report.load import read
from lstm_lab.report.markdown import plain, to_markdown
from lstm_lab.report.tensorboard import write_events

Make = Callable[..., Any]


def test_one_row_per_trial_seed_and_metric(write_battery: Make, tmp_path: Path) -> None:
    runs = read(write_battery(tmp_path).parent)
    rows = list(long_form(runs))
    # Nine trials of six seeds: test, validation, and the task twice as long; four without a result.
    assert len(rows) == 9 * 6 * 3 + 4
    assert all(list(row) == list(COLUMNS) for row in rows)
    longer = [
        row for row in rows if row["examined_on"] == "Recall lag 200" and row["model"] == "LSTM"
    ]
    assert [row["seed"] for row in longer] == list(range(6))
    assert {row["split"] for row in rows} == {"test", "validation", None}
    assert [row["status"] for row in rows if row["seed"] is None] == ["diverged", *["not run"] * 3]
    elman = {(r["learning_rate"], r["chosen"]) for r in rows
             if (r["model"], r["task"]) == ("Elman", "Recall lag 100")}  # fmt: skip
    assert elman == {(0.003, True), (0.1, False)}
    text = list(csv.DictReader(io.StringIO(to_csv(runs).decode())))
    assert [row["value"] for row in text] == [
        "" if r["value"] is None else str(r["value"]) for r in rows
    ]


def test_parquet_gives_the_same_rows_back(write_battery: Make, tmp_path: Path) -> None:
    from pyarrow import parquet  # type: ignore[import-untyped]  # it publishes no types

    runs = read(write_battery(tmp_path).parent)
    table = parquet.read_table(io.BytesIO(to_parquet(runs)))
    assert table.to_pylist() == list(long_form(runs))
    assert {str(kind) for kind in table.schema.types} == {"string", "double", "bool", "int64"}


@pytest.mark.parametrize("label", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "a\ud800"])
def test_a_label_is_no_formula(experiment: Make, result: Make, label: str) -> None:
    folder = experiment("made_up", [result(label, "Recall", "accuracy", [-0.5, 0.6], 0.1)])
    runs = read(folder.parent)
    rows = list(csv.DictReader(io.StringIO(to_csv(runs).decode())))
    assert not any(row["model"].startswith(("=", "+", "-", "@")) for row in rows)
    # A number below zero is no text.
    assert rows[0]["value"] == "-0.5"
    assert to_parquet(runs).startswith(b"PAR1")


def test_markdown_has_the_map_the_ranking_and_the_reasons(
    write_battery: Make, tmp_path: Path
) -> None:
    page = to_markdown(read(write_battery(tmp_path).parent)).decode()
    lines = page.splitlines()
    assert "| model | Recall lag 20 | Recall lag 100 | Adding length 50 | Digits |" in lines
    assert "| Elman | diverged | 0.212 | 0.180 | not run |" in lines
    assert any(line.startswith("| LSTM | 1.00 | 0.9") for line in lines)
    assert "Not told apart: LSTM = GRU; GRU = Elman." in lines
    for line in lines:
        if line.startswith("|"):
            assert line.endswith("|")


def test_markdown_has_the_ladder_of_baselines_in_every_metric(
    experiment: Make, result: Make
) -> None:
    known = {"xz": {"loss": 1.5, "perplexity": 4.48}, "markov order 0": {"loss": 3.0}}
    folder = experiment("text", [result("LSTM", "Text", "loss", [2.0], 4.0, baselines=known)])
    page = to_markdown(read(folder.parent)).decode()
    names = [line.split(" | ")[0] for line in page.partition("| predictor |")[2].splitlines()[2:6]]
    assert names == ["| xz", "| LSTM", "| markov order 0", "| chance"]


@pytest.mark.parametrize(
    "payload", ["a|b", "<b>x</b>", "*x*", "[x](https://evil.example)", "`x`", "x\ny"]
)
def test_a_label_is_no_markdown(experiment: Make, result: Make, payload: str) -> None:
    folder = experiment("made_up", [result(payload, "Recall", "accuracy", [0.5, 0.6], 0.1)])
    page = to_markdown(read(folder.parent)).decode()
    (row,) = (line for line in page.splitlines() if line.startswith("| Recall"))
    assert row.replace("\\|", "").count("|") == 8
    assert plain(payload) in row
    unescaped = re.sub(r"\\.", "", row)
    assert not any(mark in unescaped for mark in ("<b", "](", "*x", "`x", "://"))


def test_the_command_line_writes_what_is_asked_for(
    experiment: Make, result: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = experiment("made_up", [result("LSTM", "Recall", "accuracy", [0.5, 0.6], 0.1)])
    out = str(folder.parent)
    assert execute(["report", out, "--format", "md, csv,parquet,json,html"]) == 0
    written = {path.name for path in folder.parent.iterdir() if path.is_file()}
    assert written == {f"report.{kind}" for kind in ("html", "json", "md", "csv", "parquet")}
    record = json.loads((folder.parent / "report.json").read_text())
    assert record["experiments"][0]["trials"][0]["chosen"] is True
    assert execute(["report", out, "--format", "xls"]) == 2
    assert "format: 'xls': use md, csv, parquet, html or json" in capsys.readouterr().err


def test_event_files_need_their_library(
    experiment: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    experiment("made_up", [])
    monkeypatch.setattr("importlib.import_module", absent)
    assert execute(["report", str(tmp_path), "--tensorboard", str(tmp_path / "events")]) == 2
    assert "pip install tensorboardX" in capsys.readouterr().err


def test_each_seed_has_a_folder_of_events(experiment: Make, result: Make, tmp_path: Path) -> None:
    if importlib.util.find_spec("tensorboardX") is None:
        pytest.skip("tensorboardX is not installed")
    folder = experiment("made_up", [result("LSTM", "Recall", "accuracy", [0.5, 0.6], 0.1)])
    for _ in range(2):
        write_events(read(folder.parent), tmp_path / "events")
    files = sorted((tmp_path / "events").rglob("events.out.tfevents.*"))
    assert [path.parent.name for path in files] == ["seed-0", "seed-1"]
    assert b"validation/accuracy" in files[0].read_bytes()


def test_the_page_needs_none_of_them(experiment: Make, result: Make) -> None:
    folder = experiment("made_up", [result("LSTM", "Recall", "accuracy", [0.5, 0.6], 0.1)])
    write_report(folder.parent)
    assert {p.name for p in folder.parent.iterdir() if p.is_file()} == {
        "report.html",
        "report.json",
    }
