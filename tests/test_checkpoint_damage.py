"""Checkpoints are damaged, half written, killed and starved here; none may be believed wrongly."""

import logging
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lstm_lab.checkpoint import Checkpoints
from lstm_lab.errors import CheckpointError, StorageError
from tests.test_checkpoint import State, same, state, two_steps
from tests.test_files import full_disk

SEED = 7


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_steps(tmp_path_factory.mktemp("saved") / "checkpoints")


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "checkpoints")


def files(step: Path) -> list[str]:
    return sorted(p.relative_to(step).as_posix() for p in step.rglob("*") if p.is_file())


def falls_back(folder: Path, log: pytest.LogCaptureFixture, why: str = "") -> None:
    """Step 20 is skipped with one warning, and step 10 is read whole."""
    log.clear()
    found = Checkpoints(folder).latest(state(0))
    assert found is not None
    assert found[0] == 10
    assert same(found[1], state(10))
    warnings = [r.getMessage() for r in log.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert str(folder / "00000020") in warnings[0]
    assert why in warnings[0]


def test_a_flipped_bit_in_any_file_is_detected(
    copy: Path, saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(SEED)
    for name in files(copy / "00000020"):
        path, whole = copy / "00000020" / name, (saved / "00000020" / name).read_bytes()
        flips = 24 if path.suffix == ".json" else 4
        for _ in range(flips if whole else 0):
            damaged = bytearray(whole)
            damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
            path.write_bytes(damaged)
            falls_back(copy, caplog)
        path.write_bytes(whole)


def test_any_file_too_short_too_long_or_absent_is_detected(
    copy: Path, saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in files(copy / "00000020"):
        path, whole = copy / "00000020" / name, (saved / "00000020" / name).read_bytes()
        cuts = {0, len(whole) // 2, len(whole) - 1} if whole else set()
        for data in (whole + b"\0", *(whole[:cut] for cut in cuts)):
            path.write_bytes(data)
            falls_back(copy, caplog, path.name)
        path.unlink()
        if name != "manifest.json":
            falls_back(copy, caplog, path.name)
        path.write_bytes(whole)
    (copy / "00000020" / "arrays" / "stray").write_text("")
    falls_back(copy, caplog, "stray")


def test_without_manifest_it_was_never_a_checkpoint(copy: Path) -> None:
    (copy / "00000020" / "manifest.json").unlink()
    found = Checkpoints(copy).latest(state(0))
    assert found is not None
    assert found[0] == 10


def test_files_swapped_between_steps_are_detected(
    copy: Path, saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    swapped = 0
    for name in files(saved / "00000020"):
        ours, theirs = saved / "00000020" / name, saved / "00000010" / name
        if ours.read_bytes() != theirs.read_bytes():
            shutil.copy(theirs, copy / "00000020" / name)
            falls_back(copy, caplog)
            shutil.copy(ours, copy / "00000020" / name)
            swapped += 1
    assert swapped >= 3
    shutil.rmtree(copy / "00000020")
    shutil.copytree(saved / "00000010", copy / "00000020")
    falls_back(copy, caplog, "of step 10")


def test_links_and_pipes_inside_a_step_are_refused(
    copy: Path, saved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in files(saved / "00000020"):
        path, outside = copy / "00000020" / name, tmp_path / "outside"
        shutil.copy(path, outside)
        path.unlink()
        path.symlink_to(outside)
        falls_back(copy, caplog, "plain file")
        path.unlink()
        os.mkfifo(path)
        falls_back(copy, caplog, "plain file")
        path.unlink()
        shutil.copy(outside, path)
    (copy / "00000020").rename(tmp_path / "elsewhere")
    (copy / "00000020").symlink_to(tmp_path / "elsewhere")
    falls_back(copy, caplog, "symbolic link")
    Checkpoints(copy).save(20, state(20), {})
    assert len(files(tmp_path / "elsewhere")) == len(files(saved / "00000020"))
    assert not (copy / "00000020").is_symlink()


def test_a_linked_directory_is_refused(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").symlink_to(saved)
    with pytest.raises(CheckpointError, match="symbolic link"):
        Checkpoints(tmp_path / "checkpoints")


def test_all_damaged_is_an_error_that_names_each(copy: Path) -> None:
    for step in ("00000010", "00000020"):
        (copy / step / "meta.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"step 20: meta.json .*; step 10: .*: restore"):
        Checkpoints(copy).latest(state(0))


def test_deleting_begins_with_the_manifest(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        Checkpoints(copy).save(30, state(30), {})
    assert Checkpoints(copy).steps == [20, 30]
    assert not (copy / "00000010.deleted" / "manifest.json").exists()


@pytest.mark.parametrize("limit", [100, 1_000, 50_000])
def test_a_full_disk(copy: Path, limit: int, capfd: pytest.CaptureFixture[str]) -> None:
    big = State(np.zeros(100_000, np.float32), np.int32(30))
    with full_disk(limit), pytest.raises(StorageError, match=r"00000030.*free space") as caught:
        Checkpoints(copy).save(30, big, {})
    assert len(str(caught.value)) < 700
    assert sorted(os.listdir(copy)) == ["00000010", "00000020"]
    found = Checkpoints(copy).latest(state(0))
    assert found is not None
    assert same(found[1], state(20))
    Checkpoints(copy).save(30, big, {})
    assert Checkpoints(copy).steps == [20, 30]
    assert capfd.readouterr() == ("", ""), "one line is all that the user sees"


def test_a_directory_that_cannot_be_written(copy: Path) -> None:
    copy.chmod(0o500)
    try:
        if os.access(copy, os.W_OK):
            pytest.skip("the superuser may write everywhere")
        with pytest.raises(StorageError, match="make it writable"):
            Checkpoints(copy).save(30, state(30), {})
    finally:
        copy.chmod(0o700)


# One process imports Orbax and forks the ones to be killed: a fresh import each would take minutes.
KILLED = """
import os, signal, sys
import numpy as np
from orbax.checkpoint import v1
from lstm_lab.checkpoint import Checkpoints

def state(step):
    return {"w": np.full(300_000, step, np.float32), "b": np.full(7, step, np.int32)}

def train(folder, acknowledged):
    checkpoints = Checkpoints(folder)
    found = checkpoints.latest(state(0))
    step = found[0] if found else 0
    while True:
        step += 1
        checkpoints.save(step, state(step), {"step": step})
        os.write(acknowledged, b"%d\\n" % step)

acknowledged = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        train(sys.argv[1], acknowledged)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


def test_kill_nine_loses_no_acknowledged_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, log = tmp_path / "checkpoints", tmp_path / "acknowledged"
    rng = random.Random(SEED)
    template = {"w": np.zeros(300_000, np.float32), "b": np.zeros(7, np.int32)}
    inside, kills = 0, 8
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(log)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    try:
        for _ in range(kills):
            before = log.read_text().count("\n") if log.exists() else 0
            parent.stdin.write("go\n")
            parent.stdin.flush()
            child = int(parent.stdout.readline())
            deadline = time.monotonic() + 60
            while not log.exists() or log.read_text().count("\n") < before + 2:
                assert time.monotonic() < deadline, "the child does not save"
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.15))
            os.kill(child, 9)
            assert parent.stdout.readline() == "dead\n"
            steps = Checkpoints(folder).steps
            inside += len(list(folder.iterdir())) > len(steps)
            found = Checkpoints(folder).latest(template)
            assert found is not None
            last = int(log.read_text().split()[-1])
            # A save may have been committed and not yet acknowledged.
            assert found[0] in (last, last + 1)
            assert len(steps) >= 2
            assert np.all(found[1]["w"] == found[0])
            assert found[2] == {"step": found[0]}
            assert not caplog.records, "a save cut short must not look like a checkpoint"
    finally:
        parent.stdin.close()
        parent.wait()
        parent.stdout.close()
    assert inside >= 2, f"only {inside} of {kills} kills hit a write: seed {SEED}"
