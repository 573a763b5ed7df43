"""A file is found under every name it may have, checked by its content, and missed in one line."""

import gzip
import hashlib
from pathlib import Path

import pytest

from lstm_lab.data.locate import Known, contents, directory, locate, read
from lstm_lab.errors import AbsentError, DataError

CONTENT = b"what everybody has"
FILE = Known("set/part-one", hashlib.sha256(CONTENT).hexdigest(), "any copy will do")


@pytest.mark.parametrize("name", ["set/part-one", "set/part-one.gz", "part-one", "part-one.gz"])
def test_a_file_is_found_in_a_collection_and_in_its_own_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(CONTENT, mtime=0) if name.endswith(".gz") else CONTENT)
    assert locate(FILE, tmp_path) == path
    assert read(FILE, tmp_path) == CONTENT


@pytest.mark.parametrize("above", ["", "sets/", "sets/kind/"])
def test_a_directory_may_be_any_of_the_folders_in_the_files_name(
    tmp_path: Path, above: str
) -> None:
    deep = Known("sets/kind/part-one", FILE.sha256, FILE.origin)
    path = tmp_path / deep.name
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert locate(deep, tmp_path / above) == path


@pytest.mark.parametrize("folder", ["", "no/such/folder", "x" * 300])
def test_a_file_that_is_not_there_is_named_with_where_to_get_it(
    tmp_path: Path, folder: str
) -> None:
    (tmp_path / "part-one").mkdir()  # a folder of that name is no file
    with pytest.raises(AbsentError) as caught:
        read(FILE, tmp_path / folder)
    message = str(caught.value)
    assert message.startswith(f"data: no set/part-one or set/part-one.gz in '{tmp_path}")
    assert message.endswith("with --data-dir or LSTM_LAB_DATA; any copy will do")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("name", ["part-one", "part-one.gz"])
def test_another_file_of_that_name_is_refused_with_both_hashes(tmp_path: Path, name: str) -> None:
    other = b"what I have"
    (tmp_path / name).write_bytes(gzip.compress(other) if name.endswith(".gz") else other)
    with pytest.raises(DataError, match="damaged or another file than set/part-one") as caught:
        read(FILE, tmp_path)
    assert not isinstance(caught.value, AbsentError)
    for said in (FILE.sha256, hashlib.sha256(other).hexdigest(), str(tmp_path / name)):
        assert said in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        CONTENT,
        gzip.compress(CONTENT, mtime=0)[:-9],
        gzip.compress(CONTENT, mtime=0)[:12] + b"\xff" * 30,
    ],
)
def test_a_broken_gz_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "part-one.gz"
    path.write_bytes(raw)
    if not raw:  # gzip takes an empty file for an empty content
        assert contents(path) == b""
        return
    with pytest.raises(DataError, match=r"part-one.gz is no whole .gz file \(.*\): fetch it again"):
        contents(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*: make it readable"):
        contents(tmp_path)


def test_the_variable_names_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LSTM_LAB_DATA", raising=False)
    assert directory() == Path("data")
    monkeypatch.setenv("LSTM_LAB_DATA", "")
    assert directory() == Path("data")
    monkeypatch.setenv("LSTM_LAB_DATA", "/elsewhere/sets")
    assert directory() == Path("/elsewhere/sets")
    monkeypatch.setenv("LSTM_LAB_DATA", "~/sets")
    assert directory() == Path.home() / "sets"
