"""Compiled programs are found by the next process, which gives the same bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import EXPERIMENTS, ROOT, Capture, refusal

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
    words = ["run", str(EXPERIMENTS / "fibonacci.py"), "--smoke", "--out", str(tmp_path / "runs")]
    if by == "option":
        words += ["--cache", cache]
    else:
        monkeypatch.setenv("LSTM_LAB_CACHE", cache)
    said = refusal(words, 7, capsys)
    assert f"cannot write {cache}" in said
    assert "give another directory" in said
    assert not (tmp_path / "runs").exists()
