"""Jobs on a Ray cluster whose nodes are all on this machine: what is killed, stopped or left goes on elsewhere."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lstm_lab.errors import LabError, LostError, UsageError
from lstm_lab.launch.base import Terms
from lstm_lab.launch.ray import Ray
from lstm_lab.signals import Stop
from tests.launch.jobs import (
    ENDLESS,
    LONG,
    QUICK,
    Heard,
    failure,
    killed,
    left,
    meanwhile,
    outcomes,
    parent_of,
    trainer,
    undisturbed,
)

ray = pytest.importorskip("ray", reason="needs Ray: make peers")
pytestmark = [
    pytest.mark.usefixtures("elsewhere"),
    # A node is started by a fork that at once runs another program, so that JAX's threads matter to nobody.
    pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that runs nothing, and a node of one core."""
    from ray.cluster_utils import Cluster

    # Ray's sockets lie below it, and the name of a socket is short.
    with tempfile.TemporaryDirectory(prefix="ray") as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        patch.setenv("RAY_TMPDIR", place)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        head = {"num_cpus": 0, "include_dashboard": False}
        there = Cluster(initialize_head=True, head_node_args=head)
        try:
            there.add_node(num_cpus=1)
            patch.setenv("RAY_ADDRESS", there.address)
            yield there
        finally:
            ray.shutdown()
            there.shutdown()


def test_a_task_uses_the_cores_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: Any
) -> None:
    monkeypatch.delenv("LSTM_LAB_CPU_DEVICES")
    heard = Heard()
    outcome = outcomes(Ray(), [QUICK], tmp_path, watcher=heard)[QUICK]
    assert not isinstance(outcome, LabError)
    assert outcome["status"] == "finished"
    assert outcome["device"].endswith("x1"), "one core, one device"
    assert len(heard.lines) == 1


@pytest.mark.fault
def test_a_killed_process_goes_on_to_the_same_result(tmp_path: Path, cluster: Any) -> None:
    heard = Heard()
    with meanwhile(killed(LONG, tmp_path)):
        ended = outcomes(Ray(), [LONG], tmp_path, watcher=heard)
    assert not isinstance(ended[LONG], LabError)
    assert "its process ended by signal 9" in heard.lines[0]
    assert left(LONG, tmp_path) == undisturbed(LONG)


@pytest.mark.fault
def test_what_a_lost_node_was_at_goes_on_at_another(tmp_path: Path, cluster: Any) -> None:
    cluster.add_node(num_cpus=1)

    def lose() -> None:
        raylet = parent_of(parent_of(trainer(LONG, tmp_path)))
        (node,) = (node for node in cluster.worker_nodes if _raylet(node) == raylet)
        cluster.remove_node(node, allow_graceful=False)

    heard = Heard()
    with meanwhile(lose):
        ended = outcomes(Ray(), [LONG, QUICK], tmp_path, watcher=heard)
    assert not any(isinstance(outcome, LabError) for outcome in ended.values())
    assert any("sent out again, 1 of 2" in line for line in heard.lines)
    assert left(LONG, tmp_path) == undisturbed(LONG)


def _raylet(node: Any) -> int:
    """The process of a node that starts the others."""
    return int(node.all_processes["raylet"][0].process.pid)


@pytest.mark.fault
def test_what_is_killed_each_time_is_given_up_and_the_rest_goes_on(
    tmp_path: Path, cluster: Any
) -> None:
    with meanwhile(killed(ENDLESS, tmp_path, times=3)):
        ended = outcomes(Ray(), [ENDLESS, QUICK], tmp_path)
    assert isinstance(ended[ENDLESS], LostError)
    assert failure(ENDLESS, tmp_path)["status"] == "crashed"
    assert not isinstance(ended[QUICK], LabError)


@pytest.mark.fault
def test_a_group_out_of_time_is_stopped_and_says_so(tmp_path: Path, cluster: Any) -> None:
    outcome = outcomes(Ray(), [ENDLESS], tmp_path, terms=Terms(limit=8))[ENDLESS]
    assert isinstance(outcome, LabError)
    assert outcome.exit_code == 8
    assert failure(ENDLESS, tmp_path)["status"] == "timeout"


@pytest.mark.fault
def test_asked_to_stop_tasks_save_and_a_later_launcher_goes_on(
    tmp_path: Path, cluster: Any
) -> None:
    stop, heard = Stop(), Heard()

    def ask() -> None:
        trainer(LONG, tmp_path)
        stop.signum = signal.SIGINT

    # It saves when asked, for the time to save by itself does not come.
    terms = Terms(save_every=1)
    with meanwhile(ask):
        assert not outcomes(Ray(), [LONG], tmp_path, terms=terms, stop=stop, watcher=heard)
    assert heard.lines == [f"{tmp_path.name}: jobs asked to save and stop: 1"]
    assert not (tmp_path / LONG.id / "failure.json").exists()
    assert not (tmp_path / LONG.id / "result.json").exists()
    outcomes(Ray(), [LONG], tmp_path)
    assert left(LONG, tmp_path) == undisturbed(LONG)


def test_what_ray_does_not_know_is_told() -> None:
    with pytest.raises(UsageError, match="resources: cpus: no such resource: use num_cpus, "):
        Ray(0, {"cpus": 3})
    with pytest.raises(UsageError, match=r"resources: .*num_cpus cannot be negative"):
        Ray(0, {"num_cpus": -1})
    with pytest.raises(UsageError, match=r"resources: .*'num_cpus' must be"):
        Ray(0, {"num_cpus": "many"})


def test_where_no_cluster_runs_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", none)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UsageError, match="no cluster runs on this machine: start one with `ray"):
        Ray()
    monkeypatch.setenv("RAY_ADDRESS", "nowhere:1")
    with pytest.raises(UsageError, match="nowhere:1: Could not find any"):
        Ray()
