"""What every cluster does with its jobs, on one that is made up: no process is started."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.errors import LabError, LostError, StorageError, SweepIncomplete, UsageError
from lstm_lab.experiment import Experiment
from lstm_lab.launch import cluster
from lstm_lab.launch.base import Terms
from lstm_lab.launch.cluster import Cluster, Job, Submit, package, resources
from lstm_lab.launch.messages import read_request
from lstm_lab.model import Model
from lstm_lab.options import RunOptions
from lstm_lab.progress import Silent
from lstm_lab.run_command import launcher, run_options
from lstm_lab.rundir import RunDirectory, holder
from lstm_lab.runner import run
from lstm_lab.signals import PatientStop, Stop
from lstm_lab.size import Hidden
from lstm_lab.tasks.recall import Recall
from tests.launch.jobs import Heard, at_most, failure, outcomes
from tests.test_fit import TINY

FIRST, SECOND = TINY, replace(TINY, steps=40)
LABEL = f"{TINY.model.label} on {TINY.task.label}"
DONE = {"said": ["done"], "outcomes": [None]}
LOST = {"said": [], "lost": "its node burnt"}
DIED = LostError("its node died")


def told(code: int, reason: str) -> dict[str, Any]:
    return {"said": [], "outcomes": [{"code": code, "reason": reason}]}


class Madeup(Cluster):
    """Its jobs reply what they are given, one job of a trial after the other; one with nothing left never ends."""

    def __init__(self, replies: dict[str, list[Any]], jobs: int = 0) -> None:
        super().__init__(jobs)
        self.replies = replies
        self.sent: list[str] = []
        self.running: list[MadeupJob] = []
        self.most = 0

    @contextmanager
    def opened(self, parent: Path, terms: Terms) -> Iterator[Submit]:
        def submit(text: str) -> Job:
            (trial,), place, _ = read_request(json.loads(text))
            self.sent.append(trial.id)
            job = MadeupJob(self, place / trial.id)
            self.running.append(job)
            self.most = max(self.most, len(self.running))
            return job

        yield submit


class MadeupJob:
    def __init__(self, home: Madeup, directory: Path) -> None:
        self.home, self.directory, self.cancelled = home, directory, False
        left = home.replies[directory.name]
        self.given = left.pop(0) if left else None

    def done(self) -> bool:
        return self.given is not None or self.cancelled

    def reply(self) -> str:
        self.home.running.remove(self)
        if isinstance(self.given, LostError):
            raise self.given
        if self.given is DONE:
            self.directory.mkdir(parents=True, exist_ok=True)
            (self.directory / "result.json").write_text("{}")
        return json.dumps(self.given)

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody waits long, and nobody for ever."""
    for name in ("TICK", "PAUSE", "GRACE", "VISIBLE"):
        monkeypatch.setattr(cluster, name, 0.05)
    with at_most(60):
        yield


def test_what_is_done_comes_back_with_what_was_said(tmp_path: Path) -> None:
    there, heard = Madeup({FIRST.id: [DONE], SECOND.id: [told(6, "not finite")]}), Heard()
    ended = outcomes(there, [FIRST, SECOND], tmp_path, watcher=heard)
    assert ended[FIRST] == {}
    error = ended[SECOND]
    assert isinstance(error, LabError)
    assert (error.exit_code, str(error)) == (6, "not finite")
    assert heard.lines == ["done"]


def test_no_more_jobs_than_asked_for_are_there_at_once(tmp_path: Path) -> None:
    trials = [replace(TINY, steps=steps) for steps in (5, 10, 15)]
    for jobs, most in ((1, 1), (2, 2), (0, 3)):
        there = Madeup({trial.id: [DONE] for trial in trials}, jobs)
        assert len(outcomes(there, trials, tmp_path / str(jobs))) == 3
        assert there.most == most
    with pytest.raises(UsageError, match=r"jobs: -1: give at least 1, or 0"):
        Madeup({}, -1)


def test_what_is_lost_is_sent_out_again_and_given_up_the_third_time(tmp_path: Path) -> None:
    heard = Heard()
    there = Madeup({FIRST.id: [LOST, DIED, DONE], SECOND.id: [DIED, LOST, LOST]})
    ended = outcomes(there, [FIRST, SECOND], tmp_path, watcher=heard)
    assert ended[FIRST] == {}
    assert str(ended[SECOND]) == "its node burnt: lost 3 times, and so given up"
    assert failure(SECOND, tmp_path)["status"] == "crashed"
    assert not (tmp_path / FIRST.id / "failure.json").exists()
    assert there.sent.count(FIRST.id) == there.sent.count(SECOND.id) == 3
    assert f"{LABEL}: its node died: sent out again, 1 of 2" in heard.lines


def test_a_sweep_goes_on_without_what_was_given_up(tmp_path: Path) -> None:
    experiment = Experiment(
        name="two",
        models=(Model(Elman()), Model(GRU())),
        tasks=(Recall(lag=4),),
        size=Hidden(4),
        steps=5,
        seeds=2,
    )
    first, second = (trial.id for trial in experiment.trials())
    there = Madeup({first: [LOST, LOST, LOST], second: [DONE]})
    with pytest.raises(
        SweepIncomplete, match="1 of 2 trials failed, the first with its node burnt"
    ):
        run(experiment, tmp_path, "here", Silent(), launcher=there)
    assert (tmp_path / "two" / second / "result.json").is_file()


def test_what_another_process_holds_is_waited_for_and_not_run_twice(tmp_path: Path) -> None:
    there = Madeup({FIRST.id: [], SECOND.id: [DONE]})
    with RunDirectory(tmp_path / FIRST.id) as files:
        assert holder(files.path)

        class Ends(Heard):
            def finish(self, line: str) -> None:
                super().finish(line)
                (files.path / "result.json").write_text('{"by": "another"}')

        heard = Ends()
        ended = outcomes(there, [FIRST, SECOND], tmp_path, watcher=heard)
    assert ended == {FIRST: {"by": "another"}, SECOND: {}}
    assert there.sent == [SECOND.id]
    assert heard.lines[0].startswith(f"{LABEL}: held by process ")
    assert holder(tmp_path / FIRST.id) is None
    assert holder(tmp_path / "nowhere") is None


def test_a_job_that_met_another_process_is_sent_out_again_and_not_counted(tmp_path: Path) -> None:
    there = Madeup({FIRST.id: [told(5, "held")] * 5 + [DONE]})
    assert outcomes(there, [FIRST], tmp_path) == {FIRST: {}}
    assert len(there.sent) == 6


@pytest.mark.parametrize("reply", [told(7, "disk full"), {"said": [], "outcomes": [None]}])
def test_where_nothing_can_be_written_or_seen_all_jobs_end(tmp_path: Path, reply: Any) -> None:
    there = Madeup({FIRST.id: [reply], SECOND.id: []})
    with pytest.raises(
        StorageError, match=r"disk full|is not here: give an --out on a file system"
    ):
        outcomes(there, [FIRST, SECOND], tmp_path)
    assert [job.cancelled for job in there.running] == [True]


def test_asked_to_stop_it_cancels_its_jobs_and_says_nothing_ended(tmp_path: Path) -> None:
    there, stop = Madeup({FIRST.id: [DONE], SECOND.id: []}), Stop()
    groups = [[FIRST], [SECOND]]
    ended = there.run(groups, tmp_path, Terms(), stop, Silent())
    assert next(ended) == (FIRST, {})
    stop.signum = signal.SIGTERM
    assert list(ended) == []
    assert [job.cancelled for job in there.running] == [True]


def test_a_patient_stop_outlives_a_second_signal() -> None:
    with PatientStop(signal.SIGUSR2) as stop:
        for signum in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):
            signal.raise_signal(signum)
    assert stop.signum == signal.SIGTERM
    assert stop.received[-2:] == [signal.SIGUSR2, signal.SIGINT]


def test_resources_are_words_numbers_and_json() -> None:
    own, rest = run_options(["--resources", "num_cpus=2", "cluster=local", "--steps", "3"])
    assert rest == ["--steps", "3"]
    assert resources(own.resources) == {"num_cpus": 2, "cluster": "local"}
    assert resources(['setup=["module load x"]', "mem=4=5"]) == {
        "setup": ["module load x"],
        "mem": "4=5",
    }
    with pytest.raises(UsageError, match="resources: got gpu, wanted KEY=VALUE"):
        resources(["gpu"])


def test_what_a_cluster_alone_understands_is_refused_here(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="resources: this machine gives what it has"):
        launcher(RunOptions(resources=("num_cpus=1",)))
    monkeypatch.setenv("LSTM_LAB_COORDINATOR", "auto")
    with pytest.raises(UsageError, match="one of several processes"):
        launcher(RunOptions(launcher="slurm"))


def test_a_package_that_is_absent_is_named_with_its_extra() -> None:
    with pytest.raises(
        UsageError, match=r"nosuch is not installed: pip install 'lstm-lab\[slurm\]'"
    ):
        package("nosuch", "slurm")
