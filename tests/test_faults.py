"""Training that is killed, asked to stop, or started twice: no bit and no row may differ for it."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lstm_lab.cells.lstm import LSTM
from lstm_lab.fit import fit
from lstm_lab.model import Model
from lstm_lab.optimizer import Optimizer
from lstm_lab.regularisers.weight_drop import WeightDrop
from lstm_lab.tasks.text import Text
from tests.test_fit import TINY, final, rows

ROOT = Path(__file__).parents[1]
CHILD = """
import sys
from pathlib import Path
from lstm_lab.devices import use_all_cores
use_all_cores()
from tests.test_faults import TRIALS
from lstm_lab.fit import fit
fit(TRIALS[sys.argv[1]], Path(sys.argv[2]), save_every=0)
"""
SLEEPY = """
from lstm_lab.experiment import Experiment
from lstm_lab.size import Hidden
from lstm_lab.tasks.recall import Recall
from lstm_lab.trial import Evaluation
experiment = Experiment(
    tasks=(Recall(lag=4, symbols=2),), size=Hidden(4), steps=5_000_000, batch=4, seeds=2,
    evaluate=Evaluation(every=1000, batch=4, batches=1),
)
"""
# A language model with all that it has to keep: the carry, the place in the text, noise, an average of weights.
TEXT = replace(
    TINY,
    model=Model(WeightDrop(LSTM()), embedding=4, tied=True, output_dropout=0.2),
    task=Text(length=8, jitter=2, validation=0.002),
    optimizer=Optimizer(method="asgd", learning_rate=1.0, nonmonotone=2),
    steps=8000,
)
TRIALS = {"sample": replace(TINY, steps=200), "full": replace(TINY, steps=3000), "text": TEXT}
ENVIRONMENT = {
    **os.environ,
    "LSTM_LAB_CPU_DEVICES": "2",
    "NPROC": os.environ.get("NPROC", "1"),
    "PYTHONPATH": str(ROOT),
}


def child(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, *words], cwd=ROOT, env=ENVIRONMENT)


def half_written(directory: Path) -> set[tuple[str, int]]:
    """The steps on the disk without a manifest, each with the time it was last changed."""
    found = set()
    for step in (directory / "checkpoints").glob("[0-9]*"):
        if re.fullmatch(r"\d{8,}", step.name) and not (step / "manifest.json").exists():
            with contextlib.suppress(FileNotFoundError):
                found.add((step.name, step.stat().st_ctime_ns))
    return found


def wait(condition: Callable[[], bool], process: subprocess.Popen[bytes], limit: float) -> bool:
    """Poll until something is so, the process ends, or time is up; whether it is so."""
    end = time.monotonic() + limit
    while time.monotonic() < end and process.poll() is None:
        if condition():
            return True
        time.sleep(0.0003)
    return False


def torture(name: str, kills: int, directory: Path, rng: random.Random) -> int:
    """Kill the training so many times, then let it finish; the number of kills inside a write."""
    inside = 0
    for kill in range(kills):
        process = child("-c", CHILD, name, str(directory))
        log = directory / "metrics.jsonl"
        before = log.stat().st_mtime_ns if log.exists() else 0
        # What the last kill left lies there until the next save.
        left = half_written(directory)
        begin = time.monotonic()
        if kill % 2 == 0:
            # Training has begun again, and now it saves.
            wait(lambda: log.exists() and log.stat().st_mtime_ns != before, process, 60)  # noqa: B023
            time.sleep(rng.uniform(0, 0.2))
            wait(lambda: bool(half_written(directory) - left), process, 60)  # noqa: B023
        else:
            wait(lambda: False, process, rng.uniform(0, 6))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it finished before it was killed"
        within = bool(half_written(directory) - left)
        inside += within
        print(f"kill {kill}: after {time.monotonic() - begin:.3f} s, in a write: {within}")
    finish = child("-c", CHILD, name, str(directory))
    assert finish.wait() == 0
    print(f"{inside} of {kills} kills were inside a checkpoint write")
    return inside


def compare(name: str, directory: Path, whole: Path) -> None:
    fit(TRIALS[name], whole)
    assert final(TRIALS[name], directory) == final(TRIALS[name], whole)
    assert rows(directory) == rows(whole)
    keys = [(row["step"], row["seed"], row["split"]) for row in rows(directory)]
    assert len(keys) == len(set(keys)) == 4 * TRIALS[name].steps // 5


def test_a_kill_changes_nothing(tmp_path: Path) -> None:
    torture("sample", 1, tmp_path / "killed", random.Random(1))
    compare("sample", tmp_path / "killed", tmp_path / "whole")


@pytest.mark.fault
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    inside = torture("full", 20, tmp_path / "killed", random.Random(2))
    assert inside >= 5
    compare("full", tmp_path / "killed", tmp_path / "whole")


@pytest.mark.fault
def test_fifty_kills_change_nothing_of_a_language_model(tmp_path: Path) -> None:
    inside = torture("text", 50, tmp_path / "killed", random.Random(3))
    assert inside >= 10
    compare("text", tmp_path / "killed", tmp_path / "whole")


@pytest.mark.fault
def test_signals_end_a_run_with_their_code_and_a_second_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sleepy.py"
    path.write_text(SLEEPY)
    main = "from lstm_lab.cli import main; main()"
    words = ("-c", main, "run", str(path), "--out", str(tmp_path / "runs"))

    def size() -> int:
        return sum(p.stat().st_size for p in tmp_path.glob("runs/sleepy/*/metrics.jsonl"))

    for signum, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        before = size()
        first = child(*words)
        try:
            assert wait(lambda: size() > before, first, 60)  # noqa: B023
            if code == 143:
                second = subprocess.run(
                    [sys.executable, *words], cwd=ROOT, env=ENVIRONMENT, capture_output=True
                )
                assert second.returncode == 5
                said = second.stderr.decode().strip().splitlines()
                assert f"held by process {first.pid}" in said[-1]
            first.send_signal(signum)
            assert first.wait(60) == code
        finally:
            first.kill()
            first.wait()
    assert list(tmp_path.glob("runs/sleepy/*/checkpoints/*/manifest.json"))
