"""A trial learns the same on one device, on eight, and in two processes; nothing is said within the loop over time."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from lstm_lab.devices import SeedAxis, compile_small_loops_whole
from lstm_lab.errors import UsageError
from lstm_lab.processes import join
from lstm_lab.program import Program
from lstm_lab.rundir import Onlooker, RunDirectory, read_metrics
from lstm_lab.tasks.recall import Recall
from lstm_lab.trial import Trial

SCRIPT = Path(__file__).with_name("on_devices.py")
ROOT = Path(__file__).parents[1]
OPTIMISED = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}


def start(words: list[Any], devices: int, **settings: str) -> subprocess.Popen[str]:
    given = {"JAX_NUM_CPU_DEVICES": str(devices), "PYTHONPATH": str(ROOT), **settings}
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        env={**os.environ, **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def together(words: list[Any], processes: int, devices: int) -> list[subprocess.Popen[str]]:
    """The same command in several processes that meet on this host."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        where = f"localhost:{free.getsockname()[1]}"
    given = {"LSTM_LAB_COORDINATOR": where, "LSTM_LAB_PROCESSES": str(processes)}
    return [start(words, devices, **given, LSTM_LAB_PROCESS=str(i)) for i in range(processes)]


def printed(*processes: subprocess.Popen[str]) -> list[dict[str, Any]]:
    said = [process.communicate(timeout=300) for process in processes]
    assert not any(process.returncode for process in processes), said
    lines = [[line for line in out.splitlines() if line.startswith('["')] for out, _ in said]
    return [dict(json.loads(line) for line in printed) for printed in lines]


def assert_alike(got: dict[str, Any], wanted: dict[str, Any]) -> None:
    np.testing.assert_allclose(got["loss"], wanted["loss"], rtol=1e-5)
    for name, values in wanted["scores"].items():
        np.testing.assert_allclose(got["scores"][name], values, rtol=1e-5)


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param({"two": [2, 4]}, id="two"),
        pytest.param(
            {"one": [1, 8], "six": [1, 6], "text": [2, 4]}, marks=pytest.mark.variant, id="others"
        ),
    ],
)
def test_eight_devices_learn_what_one_does(cases: dict[str, list[int]]) -> None:
    one, eight = (printed(start([SCRIPT, *cases], n))[0] for n in (1, 8))
    for case, mesh in cases.items():
        assert one[case]["mesh"] == [1, 1]
        assert eight[case]["mesh"] == mesh
        assert_alike(eight[case], one[case])
        # Eight rows of a batch lie on four devices, the carry that goes on to the next batch included.
        assert set(eight[case]["rows"]) <= {2}
    assert "text" not in cases or eight["text"]["rows"]


def test_no_loop_talks_between_devices() -> None:
    found = printed(start([SCRIPT, "hlo"], 8, **OPTIMISED))[0]["hlo"]
    assert found["loops"] >= 2
    assert found["in loops"] == 0
    assert found["all"] >= 1


@pytest.mark.variant
def test_two_processes_learn_what_one_does_and_go_on_after_a_signal(tmp_path: Path) -> None:
    (alone,) = printed(start([SCRIPT, "two", "text", f"fit={tmp_path / 'alone'}"], 1))
    pair = together([SCRIPT, "two", "text", f"fit={tmp_path / 'pair'}"], 2, 2)
    for found in printed(*pair):
        for case in ("two", "text"):
            assert found[case]["mesh"] == [2, 2]
            assert_alike(found[case], alone[case])
        # The second process alone was asked.
        assert "SIGTERM" in found["fit"]["said"]
        assert "at step 6" in found["fit"]["said"]
        assert found["fit"]["device"].endswith(" x4")
    one, two = (read_metrics(tmp_path / name / "metrics.jsonl") for name in ("alone", "pair"))
    assert len(one) == len(two) == 16
    for mine, other in zip(one, two, strict=True):
        for name in mine.keys() - {"time"}:
            number = not isinstance(mine[name], str)
            assert other[name] == (pytest.approx(mine[name], rel=1e-5) if number else mine[name])


@pytest.mark.variant
def test_where_one_process_is_refused_all_are(tmp_path: Path) -> None:
    experiment = tmp_path / "tiny.py"
    experiment.write_text(
        "from lstm_lab.experiment import Experiment\nexperiment = Experiment(seeds=2)\n"
    )
    command = "import sys; from lstm_lab.cli import execute; sys.exit(execute(sys.argv[1:]))"
    words = ["-c", command, "run", experiment, "--smoke", "--out", tmp_path]
    (trial,) = _trials(experiment)
    with RunDirectory(tmp_path / "tiny" / trial):
        pair = together(words, 2, 1)
        said = [process.communicate(timeout=300)[1] for process in pair]
    assert [process.returncode for process in pair] == [5, 5]
    assert f"held by process {os.getpid()}" in said[0]
    assert "another process was refused" in said[1]


def _trials(path: Path) -> list[str]:
    from lstm_lab.experiment import Experiment

    return [trial.id for trial in Experiment(name=path.stem, seeds=2).smoke().trials()]


@pytest.mark.parametrize(
    ("seeds", "batch", "mesh"),
    [(1, 32, (1, 2)), (1, 33, (1, 1)), (1, 30, (1, 1)), (2, 32, (2, 1)), (5, 8, (2, 1))],
)
def test_seeds_come_first_and_the_batch_takes_what_divides_it(
    seeds: int, batch: int, mesh: tuple[int, int]
) -> None:
    assert SeedAxis(seeds, batch).mesh.devices.shape == mesh


def test_a_program_stays_on_the_devices_it_is_given() -> None:
    trial = Trial(task=Recall(lag=3), d_hidden=4, batch=32, seeds=1)
    one = jax.devices()[1:2]
    spread, kept = Program(trial), Program(trial, devices=one)
    assert len(spread.init().step.devices()) == 2
    assert kept.init().step.devices() == set(one)


def test_a_process_with_nothing_to_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(UsageError, match="none of process 1: start fewer processes"):
        SeedAxis(2, 8)


@pytest.mark.parametrize(("processes", "process"), [("", "0"), ("2", "2"), ("two", "0")])
def test_a_process_that_is_none_of_them_is_refused(
    processes: str, process: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_LAB_COORDINATOR", "localhost:1")
    monkeypatch.setenv("LSTM_LAB_PROCESSES", processes)
    monkeypatch.setenv("LSTM_LAB_PROCESS", process)
    with pytest.raises(UsageError, match="give how many processes there are"):
        join()


def test_an_onlooker_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with RunDirectory(path) as run:
        run.metrics.append([{"step": 1}])
        run.start({}, {})
        before = {file: file.read_bytes() for file in path.iterdir()}
        with Onlooker(path) as other:
            other.start({"a": 1}, {})
            other.metrics.append([{"step": 2}])
            other.metrics.truncate(0)
            other.fail("diverged", "reason")
            other.finish({"status": "finished"})
            assert other.metrics.offset == 0
            assert other.read("config.json") == {}
        assert {file: file.read_bytes() for file in path.iterdir()} == before


@pytest.mark.parametrize(
    ("given", "kept"), [("", []), ("--a=1", ["--a=1"]), ("--xla_backend_extra_options=b=2", None)]
)
def test_flags_that_are_given_stay(
    given: str, kept: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XLA_FLAGS", given)
    for _ in range(2):
        compile_small_loops_whole()
        *before, last = os.environ["XLA_FLAGS"].split()
        if kept is None:
            assert (before, last) == ([], given)
        else:
            assert before == kept
            assert "small_while_loop" in last


WHOLE = """
import jax
from lstm_lab.devices import use_all_cores
use_all_cores()
from lstm_lab.cells.lstm import LSTM
from lstm_lab.unroll import unroll
cell = LSTM()
params = cell.init(jax.random.key(0), 2, 8)
for rows in (1, 2):
    run = jax.jit(lambda x: unroll(cell, params, x)[1])
    text = run.lower(jax.numpy.ones((rows, 50, 2))).compile().as_text()
    print(rows, sum(" call(" in line for line in text.splitlines()))
"""


def test_a_loop_of_one_row_is_one_kernel() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-c", WHOLE],
        env={**environment, **OPTIMISED, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1", "1", "2", "0"]
