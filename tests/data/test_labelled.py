"""Rows of text and label come out of every form as they were written."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lstm_lab.data import hub
from lstm_lab.data.labelled import COLLECTIONS, Rows, check_labelled, read_labelled
from lstm_lab.errors import AbsentError, DataError, UsageError

TEXTS = ['a "b', "NA", "x\x85y, z"]
ROWS = Rows(TEXTS, ["1", "0", "1"])


def named(path: Path) -> None:
    """Write the rows as the file's ending says, with a header where there is one."""
    from datasets import Dataset

    table = Dataset.from_dict({"text": TEXTS, "label": [1, 0, 1]})
    match path.suffix:
        case ".csv":
            table.to_csv(path)
        case ".tsv":
            lines = [f"{text}\t{label}" for text, label in zip(*ROWS, strict=True)]
            path.write_text("\n".join(["text\tlabel", *lines]) + "\n")
        case ".parquet":
            table.to_parquet(path)
        case _:
            rows = [{"text": t, "label": int(y)} for t, y in zip(*ROWS, strict=True)]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_columns_with_names(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows.{ending}"
    named(path)
    assert read_labelled(str(path), "text", "label", Path("nowhere")) == ROWS
    # Below the data directory too.
    assert read_labelled(path.name, "text", "label", tmp_path) == ROWS
    with pytest.raises(DataError, match="no column 'body', only text, label"):
        read_labelled(str(path), "body", "label", tmp_path)


def test_columns_with_numbers_and_folders(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text('1\ta "b\r\n\n0\tNA\n')
    (tmp_path / "c.tsv").write_text("1\tx\x85y, z\tmore\n")
    (tmp_path / "readme.md").write_text("none of it")
    assert read_labelled(str(tmp_path), "1", "0", tmp_path) == ROWS
    with pytest.raises(UsageError, match=r"b.txt', columns 'text' and 'label': number its columns"):
        read_labelled(str(tmp_path), "text", "label", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1\tgood\nbad\n", r"rows.txt, line 2: got 1 columns, wanted 2, TAB between"),
        (b"1\t\xff\n", r"rows.txt: .*0xff.*: convert it to UTF-8"),
    ],
)
def test_malformed_lines_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "rows.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_labelled("rows.txt", "1", "0", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", 'text,label\na,1\n"b', r"cannot read .*rows.csv \(.*\): mend it"),
        ("rows.jsonl", '{"text": "a", "label": null}\n', r"row 0: got 'a' labelled None, wanted a"),
        ("rows.jsonl", '{"text": 1, "label": 1}\n', r"row 0: got 1 labelled 1, wanted a text"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_labelled(name, "text", "label", tmp_path)


def test_what_is_not_there_is_named_with_what_to_give(tmp_path: Path) -> None:
    for source in ("lost.csv", *COLLECTIONS):
        with pytest.raises(AbsentError, match=r"--data-dir or LSTM_LAB_DATA"):
            check_labelled(source, tmp_path)
    with pytest.raises(DataError, match=r"no .csv, .*: name another folder"):
        check_labelled(str(tmp_path), tmp_path)
    with pytest.raises(DataError, match="write hub:OWNER/NAME"):
        check_labelled("hub:imdb", tmp_path)
    with pytest.raises(UsageError, match="two columns are read: leave 'body' out"):
        check_labelled("hub:lab/toy:train:body", tmp_path)
    check_labelled("hub:lab/toy:train", tmp_path)


def test_a_data_set_of_the_hub_gives_two_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    columns: dict[str, list[Any]] = {"body": ["a\nb", "c"], "label": [1.0, 0.5]}

    def values(source: hub.Source) -> list[Any]:
        assert (source.repository, source.split) == ("lab/toy", "test")
        return list(columns[source.column])

    monkeypatch.setattr(hub, "values", values)
    found = read_labelled("hub:lab/toy:test", "body", "label", Path())
    assert found == Rows(["a\nb", "c"], ["1", "0.5"])


def test_known_collections_are_what_they_are_said_to_be(data_dir: Path) -> None:
    counts = {"uci_sentiment": (3000, 2), "sms_spam": (5574, 2), "names_by_language": (20050, 18)}
    for source, (rows, labels) in counts.items():
        try:
            check_labelled(source, data_dir)
        except AbsentError as error:
            pytest.skip(str(error))
        found = read_labelled(source, "", "", data_dir)
        assert (len(found.texts), len(set(found.labels))) == (rows, labels)
        assert not any(re.search(r"[\t\n]", text) for text in found.texts)
