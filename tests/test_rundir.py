"""One writer per run, rows that survive, and a result that comes last."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_lab.errors import CheckpointError, DataError, LockedError, StorageError, UsageError
from lstm_lab.rundir import RunDirectory, read_metrics
from tests.test_files import full_disk

HOLD = """
import sys, time
from lstm_lab.rundir import RunDirectory
with RunDirectory(sys.argv[1]) as run:
    run.metrics.append([{"step": 1}])
    print("held", flush=True)
    time.sleep(60)
"""


def hold(path: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_second_process_is_told_who_holds_it_and_a_dead_one_never_blocks(tmp_path: Path) -> None:
    path = tmp_path / "run"
    holder = hold(path)
    try:
        with pytest.raises(LockedError, match=f"{path}: held by process {holder.pid}:"):
            RunDirectory(path).__enter__()
        assert (path / ".lock").read_text() == f"{holder.pid}\n", "the loser must not sign"
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
    with RunDirectory(path):
        assert (path / ".lock").read_text() == f"{os.getpid()}\n"
        assert read_metrics(path / "metrics.jsonl") == [{"step": 1}]


def test_the_same_process_cannot_hold_it_twice_but_can_again(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with RunDirectory(path), pytest.raises(LockedError, match=str(os.getpid())):
        RunDirectory(path).__enter__()
    with RunDirectory(path) as run:
        assert run.path == path


def test_the_lock_is_let_go_when_the_run_raises(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunDirectory(tmp_path / "run"):
        _ = 1 / 0
    RunDirectory(tmp_path / "run").__enter__().__exit__(None, None, None)


def test_links_and_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(UsageError, match="symbolic link"):
        RunDirectory(tmp_path / "link")
    with pytest.raises(UsageError, match="directory name"):
        RunDirectory(tmp_path / ".hidden")
    (tmp_path / "real" / ".lock").symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError, match="real"):
        RunDirectory(tmp_path / "real").__enter__()
    assert not (tmp_path / "outside").exists()


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*run"):
        RunDirectory(tmp_path / "run").__enter__()


def test_the_order_of_a_run(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run") as run:
        run.start({"model": "LSTM"}, {"threads": 1})
        assert (run.finished, run.result) == (False, None)
        run.fail("diverged", "loss: nan", trial="run")
        assert run.read("failure.json") == {
            "trial": "run",
            "status": "diverged",
            "reason": "loss: nan",
        }
        run.metrics.append([{"step": 1, "loss": float("nan")}])
        run.finish({"final": {"loss": [0.5, float("inf")]}})
    again = RunDirectory(tmp_path / "run")
    assert again.finished
    assert again.result == {"final": {"loss": [0.5, None]}}
    assert again.read("config.json") == {"model": "LSTM"}
    assert again.read("failure.json") is None, "a run that is done did not fail"
    assert read_metrics(again.path / "metrics.jsonl") == [{"step": 1, "loss": None}]


def test_no_result_where_it_cannot_be_written(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run") as run:
        with full_disk(100), pytest.raises(StorageError, match=r"result\.json"):
            run.finish({"final": list(range(1000))})
        assert not run.finished


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"final": ')
    run = RunDirectory(tmp_path)
    with pytest.raises(DataError, match=r"result\.json: not JSON"):
        _ = run.result


def test_resuming_cuts_back_and_writes_the_same_rows_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with RunDirectory(tmp_path) as run:
        run.metrics.append({"step": step, "loss": 1 / step} for step in (1, 2))
        offset = run.metrics.offset
        run.metrics.append([{"step": 3, "loss": 0.1}])
        whole = path.read_bytes()
    with path.open("ab") as torn:
        torn.write(b'{"step": 4, "lo')
    assert [row["step"] for row in read_metrics(path)] == [1, 2, 3]
    with RunDirectory(tmp_path) as run:
        run.metrics.truncate(offset)
        run.metrics.append([{"step": 3, "loss": 0.1}])
    assert path.read_bytes() == whole


def test_resuming_onto_too_few_rows_is_refused(tmp_path: Path) -> None:
    with RunDirectory(tmp_path) as run:
        run.metrics.append([{"step": 1}])
        with pytest.raises(CheckpointError, match=r"12 bytes, the checkpoint wants 500"):
            run.metrics.truncate(500)
        run.metrics.truncate(0)
        assert run.metrics.offset == 0


def test_a_full_disk_leaves_no_half_row(tmp_path: Path) -> None:
    with RunDirectory(tmp_path) as run:
        run.metrics.append([{"step": 1}])
        with full_disk(100), pytest.raises(StorageError, match=r"metrics\.jsonl"):
            run.metrics.append({"step": step} for step in range(100))
        run.metrics.append([{"step": 2}])
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize("cut", range(1, 13))
def test_every_torn_row_is_dropped(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n' + '{"step": 2}\n'[:-cut])
    assert read_metrics(path) == [{"step": 1}]


def test_a_bad_row_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"step": 1}) + "\nnonsense\n" + json.dumps({"step": 2}) + "\n")
    with pytest.raises(DataError, match="line 2 is not JSON"):
        read_metrics(path)
    assert read_metrics(tmp_path / "absent.jsonl") == []


def test_metrics_do_not_follow_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("theirs\n")
    (tmp_path / "metrics.jsonl").symlink_to(outside)
    with RunDirectory(tmp_path) as run, pytest.raises(StorageError):
        run.metrics.append([{"step": 1}])
    assert outside.read_text() == "theirs\n"
