"""Files of known content, taken from the Hugging Face hub into the data directory.

The hub keeps a data set as tables. Its columns, written as the files everybody knows, must have those files' hashes, so
that it does not matter who brought them.
"""

from collections.abc import Iterator
from pathlib import Path

from lstm_lab.data import hub, mnist
from lstm_lab.data.locate import locate, verify
from lstm_lab.errors import AbsentError, UsageError
from lstm_lab.files import make_directory, write_bytes, writing

REPOSITORIES = {"mnist": "ylecun/mnist"}
"""Data sets that can be fetched, each with its place on the hub."""


def fetch(name: str, folder: Path) -> Iterator[Path]:
    """Bring a data set's files, those alone that are not there.

    Args:
        name: one of `REPOSITORIES`.
        folder: the data directory, made if need be.

    Yields:
        The path of each file, as soon as it is there.

    Raises:
        UsageError: no such data set.
        DataError: the hub cannot be reached, or has something else under that name.
        StorageError: a file cannot be written.
    """
    if name not in REPOSITORIES:
        raise UsageError(
            f"fetch: {name}: no such data set: there is {', '.join(REPOSITORIES)}; "
            "others are files that you bring, see the error of their task"
        )
    columns = [(split, column) for split in ("train", "test") for column in ("image", "label")]
    for file, (split, column) in zip(mnist.FILES, columns, strict=True):
        try:
            yield locate(file, folder)
            continue
        except AbsentError:
            source = hub.Source(REPOSITORIES[name], split=split, column=column)
        path = folder / file.name
        content = verify(file, path, hub.fetch(source))
        with writing(path):
            make_directory(path.parent)
        write_bytes(path, content)
        yield path
