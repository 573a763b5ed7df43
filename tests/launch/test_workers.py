"""Trials in processes of their own: what dies, hangs or is stopped ends alone, and nothing is run twice."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lstm_lab.errors import CrashError, LabError, OutOfTimeError, UsageError
from lstm_lab.fit import fit
from lstm_lab.launch import workers
from lstm_lab.launch.base import Terms
from lstm_lab.launch.here import Here, run_group
from lstm_lab.launch.workers import Workers
from lstm_lab.progress import Silent
from lstm_lab.rundir import read_metrics
from lstm_lab.signals import Stop
from lstm_lab.tasks.recall import Recall
from lstm_lab.trial import Trial
from tests.test_fit import TINY, rows

QUICK = [replace(TINY, steps=steps) for steps in (5, 10, 15)]
ENDLESS = replace(TINY, steps=50_000_000)


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are started by module name, from wherever the tests run."""
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", root)


def group(*trials: Trial) -> list[list[Trial]]:
    return [[trial] for trial in trials]


def failure(parent: Path, trial: Trial) -> dict[str, str]:
    found: dict[str, str] = json.loads((parent / trial.id / "failure.json").read_text())
    return found


def test_workers_leave_what_this_process_would(tmp_path: Path) -> None:
    groups = group(*QUICK)
    outcomes = dict(Workers(2).run(groups, tmp_path / "there", Terms(), Stop(), Silent()))
    assert set(outcomes) == set(QUICK)
    for trial in QUICK:
        fit(trial, tmp_path / "here" / trial.id)
        assert [row["loss"] for row in rows(tmp_path / "there" / trial.id)] == pytest.approx(
            [row["loss"] for row in rows(tmp_path / "here" / trial.id)], rel=1e-5
        )
        outcome = outcomes[trial]
        assert not isinstance(outcome, LabError)
        assert outcome["status"] == "finished"


@pytest.mark.parametrize(("groups", "cores"), [(4, [0, 1]), (None, [0, 1, 2, 3])])
def test_the_last_group_of_many_has_the_cores_it_had_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: int | None, cores: list[int]
) -> None:
    shares = []

    class Noted(workers._Worker):
        def __init__(self, share: list[int], *more: Any) -> None:
            shares.append(share)
            super().__init__(share, *more)

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3})
    monkeypatch.setattr(workers, "_Worker", Noted)
    # Asked to stop before it begins, it hands out shares and starts no process.
    stop = Stop()
    stop.signum = signal.SIGINT
    assert not list(Workers(2).run(group(QUICK[0]), tmp_path, Terms(groups=groups), stop, Silent()))
    assert shares == [cores]


def test_a_killed_worker_loses_its_own_group_and_no_other(tmp_path: Path) -> None:
    process = threading.Thread(target=_kill_first_worker_at, args=(tmp_path / ENDLESS.id,))
    process.start()
    groups = group(ENDLESS, *QUICK[:1])
    outcomes = dict(Workers(1).run(groups, tmp_path, Terms(save_every=0.1), Stop(), Silent()))
    process.join()
    assert isinstance(outcomes[ENDLESS], CrashError)
    assert "signal 9" in str(outcomes[ENDLESS])
    assert failure(tmp_path, ENDLESS)["status"] == "crashed"
    assert not isinstance(outcomes[QUICK[0]], LabError)


def _kill_first_worker_at(directory: Path) -> None:
    """Kill whoever holds a run directory, once it has written something."""
    while not read_metrics(directory / "metrics.jsonl"):
        time.sleep(0.05)
    os.kill(int((directory / ".lock").read_text()), signal.SIGKILL)


def test_a_trial_out_of_time_is_stopped_and_says_so(tmp_path: Path) -> None:
    terms = Terms(limit=2)
    ((_, outcome),) = Workers(1).run(group(ENDLESS), tmp_path, terms, Stop(), Silent())
    assert isinstance(outcome, OutOfTimeError)
    assert failure(tmp_path, ENDLESS)["status"] == "timeout"


def test_asked_to_stop_workers_save_and_nothing_is_said_to_have_ended(tmp_path: Path) -> None:
    stop = Stop()

    def ask() -> None:
        while not read_metrics(tmp_path / ENDLESS.id / "metrics.jsonl"):
            time.sleep(0.05)
        stop.signum = signal.SIGINT

    thread = threading.Thread(target=ask)
    thread.start()
    assert not list(Workers(1).run(group(ENDLESS, *QUICK), tmp_path, Terms(), stop, Silent()))
    thread.join()
    assert list((tmp_path / ENDLESS.id / "checkpoints").glob("[0-9]*/manifest.json"))
    assert not (tmp_path / ENDLESS.id / "failure.json").exists()
    assert not (tmp_path / QUICK[0].id).exists()


@pytest.mark.fault
def test_a_worker_ends_with_whoever_asked_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from lstm_lab.launch.base import Terms\n"
        "from lstm_lab.launch.workers import Workers\n"
        "from lstm_lab.progress import Silent\n"
        "from lstm_lab.signals import Stop\n"
        "from tests.launch.test_workers import ENDLESS\n"
        "list(Workers(1).run([[ENDLESS]], Path(sys.argv[1]), Terms(), Stop(), Silent()))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    lock = tmp_path / ENDLESS.id / ".lock"
    while not read_metrics(tmp_path / ENDLESS.id / "metrics.jsonl"):
        assert parent.poll() is None
        time.sleep(0.05)
    worker = int(lock.read_text())
    parent.kill()
    parent.wait()
    end = time.monotonic() + 20
    while _alive(worker):
        assert time.monotonic() < end
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_defect_ends_its_group_and_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Recall):
        def loss(self, outputs: object, batch: object) -> object:  # type: ignore[override]
            raise RuntimeError("no such\nthing")

    broken = replace(TINY, task=Broken(lag=4))
    outcomes = dict(Here().run(group(broken, QUICK[0]), tmp_path, Terms(), Stop(), Silent()))
    assert str(outcomes[broken]) == "RuntimeError: no such thing"
    assert failure(tmp_path, broken)["status"] == "crashed"
    assert not isinstance(outcomes[QUICK[0]], LabError)
    with pytest.raises(UsageError, match=r"jobs: .*: is made of a class"):
        list(Workers(1).run(group(broken), tmp_path, Terms(), Stop(), Silent()))


def test_a_finished_trial_keeps_its_result_whatever_happens_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Iterator[None]:
        raise MemoryError

    fit(QUICK[0], tmp_path / QUICK[0].id)
    monkeypatch.setattr("lstm_lab.fit.fit_together", fail)
    (outcome,) = run_group([QUICK[0]], tmp_path, Terms(), Stop(), Silent())
    assert isinstance(outcome, CrashError)
    assert str(outcome) == "MemoryError: MemoryError"
    assert not (tmp_path / QUICK[0].id / "failure.json").exists()


def test_there_is_at_least_one_job() -> None:
    with pytest.raises(UsageError, match="jobs: 0: give at least 1"):
        Workers(0)
