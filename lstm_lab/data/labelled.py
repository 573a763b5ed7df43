"""Labelled text: rows of a text and its label, wherever they lie.

A source is named by a short specification::

    uci_sentiment, sms_spam, names_by_language   known collections, in the data directory, checked by hash
    hub:OWNER/NAME[/CONFIG][:SPLIT]              a data set of the Hugging Face hub (split train)
    a path                                       a file, or a folder all of whose such files are joined

A path is looked for as it is, then below the data directory. What a file holds, its name's ending says::

    .csv .tsv .json .jsonl .parquet    columns that have names; read through `datasets`
    .tsv .txt                          no header: where columns are numbers, counted from 0; TAB between them

Between TABs quotes are characters like any other. Texts stay as they are written; labels become text.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from lstm_lab.data import hub
from lstm_lab.data.locate import VARIABLE, Known, contents, locate, read
from lstm_lab.errors import AbsentError, DataError, UsageError, one_line

# What `datasets` calls a format, and how it is to read one. "NA" is a text, and no missing value.
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".csv": ("csv", {"keep_default_na": False}),
    ".tsv": ("csv", {"keep_default_na": False, "sep": "\t", "quoting": 3}),
    ".json": ("json", {}),
    ".jsonl": ("json", {}),
    ".parquet": ("parquet", {}),
}
BY_POSITION = (".tsv", ".txt")


class Collection(NamedTuple):
    """Files that are the same wherever they are found, and their columns' positions."""

    files: tuple[Known, ...]
    text: int
    label: int


_SENTIMENT = "it belongs to Sentiment Labelled Sentences in the UCI Machine Learning Repository"
COLLECTIONS = {
    # Kotzias, Denil, de Freitas and Smyth 2015: 3 x 1,000 sentences of reviews, half of them positive.
    "uci_sentiment": Collection(
        (
            Known(
                "labelled_text/uci_sentiment/amazon_cells_labelled.txt",
                "47003fc0a0d4840b00e96e715b6189bad09e7443a3da41c4cbe12ffc79f86ae3",
                _SENTIMENT,
            ),
            Known(
                "labelled_text/uci_sentiment/imdb_labelled.txt",
                "a5851cfed830b68d4b18fa11f7e9fa85debee7566be0933c9a679ce747c86d67",
                _SENTIMENT,
            ),
            Known(
                "labelled_text/uci_sentiment/yelp_labelled.txt",
                "c76468b7b5c6e56a0804d728345c5f84aa2142ddb214420f61cc9cfd4c00d2ea",
                _SENTIMENT,
            ),
        ),
        text=0,
        label=1,
    ),
    # Almeida, Gómez Hidalgo and Yamakami 2011: 5,574 messages, 13% of them spam.
    "sms_spam": Collection(
        (
            Known(
                "labelled_text/SMSSpamCollection.txt",
                "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d",
                "it is the SMS Spam Collection in the UCI Machine Learning Repository, named .txt",
            ),
        ),
        text=1,
        label=0,
    ),
    # 20,050 surnames of 18 languages, 18,012 of them different: Arabic has 108 names in 2,000 rows.
    "names_by_language": Collection(
        (
            Known(
                "labelled_text/names_by_language.tsv",
                "d846a22065ce58ec565b49163dd9e0ff7e236286ef50db4cffcae292305d1695",
                "it is data/names/*.txt of spro/practical-pytorch, joined as LANGUAGE TAB NAME",
            ),
        ),
        text=1,
        label=0,
    ),
}


class Rows(NamedTuple):
    """N texts and their labels, in the order of the source."""

    texts: list[str]
    labels: list[str]


def read_labelled(source: str, text: str, label: str, folder: Path) -> Rows:
    """Read a source.

    Args:
        source: see the module; of a known collection the columns are known too.
        text: name of the column of texts, or its number.
        label: name of the column of labels, or its number.
        folder: the data directory.

    Returns:
        Its rows.

    Raises:
        AbsentError: there is no such file.
        DataError: it is malformed, has no such column, is not the known file, or cannot be downloaded.
        UsageError: the name's ending says nothing that can be read, or the hub's specification has a column.
    """
    if source in COLLECTIONS:
        files, *columns = COLLECTIONS[source]
        pieces = [_lines(read(file, folder), file.name, *columns) for file in files]
    elif hub.is_hub(source):
        pieces = [_from_hub(source, text, label)]
    else:
        pieces = [_file(path, text, label) for path in _paths(source, folder)]
    return Rows([t for piece in pieces for t in piece.texts], [y for p in pieces for y in p.labels])


def check_labelled(source: str, folder: Path) -> None:
    """Refuse a source that is not there, without reading it and without network; raises as `read_labelled`."""
    if source in COLLECTIONS:
        for file in COLLECTIONS[source].files:
            locate(file, folder)
    elif hub.is_hub(source):
        _on_hub(source)
    else:
        _paths(source, folder)


def _paths(source: str, folder: Path) -> list[Path]:
    """Return a source's files, in the order of their names."""
    for path in (Path(source).expanduser(), folder / source):
        if path.is_dir():
            if found := sorted(p for p in path.iterdir() if p.suffix in (*FORMATS, *BY_POSITION)):
                return found
            raise DataError(
                f"labelled text: no {_endings()} file in {source!r}: name another folder"
            )
        if path.is_file():
            return [path]
    raise AbsentError(
        f"labelled text: no {source!r} here or in {str(folder)!r}: give a {_endings()} file, hub:OWNER/NAME, or "
        f"{', '.join(COLLECTIONS)} and the folder that has it with --data-dir or {VARIABLE}"
    )


def _endings() -> str:
    return ", ".join(dict.fromkeys((*FORMATS, *BY_POSITION)))


def _file(path: Path, text: str, label: str) -> Rows:
    """Read one file as its name's ending says."""
    ending = path.suffix.lower()
    if ending in BY_POSITION and text.isdecimal() and label.isdecimal():
        return _lines(contents(path), str(path), int(text), int(label))
    if ending in FORMATS:
        return _through_datasets(path, text, label)
    asked = "number its columns from 0" if ending in BY_POSITION else f"give a {_endings()} file"
    raise UsageError(f"labelled text: {str(path)!r}, columns {text!r} and {label!r}: {asked}")


def _lines(content: bytes, name: str, text: int, label: int) -> Rows:
    """Read lines without a header, TAB between columns."""
    try:
        # Texts hold U+0085, which `splitlines` takes for an end.
        lines = [line.removesuffix("\r") for line in content.decode().split("\n")]
    except UnicodeDecodeError as error:
        raise DataError(f"data: {name}: {one_line(error)}: convert it to UTF-8") from error
    rows = Rows([], [])
    for number, line in enumerate(lines, 1):
        columns = line.split("\t")
        if not line.strip():
            continue
        if len(columns) <= max(text, label):
            raise DataError(
                f"data: {name}, line {number}: got {len(columns)} columns, wanted {max(text, label) + 1}, "
                "TAB between them: mend the line"
            )
        rows.texts.append(columns[text])
        rows.labels.append(columns[label].strip())
    return rows


def _through_datasets(path: Path, text: str, label: str) -> Rows:
    """Read a file whose columns have names."""
    # A machine that reads known collections alone need not have it.
    from datasets import load_dataset

    kind, options = FORMATS[path.suffix.lower()]
    try:
        # Streamed, it leaves no copy in a cache.
        stream = load_dataset(kind, data_files=str(path), split="train", streaming=True, **options)
        rows = list(stream)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"data: cannot read {path} ({one_line(error)[:200]}): mend it") from error
    known = list(rows[0]) if rows else []
    for column in (text, label):
        if column not in known:
            raise DataError(
                f"data: {path}: no column {column!r}, only {', '.join(map(str, known)) or 'an empty file'}: "
                "set text-column and label-column"
            )
    return _checked([row[text] for row in rows], [row[label] for row in rows], str(path))


def _from_hub(source: str, text: str, label: str) -> Rows:
    """Read two columns of one split."""
    found = _on_hub(source)
    texts, labels = (hub.values(replace(found, column=name)) for name in (text, label))
    return _checked(texts, labels, source)


def _on_hub(source: str) -> hub.Source:
    """Return which data set and split; the columns are named beside it."""
    found = hub.parse(source)
    if source.endswith(f":{found.split}:{found.column}"):
        raise UsageError(
            f"labelled text: {source!r}: two columns are read: leave {found.column!r} out, and set text-column"
        )
    return found


def _checked(texts: Iterable[Any], labels: Iterable[Any], name: str) -> Rows:
    """Return rows that are whole, labels as text."""
    rows = Rows([], [])
    for number, (text, label) in enumerate(zip(texts, labels, strict=True)):
        if not isinstance(text, str) or not isinstance(label, str | int | float):
            raise DataError(
                f"data: {name}, row {number}: got {text!r:.60} labelled {label!r:.60}, wanted a text and a text "
                "or number: mend it, or set text-column and label-column"
            )
        rows.texts.append(text)
        rows.labels.append(f"{label:g}" if isinstance(label, float) else str(label).strip())
    return rows
