"""What is recorded about the machine, and which changes break the bitwise promise."""

import copy
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax
import pytest

from lstm_lab import provenance
from lstm_lab.files import dumps
from lstm_lab.provenance import code_hash, differences, environment


@pytest.fixture(scope="module")
def here() -> dict[str, Any]:
    return environment()


def test_environment_is_what_jax_says(here: dict[str, Any]) -> None:
    assert here["versions"]["jax"] == jax.__version__
    assert (here["device"], here["devices"]) == (jax.devices()[0].device_kind, jax.device_count())
    assert all(here["versions"].values())
    assert dumps(here)


def test_threads_are_nproc_or_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPROC", "3")
    assert environment()["threads"] == 3
    monkeypatch.delenv("NPROC")
    free = environment()
    assert free["threads"] == free["cpus"] >= 1


def test_nothing_has_changed(here: dict[str, Any]) -> None:
    assert differences(here, environment()) == []


@pytest.mark.parametrize(
    "field",
    [
        *("versions.jax", "versions.jaxlib", "versions.flax", "versions.optax", "code", "data"),
        *("device", "devices", "machine", "processor", "vectors", "threads"),
        *("xla_flags", "precision", "x64"),
    ],
)
def test_each_decisive_field_is_named_with_old_and_new(here: dict[str, Any], field: str) -> None:
    now = copy.deepcopy(here)
    *parents, name = field.split(".")
    inner = now
    for parent in parents:
        inner = inner[parent]
    was, inner[name] = inner.get(name), "other"
    assert differences(here, now) == [f"{field}: was {was}, now other"]


def test_what_only_informs_does_not_count(here: dict[str, Any]) -> None:
    informs = {"commit": "f00", "platform": "Another-6.6", "cpus": 96, "nproc": "x"}
    assert differences(here, {**here, **informs}) == []


def test_a_record_that_lacks_everything_differs_and_does_not_fail(here: dict[str, Any]) -> None:
    assert "code: was None, now " + here["code"] in differences({}, here)


def test_two_processors_of_one_name_differ_by_their_vectors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = {"model name": "Some Processor", "flags": "sse2 fma avx avx2 mmx"}
    monkeypatch.setattr(provenance, "_cpuinfo", lambda field: said.get(field, ""))
    narrow = environment()
    said["flags"] += " avx512f"
    assert differences(narrow, environment()) == [
        "vectors: was avx avx2 fma, now avx avx2 avx512f fma"
    ]
    del said["flags"]
    said["Features"] = "fp asimd sve aes"
    assert environment()["vectors"] == "asimd sve"
    said.clear()
    unknown = environment()
    assert (unknown["processor"], unknown["vectors"]) == (platform.processor(), "")


def test_code_hash_sees_contents_names_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    cell = tmp_path / "cells" / "lstm.py"
    cell.write_text("a = 1\n")
    first = code_hash(tmp_path)
    (tmp_path / "notes.txt").write_text("not code")
    assert code_hash(tmp_path) == first
    cell.write_text("a = 2\n")
    assert code_hash(tmp_path) != first
    cell.write_text("a = 1\n")
    assert code_hash(tmp_path) == first
    cell.rename(cell.with_name("gru.py"))
    assert code_hash(tmp_path) != first


def git(folder: Path, *command: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(("git", "-C", str(folder), *who, *command), check=True, capture_output=True)


def test_commit_and_whether_it_is_what_runs(tmp_path: Path) -> None:
    source = tmp_path / "__init__.py"
    source.write_text("")
    assert provenance._commit(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert provenance._commit(tmp_path) is None, "not tracked: some other project's repository"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    clean = provenance._commit(tmp_path)
    assert clean is not None
    assert len(clean) == 40
    source.write_text("changed = True\n")
    assert provenance._commit(tmp_path) == f"{clean}-dirty"


def test_no_git_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance._commit(Path(provenance.__file__).parent) is None
