"""What a finished run of text can be asked: to write, to be carried elsewhere, to show what it reads."""

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from lstm_lab.cli import execute
from lstm_lab.export import load
from lstm_lab.tasks import text
from lstm_lab.text.writer import Writer, find_run
from tests.cli.command import EXPERIMENTS, Capture, refusal


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    corpus = folder / "corpus.txt"
    corpus.write_text("to be or not to be, that is the question.\n" * 60)
    words = [
        "run",
        str(EXPERIMENTS / "text.py"),
        "--smoke",
        "--size.units",
        "8",
        "--task.corpus",
        str(corpus),
    ]
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
