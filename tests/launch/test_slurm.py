"""Jobs by submitit, in real processes of this machine: what is killed, stopped or held goes on as if undisturbed."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from lstm_lab.errors import LabError, LostError, UsageError
from lstm_lab.fit import fit
from lstm_lab.launch.base import Terms
from lstm_lab.launch.slurm import Errand, Slurm
from lstm_lab.signals import Stop
from tests.launch.jobs import (
    ENDLESS,
    LONG,
    QUICK,
    Heard,
    failure,
    killed,
    left,
    losses,
    meanwhile,
    outcomes,
    parent_of,
    trainer,
    undisturbed,
)

pytest.importorskip("submitit", reason="needs submitit: make peers")
pytestmark = pytest.mark.usefixtures("elsewhere")


def local(jobs: int = 0) -> Slurm:
    return Slurm(jobs, {"cluster": "local", "timeout_min": 60})


def test_jobs_leave_what_this_process_would(tmp_path: Path, optimised: None) -> None:
    del optimised  # as in other processes
    heard = Heard()
    outcome = outcomes(local(), [QUICK], tmp_path / "there", watcher=heard)[QUICK]
    assert not isinstance(outcome, LabError)
    assert outcome["status"] == "finished"
    assert len(heard.lines) == 1
    fit(QUICK, tmp_path / "here" / QUICK.id)
    assert losses(QUICK, tmp_path / "there") == pytest.approx(
        losses(QUICK, tmp_path / "here"), rel=1e-5
    )


@pytest.mark.fault
def test_a_killed_job_goes_on_to_the_same_result(tmp_path: Path) -> None:
    heard = Heard()
    with meanwhile(killed(LONG, tmp_path)):
        ended = outcomes(local(), [LONG], tmp_path, watcher=heard)
    assert not isinstance(ended[LONG], LabError)
    assert "its process ended by signal 9" in heard.lines[0]
    assert left(LONG, tmp_path) == undisturbed(LONG)


@pytest.mark.fault
def test_a_job_whose_watcher_is_killed_goes_on_to_the_same_result(tmp_path: Path) -> None:
    def kill() -> None:
        os.kill(parent_of(trainer(LONG, tmp_path)), signal.SIGKILL)

    heard = Heard()
    with meanwhile(kill):
        ended = outcomes(local(), [LONG], tmp_path, watcher=heard)
    assert not isinstance(ended[LONG], LabError)
    assert any("ended without a result" in line for line in heard.lines)
    assert left(LONG, tmp_path) == undisturbed(LONG)


@pytest.mark.fault
def test_a_job_that_is_killed_each_time_is_given_up_and_the_rest_goes_on(tmp_path: Path) -> None:
    with meanwhile(killed(ENDLESS, tmp_path, times=3)):
        ended = outcomes(local(), [ENDLESS, QUICK], tmp_path)
    assert isinstance(ended[ENDLESS], LostError)
    assert failure(ENDLESS, tmp_path)["status"] == "crashed"
    assert not isinstance(ended[QUICK], LabError)


@pytest.mark.fault
def test_a_job_whose_time_is_up_is_requeued_and_goes_on_to_the_same_result(tmp_path: Path) -> None:
    def time_is_up() -> None:
        os.kill(parent_of(trainer(LONG, tmp_path)), signal.SIGUSR2)

    heard = Heard()
    with meanwhile(time_is_up):
        ended = outcomes(local(), [LONG], tmp_path, watcher=heard)
    assert not isinstance(ended[LONG], LabError)
    assert not any("sent out again" in line for line in heard.lines)
    assert "Requeued job" in "".join(
        path.read_text() for path in (tmp_path / ".slurm").glob("*.out")
    )
    assert left(LONG, tmp_path) == undisturbed(LONG)


@pytest.mark.fault
def test_a_group_out_of_time_is_stopped_and_says_so(tmp_path: Path) -> None:
    outcome = outcomes(local(), [ENDLESS], tmp_path, terms=Terms(limit=8))[ENDLESS]
    assert isinstance(outcome, LabError)
    assert outcome.exit_code == 8
    assert failure(ENDLESS, tmp_path)["status"] == "timeout"


@pytest.mark.fault
def test_asked_to_stop_jobs_save_and_a_later_launcher_goes_on(tmp_path: Path) -> None:
    stop = Stop()

    def ask() -> None:
        trainer(LONG, tmp_path)
        stop.signum = signal.SIGTERM

    with meanwhile(ask):
        assert not outcomes(local(), [LONG], tmp_path, terms=Terms(save_every=1), stop=stop)
    assert not (tmp_path / LONG.id / "failure.json").exists()
    assert not (tmp_path / LONG.id / "result.json").exists()
    outcomes(local(), [LONG], tmp_path)
    assert left(LONG, tmp_path) == undisturbed(LONG)


@pytest.mark.fault
def test_jobs_that_a_killed_launcher_left_are_waited_for(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.launch.jobs import LONG, outcomes\n"
        "from tests.launch.test_slurm import local\n"
        "outcomes(local(), [LONG], Path(sys.argv[1]))\n"
    )
    first = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    process = trainer(LONG, tmp_path)
    first.kill()
    first.wait(60)
    heard = Heard()
    ended = outcomes(local(), [LONG], tmp_path, watcher=heard)
    assert heard.lines == [
        f"{LONG.model.label} on {LONG.task.label}: held by process {process} there: waiting for it"
    ]
    assert not isinstance(ended[LONG], LabError)
    assert left(LONG, tmp_path) == undisturbed(LONG)


def test_what_submitit_does_not_know_is_told_in_its_words(tmp_path: Path) -> None:
    for wrong in ({"cpus": 3}, {"slurm_cpus": 3}, {"cpus_per_task": "many"}):
        there = Slurm(0, {"cluster": "local", **wrong})
        with pytest.raises(UsageError, match=f"resources: .*{next(iter(wrong)).split('_')[-1]}"):
            outcomes(there, [QUICK], tmp_path)
    with pytest.raises(UsageError, match="cluster: got debug, wanted slurm or local"):
        Slurm(0, {"cluster": "debug"})
    with pytest.raises(UsageError, match="nodes: a group is one process"):
        Slurm(0, {"cluster": "local", "nodes": 2})


def test_where_slurm_is_absent_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="neither sbatch nor srun is on the PATH"):
        Slurm()


def test_a_requeued_job_is_asked_for_the_same() -> None:
    again = partial(Errand().checkpoint, "the request")()
    assert isinstance(again.function, Errand)
    assert again.args == ("the request",)
