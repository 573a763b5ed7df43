"""A column of a data set on the Hugging Face hub, behind a deadline of our own.

Without network the hub's client retries for 23 seconds, and behind a proxy that accepts and never
answers for over six minutes, whatever its own time-outs say. So nothing here talks to the hub in
this process:

1. A copy in the cache is read first, with `HF_HUB_OFFLINE=1`: no socket is opened.
2. Otherwise one request asks whether the hub answers at all, on a daemon thread that is abandoned
   at the deadline, since neither a name look-up nor a silent proxy can be interrupted.
3. Only then does a child process download, and it is killed if it takes too long.

Rows of text may exceed the memory: the child reads them one by one from the tables that `datasets` maps into
its own, and writes them to a file that has lost its name when this process has opened it.

The switch to offline is read when `datasets` is imported: setting it in this process would be too
late where that has happened. Run as a module, this file *is* the child.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Literal

from lstm_lab.errors import DataError, one_line

PREFIX = "hub:"
Form = Literal["text", "idx", "json"]
# A split may hold a colon inside brackets, as train[:1%] does.
SPEC = re.compile(
    PREFIX + r"(?P<repository>[\w.-]+/[\w.-]+)(/(?P<config>[\w.-]+))?"
    r"(:(?P<split>([^:\[\]]|\[[^\[\]]*\])+)(:(?P<column>.+))?)?"
)
# Long enough for a slow line, and leaves half of five seconds to start Python and JAX.
PROBE_SECONDS = 2.0
# A gigabyte at one megabyte per second.
DOWNLOAD_SECONDS = 1000.0

# All trials of a run see the same rows.
_columns: dict["Source", BinaryIO] = {}


@dataclass(frozen=True)
class Source:
    """Which column of which data set.

    Attributes:
        repository: OWNER/NAME.
        config: the data set's configuration, or "" for its default.
        split: such as "train" or "train[:1%]".
        column: the one to read.
    """

    repository: str
    config: str = ""
    split: str = "train"
    column: str = "text"


def is_hub(spec: str) -> bool:
    """Return whether a specification names a data set of the hub."""
    return spec.startswith(PREFIX)


def parse(spec: str) -> Source:
    """Read "hub:OWNER/NAME[/CONFIG][:SPLIT[:COLUMN]]".

    Raises:
        DataError: it is something else.

    >>> parse("hub:owner/name/v1:test")
    Source(repository='owner/name', config='v1', split='test', column='text')
    """
    found = SPEC.fullmatch(spec)
    if not found:
        raise DataError(
            f"hub: {spec[:200]!r} names no data set: "
            "write hub:OWNER/NAME, or hub:OWNER/NAME/CONFIG:SPLIT:COLUMN"
        )
    return Source(**{name: value for name, value in found.groupdict().items() if value})


def rows(source: Source) -> Iterator[str]:
    """Read a data set's column of text, which is fetched once in a process.

    Args:
        source: what to read.

    Yields:
        The rows.

    Raises:
        DataError: there is no copy and no network (within five seconds), or no such column of text.
    """
    if source not in _columns:
        _columns[source] = _fetch(source, "text")
    _columns[source].seek(0)
    return map(json.loads, _columns[source])


def values(source: Source) -> list[Any]:
    """Return a data set's column of texts or numbers, row by row.

    Args:
        source: what to read.

    Raises:
        DataError: there is no copy and no network (within five seconds), or no such column.
    """
    with _fetch(source, "json") as column:
        return list(map(json.loads, column))


def fetch(source: Source) -> bytes:
    """Return a data set's column of pictures of equal size in grey, or of numbers 0 to 255.

    Args:
        source: what to read.

    Returns:
        A file of the format idx, one axis for the rows and, of pictures, two more.

    Raises:
        DataError: there is no copy and no network (within five seconds), or no such column.
    """
    with _fetch(source, "idx") as column:
        return column.read()


def _fetch(source: Source, form: Form) -> BinaryIO:
    """Take a column from the cache if it is there, else from the hub: rows as lines of JSON, or one idx."""
    if find_spec("datasets") is None:
        raise DataError("hub: package datasets is not installed: pip install 'datasets>=5.2,<6'")
    reason = "it has no copy in the cache"
    if _may_be_cached(source):
        try:
            return _read(source, form, offline=True)
        except DataError as error:
            reason = str(error)
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        failure = "HF_HUB_OFFLINE is set"
    else:
        failure = _unreachable(endpoint)
    if failure:
        raise DataError(
            f"hub: cannot fetch {source.repository!r} ({failure}; {reason}): "
            "connect once to fill the cache, or give a local file"
        )
    return _read(source, form, offline=False)


def _may_be_cached(source: Source) -> bool:
    """Return whether the cache holds anything of this owner; the client knows the exact name."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    home = Path(os.environ.get("HF_HOME") or home)
    cache = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets").expanduser()
    return any(cache.glob(f"{source.repository.partition('/')[0]}___*"))


def _unreachable(endpoint: str) -> str:
    """Ask the hub for one answer within the deadline; return why there was none, or ""."""
    outcome = [f"{endpoint} did not answer in {PROBE_SECONDS:g} seconds"]

    def ask() -> None:
        request = urllib.request.Request(endpoint, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
                outcome[0] = ""
        except urllib.error.HTTPError as error:  # an answer, if a refusal: the hub is there
            outcome[0] = f"{endpoint} answers {error.code}" if error.code >= 500 else ""
        except (OSError, ValueError) as error:
            outcome[0] = f"{endpoint} cannot be reached, {one_line(error)}"

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return outcome[0]


def _read(source: Source, form: Form, *, offline: bool) -> BinaryIO:
    """Read the data set in a child process; raises DataError with the child's last words."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1" if offline else "0"}
    what = (source.repository, source.config, source.split, source.column, form)
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "column"
        # -P: a file called datasets.py in the working folder must not pass for the library.
        command = [sys.executable, "-P", "-m", __name__, *what, str(answer)]
        try:
            child = subprocess.run(
                command, env=environment, stderr=subprocess.PIPE, timeout=DOWNLOAD_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise DataError(
                f"hub: {source.repository!r} took over {DOWNLOAD_SECONDS:g} seconds: "
                "download it first, or give a local file"
            ) from error
        if child.returncode == 0:
            return answer.open("rb")
        words = child.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
    raise DataError(
        f"hub: cannot read {source.repository!r} ({one_line(words[-1])[:300]}): "
        "check owner, name, config, split and column, as in hub:OWNER/NAME/CONFIG:SPLIT:COLUMN"
    )


def _main(repository: str, config: str, split: str, column: str, form: str, answer: str) -> None:
    """Write the column to the file `answer`: the child's whole work."""
    with contextlib.redirect_stdout(sys.stderr):
        from datasets import load_dataset

        rows = load_dataset(repository, config or None, split=split)
        if column not in rows.column_names:
            sys.exit(f"no column {column!r}, only {', '.join(rows.column_names)}")
        with open(answer, "wb") as file:
            {"text": _write_text, "idx": _write_idx, "json": _write_json}[form](
                rows[column], column, file
            )


def _write_text(rows: Any, column: str, file: BinaryIO) -> None:
    for row in rows:
        if not isinstance(row, str):
            sys.exit(f"column {column!r} holds {type(row).__name__}, not text")
        file.write(json.dumps(row).encode() + b"\n")


def _write_json(rows: Any, column: str, file: BinaryIO) -> None:
    for row in rows:
        try:
            file.write(json.dumps(row).encode() + b"\n")
        except TypeError as error:
            sys.exit(f"column {column!r}: {error}")


def _write_idx(rows: Any, column: str, file: BinaryIO) -> None:
    import numpy as np

    try:
        values = np.stack([np.asarray(row) for row in rows])
    except ValueError as error:
        sys.exit(f"column {column!r}: {error}")
    if values.ndim not in (1, 3) or not ((values == values.astype(np.uint8)).all()):
        sys.exit(
            f"column {column!r} holds {values.dtype} {list(values.shape)}, no pictures in grey"
        )
    file.write(bytes([0, 0, 8, values.ndim]))
    file.write(np.array(values.shape, ">u4").tobytes() + values.astype(np.uint8).tobytes())


if __name__ == "__main__":
    _main(*sys.argv[1:])
