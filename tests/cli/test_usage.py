"""Every mistake is one line and a code; what can be asked for is told."""

import json
from pathlib import Path

import pytest

from lstm_lab.cells.base import Cell
from lstm_lab.cli import execute
from lstm_lab.discover import subclasses
from tests.cli.command import EXPERIMENTS, Capture, refusal

TEXT, FIBONACCI, LONG_RANGE, NAMES = (
    str(EXPERIMENTS / f"{name}.py") for name in ("text", "fibonacci", "long_range", "names")
)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "no file"),
        (b"", "empty"),
        (b"abc", "symbols"),
        (b"text\0text" * 100, "binary"),
        ("é".encode("latin-1") * 500, "not UTF-8"),
    ],
    ids=["missing", "empty", "short", "binary", "latin-1"],
)
def test_a_bad_corpus(content: bytes | None, word: str, tmp_path: Path, capsys: Capture) -> None:
    corpus = tmp_path / "corpus.txt"
    if content is not None:
        corpus.write_bytes(content)
    words = ["run", TEXT, "--task.corpus", str(corpus), "--out", str(tmp_path / "runs")]
    said = refusal(words, 3, capsys)
    assert word in said
    assert "corpus" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", LONG_RANGE, "--task.lga", "5"], "did you mean --task.lag?"),
        (["run", LONG_RANGE, "--stesp=5"], "did you mean --steps?"),
        (["run", LONG_RANGE, "--models.0.cel.bias", "1"], "no such option"),
        (["run", LONG_RANGE, "--steps", "five"], "five"),
        (["run", LONG_RANGE, "--cells", "GRU", "LSTN"], "did you mean LSTM?"),
        (["run", LONG_RANGE, "--cells"], "no such name: use CausalAttention"),
        (["run", LONG_RANGE, "--task.lag", "0"], "lag"),
        (["run", FIBONACCI, "--size.units", "-1"], "size.units: -1"),
        (["run", TEXT, "--batch", "0"], "batch"),
        (["run", TEXT, "--steps", "0"], "steps: 0"),
        (["run", TEXT, "--seeds", "-2"], "seeds: -2"),
        (["run", TEXT, "--task.length", "-3"], "length"),
        (["run", TEXT, "--optimizer.learning-rate", "nan"], "learning_rate: nan"),
        (["run", TEXT, "--steps", "301"], "does not divide"),
        (["run", TEXT, "--save-every", "often"], "often"),
        (["run"], "no file"),
        (["run", "nowhere.py"], "nowhere.py: no such file"),
        (["train"], "train: no such command: use run"),
        (["generate"], "no run"),
        (["list", "--jsn"], "jsn"),
        (["report", "a", "b"], "Unrecognized options: b"),
    ],
    ids=lambda value: " ".join(Path(w).name for w in value) if isinstance(value, list) else "",
)
def test_a_bad_option(words: list[str], said: str, tmp_path: Path, capsys: Capture) -> None:
    out = ["--out", str(tmp_path / "runs")] if words[0] == "run" and len(words) > 2 else []
    assert said in refusal([*words, *out], 2, capsys)
    assert not (tmp_path / "runs").exists()


def test_a_batch_larger_than_the_data(tmp_path: Path, capsys: Capture) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("to be or not to be. " * 50)
    words = ["run", TEXT, "--task.corpus", str(corpus), "--batch", "1000"]
    assert "take a batch of at most" in refusal([*words, "--out", str(tmp_path)], 2, capsys)


def test_a_file_that_is_no_experiment(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "none.py"
    path.write_text("x = 1\n")
    assert "defines no experiment" in refusal(["run", str(path)], 2, capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--temperature", "-1"], "temperature"),
        (["--temperature", "nan"], "temperature"),
        (["--length", "0"], "length"),
        (["--top-k", "0"], "top"),
        (["--repetition", "0"], "repetition: got 0.0"),
        (["--beam", "3", "--top-k", "5"], "beam: it draws nothing: leave --top-k out"),
        (["--weights", "worst"], "worst"),
        ([], "no run there"),
    ],
)
def test_generate_refuses(words: list[str], said: str, tmp_path: Path, capsys: Capture) -> None:
    assert said in refusal(["generate", str(tmp_path), *words], 2, capsys)


def test_help_names_fields(capsys: Capture) -> None:
    for words in (["--help"], []):
        assert execute(words) == 0
        assert "lstm-lab run FILE" in capsys.readouterr().out
    assert execute(["run", LONG_RANGE, "--help"]) == 0
    said = capsys.readouterr().out
    for field in ("--out", "--smoke", "--steps", "--optimizer.learning-rate", "--tasks.0.lag"):
        assert field in said
    assert execute(["generate", "--help"]) == 0
    assert "--temperature" in capsys.readouterr().out


def test_list_names_every_cell_and_layer(capsys: Capture) -> None:
    assert execute(["list", "--json"]) == 0
    rooms = json.loads(capsys.readouterr().out)
    names = {entry["name"] for entry in rooms["cells"]}
    assert names == {cls.__name__ for cls in subclasses("lstm_lab.cells", Cell)}
    assert {"Residual", "CausalAttention"} <= {entry["name"] for entry in rooms["layers"]}
    assert execute(["list"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {entry['name']}(" in said for room in rooms.values() for entry in room)


def test_a_smoke_run_can_be_reported_and_is_not_repeated(tmp_path: Path, capsys: Capture) -> None:
    words = ["run", FIBONACCI, "--smoke", "--out", str(tmp_path)]
    assert execute(words) == 0, capsys.readouterr().err
    results = sorted(tmp_path.glob("fibonacci/*/result.json"))
    assert len(results) == 2
    before = [path.stat().st_mtime_ns for path in results]
    assert execute(words) == 0
    assert [path.stat().st_mtime_ns for path in results] == before
    capsys.readouterr()
    assert execute(["report", str(tmp_path)]) == 0
    page = Path(capsys.readouterr().out.strip())
    assert page.is_file()
    assert "Fibonacci" in page.read_text()


def test_an_experiment_without_its_data_stops_no_other(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_LAB_DATA", str(tmp_path))
    said = refusal(["run", NAMES, "--out", str(tmp_path)], 3, capsys)
    assert "names_by_language.tsv" in said
    assert "--data-dir" in said
    assert execute(["run", NAMES, FIBONACCI, "--smoke", "--out", str(tmp_path / "runs")]) == 0
    assert "names: not run: data: no" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["fibonacci"]
