"""The command line: every mistake is one line and a code, and what it prints can be relied on."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from lstm_lab.cells.base import Cell
from lstm_lab.cli import execute
from lstm_lab.discover import subclasses
from lstm_lab.export import load
from lstm_lab.tasks import text
from lstm_lab.text.writer import Writer, find_run

ROOT = Path(__file__).parents[1]
TEXT, FIBONACCI, LONG_RANGE, NAMES = (
    str(ROOT / "experiments" / f"{name}.py")
    for name in ("text", "fibonacci", "long_range", "names")
)
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as conftest has made: a process cannot change its mind."""
    monkeypatch.setenv("LSTM_LAB_CPU_DEVICES", "2")


def refusal(words: list[str], code: int, capsys: Capture) -> str:
    """Run what must be refused, and return the one line that says why."""
    capsys.readouterr()
    assert execute(words) == code
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in out + err
    return err


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


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    corpus = folder / "corpus.txt"
    corpus.write_text("to be or not to be, that is the question.\n" * 60)
    words = ["run", TEXT, "--smoke", "--size.units", "8", "--task.corpus", str(corpus)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_LAB_CPU_DEVICES", "2")
        assert execute([*words, "--task.length", "16", "--out", str(folder / "runs")]) == 0
    return folder / "runs"


@pytest.fixture
def generate(written: Path, capsys: Capture) -> Callable[..., str]:
    def call(*words: str) -> str:
        capsys.readouterr()
        assert execute(["generate", str(written), "--length", "40", *words]) == 0
        return capsys.readouterr().out

    return call


def test_generate_repeats_itself_with_a_seed(generate: Callable[..., str]) -> None:
    first = generate("--prompt", "to ", "--seed", "3")
    assert first.startswith("to ")
    assert len(first) == len("to ") + 40 + 1
    assert first == generate("--prompt", "to ", "--seed", "3")
    assert first != generate("--prompt", "to ", "--seed", "4")


def test_temperature_zero_needs_no_seed(generate: Callable[..., str]) -> None:
    greedy = [generate("--temperature", "0", "--seed", seed) for seed in "12"]
    assert greedy[0] == greedy[1]


def test_several_texts_are_one_batch_and_read_one_after_the_other(
    generate: Callable[..., str],
) -> None:
    said = generate("--prompt", "to ", "--samples", "3", "--min-p", "0.01", "--repetition", "1.1")
    parts = re.split(r"^--- (\d) of 3\n", said, flags=re.MULTILINE)[1:]
    assert parts[::2] == ["1", "2", "3"]
    assert all(len(text) == len("to ") + 40 + 1 for text in parts[1::2])
    assert len(set(parts[1::2])) == 3


def test_a_text_ends_at_a_stop_and_the_likeliest_needs_no_seed(
    generate: Callable[..., str],
) -> None:
    whole = generate("--prompt", "to ", "--temperature", "0", "--length", "20")
    stop = whole[8:10]
    short = generate("--prompt", "to ", "--temperature", "0", "--length", "20", "--stop", stop)
    assert short == whole[: 3 + whole[3:].index(stop)] + "\n"
    assert generate("--prompt", "to ", "--beam", "1", "--length", "20") == whole


def test_a_prompt_is_read_from_stdin_and_copies_are_counted(
    written: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    words = ["generate", str(written), "--length", "20", "--prompt", "-", "--novelty"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"to be"), "ascii"))
    assert execute(words) == 0
    said = capsys.readouterr()
    assert said.out.startswith("to be")
    copied, unseen = said.err.splitlines()
    assert copied.startswith("copied from what was trained on: at most ")
    # The corpus says one thing over and over: all that is unseen was there before.
    assert "at most 20 characters in a row" in unseen
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"to \xff")))
    assert "byte 3 of stdin is not UTF-8" in refusal(words, 2, capsys)


def test_a_run_writes_without_its_corpus_but_cannot_tell_what_it_copies(
    written: Path, generate: Callable[..., str], tmp_path: Path, capsys: Capture
) -> None:
    whole = generate("--prompt", "to ", "--seed", "3")
    corpus = written.parent / "corpus.txt"
    corpus.rename(tmp_path / "elsewhere.txt")
    # What this process has read of it must not help.
    opened, tokenised = (getattr(text, name) for name in ("_opened", "_tokenised"))
    opened.cache_clear()
    tokenised.cache_clear()
    try:
        assert generate("--prompt", "to ", "--seed", "3") == whole
        words = ["generate", str(written), "--prompt", "to ", "--length", "5", "--novelty"]
        assert "corpus: no file" in refusal(words, 3, capsys)
        corpus.write_text("not to be\n" * 300)
        for command in (words, ["inspect", str(written), "--text", "to be"]):
            assert "put the corpus back" in refusal(command, 3, capsys)
            opened.cache_clear()
    finally:
        (tmp_path / "elsewhere.txt").replace(corpus)
        opened.cache_clear()
        tokenised.cache_clear()


def test_an_exported_run_writes_what_the_run_writes(
    written: Path, generate: Callable[..., str], tmp_path: Path, capsys: Capture
) -> None:
    folder = str(tmp_path / "network")
    export = ["export", str(written), folder, "--of-seed", "0", "--platforms", "cpu"]
    assert execute([*export, "--to", "pytorch"]) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    named = load_file(f"{folder}/pytorch.safetensors")
    assert {"rnn.weight_hh_l0", "embedding.weight", "head.bias"} <= set(named)
    network, params = Writer(written, "best", 0).network()
    x = jnp.arange(8, dtype=jnp.int32)[None]
    logits = jax.jit(network.apply)(params, x)[1]
    np.testing.assert_array_equal(load(folder).read(x)[1], logits)
    words = ["generate", folder, "--length", "40", "--prompt", "to ", "--seed", "3"]
    assert execute(words) == 0
    assert capsys.readouterr().out == generate("--prompt", "to ", "--seed", "3")
    assert "leave --weights, --of-seed and --novelty out" in refusal(
        [*words, "--novelty"], 2, capsys
    )
    assert "add --force" in refusal(export, 2, capsys)
    assert execute([*export, "--weights", "last", "--force"]) == 0
    assert "seeds 0 to 1" in refusal([*export, "--of-seed", "2"], 2, capsys)
    assert "give a run and a folder" in refusal(["export", str(written)], 2, capsys)
    assert "not a run" in refusal(["export", folder, str(tmp_path / "other")], 2, capsys)


def test_generate_names_what_it_cannot_read(written: Path, capsys: Capture) -> None:
    assert "'Ω' (U+03A9)" in refusal(["generate", str(written), "--prompt", "to Ω"], 2, capsys)
    assert "at least one symbol" in refusal(["generate", str(written), "--prompt", ""], 2, capsys)
    assert "of-seed: 9" in refusal(["generate", str(written), "--of-seed", "9"], 2, capsys)


def test_inspect_writes_a_page_and_says_what_the_text_cost(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    capsys.readouterr()
    assert execute(["inspect", str(written)]) == 0
    page, surprise, influence, units = capsys.readouterr().out.splitlines()
    assert Path(page).parent == find_run(written)
    assert "to be or not" in re.sub("<.*?>", "", Path(page).read_text(encoding="utf-8"))
    # The validation part of this corpus is shorter than a thousand symbols.
    assert surprise.endswith("over 251 symbols")
    assert "bits per symbol" in surprise
    assert "nine tenths within" in influence
    assert "too short" in units
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"to be"), "ascii"))
    monkeypatch.setattr("lstm_lab.inspect.command.MOST_SYMBOLS", 4)
    words = ["inspect", str(written), "--text", "-", "--out", str(tmp_path / "page.html")]
    assert execute(words) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{tmp_path / 'page.html'}\n")
    assert said.err == "text: 5 symbols: the page shows the first 4\n"
    assert ">b</span></pre>" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--text", "to Ω"], 2, "'Ω' (U+03A9)"),
        (["--text", ""], 2, "text: got 0 symbols, wanted at least 2"),
        (["--text", "t"], 2, "text: got 1 symbols, wanted at least 2"),
        (["--text", "to", "--file", "x"], 2, "give --text or --file"),
        (["--file", "none.txt"], 2, "none.txt: No such file"),
        (["--of-seed", "9"], 2, "of-seed: 9"),
        (["--text", "to", "--out", "/dev/null/page"], 7, "/dev/null/page"),
    ],
)
def test_inspect_refuses(
    words: list[str], code: int, said: str, written: Path, capsys: Capture
) -> None:
    assert said in refusal(["inspect", str(written), *words], code, capsys)


def test_inspect_needs_a_text_run(tmp_path: Path, capsys: Capture) -> None:
    assert "no run there" in refusal(["inspect", str(tmp_path)], 2, capsys)
    assert "inspect: no run" in refusal(["inspect"], 2, capsys)
    (tmp_path / "latin").write_bytes(b"\xe9t\xe9")
    words = ["inspect", str(tmp_path), "--file", str(tmp_path / "latin")]
    assert "byte 0 of" in refusal(words, 2, capsys)


TINY = """
from lstm_lab.experiment import Experiment
from lstm_lab.size import Hidden
from lstm_lab.trial import Evaluation
from lstm_lab.tasks.recall import Recall
experiment = Experiment(
    tasks=(Recall(lag=4, symbols=2),), size=Hidden(4), steps=4, batch=4, seeds=2,
    evaluate=Evaluation(every=2, batch=4, batches=1),
)
"""
# Runs the command line, then prints how many programs it found compiled, and how many it left so.
COUNTING = """
import collections, json, sys
import jax.monitoring
from lstm_lab.cli import execute
seen = collections.Counter()
jax.monitoring.register_event_listener(lambda event, **_: seen.update([event.rpartition("/")[2]]))
code = execute(sys.argv[1:])
print(json.dumps([seen["cache_hits"], seen["cache_misses"]]))
sys.exit(code)
"""


def test_a_second_process_finds_compiled_programs_and_gives_the_same_bits(tmp_path: Path) -> None:
    file, cache = tmp_path / "tiny.py", tmp_path / "cache"
    file.write_text(TINY)

    def start(name: str, *words: str, **settings: str) -> tuple[list[int], list[dict[str, object]]]:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                COUNTING,
                "run",
                str(file),
                "--out",
                str(tmp_path / name),
                *words,
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        (metrics,) = (tmp_path / name).glob("tiny/*/metrics.jsonl")
        rows = [json.loads(line) for line in metrics.read_text().splitlines()]
        return json.loads(done.stdout.splitlines()[-1]), [{**row, "time": 0} for row in rows]

    first, first_rows = start("first", "--cache", str(cache))
    second, second_rows = start("second", LSTM_LAB_CACHE=str(cache))
    assert first[0] == 0 < first[1]
    assert second == [first[1], 0]
    assert cache.stat().st_mode & 0o777 == 0o700
    assert first_rows == second_rows


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_cache_that_cannot_be_written(
    by: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    cache = str(tmp_path / "file" / "cache")
    words = ["run", FIBONACCI, "--smoke", "--out", str(tmp_path / "runs")]
    if by == "option":
        words += ["--cache", cache]
    else:
        monkeypatch.setenv("LSTM_LAB_CACHE", cache)
    said = refusal(words, 7, capsys)
    assert f"cannot write {cache}" in said
    assert "give another directory" in said
    assert not (tmp_path / "runs").exists()
