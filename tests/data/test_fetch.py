"""What the hub keeps as a table comes out as the files everybody knows, or not at all."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from lstm_lab.cli import execute
from lstm_lab.data import hub, mnist
from lstm_lab.data.fetch import fetch
from lstm_lab.errors import DataError, UsageError
from tests.data.tiny import idx, write_mnist


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """A cache that holds MNIST of 24 and 12 digits as a download would have left it; the four files' contents."""
    import datasets

    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(hub, "_unreachable", lambda endpoint: f"{endpoint} is not asked by tests")
    (tmp_path / "own").mkdir()
    arrays = write_mnist(tmp_path / "own", monkeypatch)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    parts = {"train": arrays[:2], "test": arrays[2:]}
    for name, (pixels, labels) in parts.items():
        rows = {"image": list(pixels), "label": labels}
        table = datasets.Dataset.from_dict(rows, features=features)
        (tmp_path / "mnist").mkdir(exist_ok=True)
        table.to_parquet(tmp_path / "mnist" / f"{name}.parquet")
    builder = datasets.load_dataset_builder(str(tmp_path / "mnist"), cache_dir=str(tmp_path / "b"))
    builder.download_and_prepare()
    cache = tmp_path / "hf" / "datasets"
    shutil.copytree(builder.cache_dir, cache / "ylecun___mnist" / "default" / "0.0.0" / "abc")
    return [idx(array) for array in arrays]


def test_the_files_are_the_known_ones(
    digits: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    assert execute(["fetch", "mnist", "--data-dir", str(folder)]) == 0
    paths = [folder / file.name for file in mnist.FILES]
    assert capsys.readouterr().out.split() == [str(path) for path in paths]
    assert [path.read_bytes() for path in paths] == digits
    train, test = mnist.read_mnist(folder)
    assert (len(train.labels), len(test.labels)) == (24, 12)


def test_what_is_there_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path, monkeypatch)

    def forbidden(*_: object) -> bytes:
        raise AssertionError("asked the hub")

    monkeypatch.setattr(hub, "fetch", forbidden)
    found = list(fetch("mnist", tmp_path))
    assert [path.suffix for path in found] == [".gz"] * 4


def test_another_content_is_refused_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "fetch", lambda *_: b"another")
    with pytest.raises(DataError, match="got sha256"):
        list(fetch("mnist", tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_without_the_hub_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="connect once to fill the cache, or give a local file"):
        list(fetch("mnist", tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_an_unknown_data_set_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="fetch: imagenet: no such data set: there is mnist"):
        list(fetch("imagenet", Path("data")))
    assert execute(["fetch"]) == 2
    assert capsys.readouterr().err == "error: fetch: no data set: name one, such as mnist\n"


def test_large_numbers_are_no_pictures(tmp_path: Path) -> None:
    with (
        open(tmp_path / "column", "wb") as file,
        pytest.raises(SystemExit, match="no pictures in grey"),
    ):
        hub._write_idx([np.array([[300]])], "image", file)
