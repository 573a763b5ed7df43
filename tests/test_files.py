"""Files are whole or absent, for the owner alone, and named so that they stay inside."""

import errno
import json
import math
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.errors import StorageError, UsageError
from lstm_lab.files import check_name, dumps, make_directory, write_json, writing


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """No file of this process can grow past `limit` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["a", "long_range", "3-lstm.v2", "A" * 64])
def test_names_accepted(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "/x",
        "a/b",
        "~",
        "-x",
        ".x",
        "a\n",
        "a\0",
        "A" * 65,
        "é",
        "a b",
        "a\\b",
    ],
)
def test_names_refused(name: str) -> None:
    with pytest.raises(UsageError, match="letters, digits"):
        check_name(name)


def test_json_is_plain_json() -> None:
    value = {
        "nan": math.nan,
        "nested": [{"inf": np.float32("inf")}],
        "tuple": (1, None, True),
        "jax": jnp.float32(0.5),
        "array": np.array([[1.0, math.nan]]),
        "script": "</script>\u2028",
    }
    text = dumps(value)
    assert text.isascii()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "nan": None,
        "nested": [{"inf": None}],
        "tuple": [1, None, True],
        "jax": 0.5,
        "array": [[1.0, None]],
        "script": "</script>\u2028",
    }


def test_a_float_comes_back_bit_for_bit() -> None:
    values = np.random.default_rng(0).normal(size=100).astype(np.float32)
    np.testing.assert_array_equal(np.array(json.loads(dumps(values)), np.float32), values)


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"old": True})
    with full_disk(1000), pytest.raises(StorageError, match=r"result\.json.*free space") as caught:
        write_json(path, {"new": list(range(1000))})
    assert len(str(caught.value).splitlines()) == 1
    assert json.loads(path.read_text()) == {"old": True}
    assert os.listdir(tmp_path) == ["result.json"]


def test_a_write_replaces_a_link_and_leaves_its_target(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("theirs")
    for link in ("config.json", ".config.json.tmp"):
        (tmp_path / link).symlink_to(outside)
    write_json(tmp_path / "config.json", [1])
    assert outside.read_text() == "theirs"
    assert json.loads((tmp_path / "config.json").read_text()) == [1]


def test_what_is_made_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_directory(tmp_path / "runs" / "long_range")
        write_json(tmp_path / "runs" / "long_range" / "config.json", {})
    finally:
        os.umask(before)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "runs").rglob("*")
    }
    assert modes == {"long_range": 0o700, "config.json": 0o600}
    assert stat.S_IMODE((tmp_path / "runs").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "free space"),
        (errno.EROFS, "make it writable"),
        (errno.EACCES, "make it writable"),
    ],
)
def test_the_system_refuses(number: int, fix: str) -> None:
    with (
        pytest.raises(StorageError, match=f"^cannot write x/y: .*: {fix}") as caught,
        writing(Path("x/y")),
    ):
        raise OSError(number, os.strerror(number))
    assert os.strerror(number) in str(caught.value)
