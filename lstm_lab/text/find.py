"""The files that the specification of a corpus means, and the part that each is of."""

import difflib
import glob
import os
import re
from pathlib import Path

from lstm_lab.errors import DataError, one_line
from lstm_lab.text.sources import TABLES, File, Table, source_of

WHOLE = "whole"
"""The name of the one part of a corpus whose parts are not given."""
PARTS = ("train", "validation", "test")

_WORDS = dict.fromkeys(("valid", "val", "validation", "dev"), "validation") | {
    "train": "train",
    "test": "test",
}

Parts = tuple[tuple[str, tuple[File | Table, ...]], ...]


def files_of(spec: str, *names: str) -> Parts:
    """Find the files of a corpus, without opening them.

    Args:
        spec: a path, a folder, a pattern, or a table with its column; see `corpora.py`.
        names: what else could have been meant.

    Returns:
        Each part's name and files; WHOLE alone where they name no parts.

    Raises:
        DataError: there are none, or one of them is no regular file, or is of no part where others are.
    """
    try:
        return _found(spec)
    except FileNotFoundError as error:
        raise DataError(f"corpus: no file {_shown(spec)}: {_suggestion(spec, *names)}") from error
    except (OSError, RuntimeError, ValueError) as error:  # no permission, no home, NUL in the name
        raise DataError(
            f"corpus: cannot read {_shown(spec)} ({one_line(error)[:80]}): "
            "give a readable file of UTF-8 text"
        ) from error


def _found(spec: str) -> Parts:
    """Look for files; raises FileNotFoundError where there are none."""
    path = Path(spec).expanduser()
    if path.is_dir():
        return _arranged(spec, path, _below(path))
    if glob.has_magic(spec) and not path.exists():
        names = sorted(p for p in glob.glob(str(path), recursive=True) if not os.path.isdir(p))
        if not names:
            raise FileNotFoundError(spec)
        paths = [Path(name) for name in names]
        return _arranged(spec, Path(os.path.commonpath([p.parent for p in paths])), paths)
    before, _, column = spec.rpartition(":")
    if Path(before).suffix.lower() in TABLES and not path.exists():
        return ((WHOLE, (source_of(Path(before).expanduser(), column),)),)
    return ((WHOLE, (source_of(path),)),)


def _below(folder: Path) -> list[Path]:
    """Every file below a folder that is not hidden, by path."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if not name.startswith(".")]
    return sorted(found)


def _arranged(spec: str, folder: Path, paths: list[Path]) -> Parts:
    """Put files in the parts that they name, where they do."""
    if not paths:
        raise DataError(f"corpus: {spec!r} is a folder without files: put some in it")
    named = {path: _part(path.relative_to(folder)) for path in paths}
    present = set(named.values())
    if "train" not in present or not present & {"validation", "test"}:
        return ((WHOLE, tuple(map(source_of, paths))),)
    if strays := [path for path, part in named.items() if not part]:
        raise DataError(
            f"corpus: {spec!r} comes in parts, and {str(strays[0])!r} is of none: move it elsewhere"
        )
    return tuple(
        (part, tuple(source_of(path) for path in paths if named[path] == part))
        for part in PARTS
        if part in present
    )


def _part(path: Path) -> str:
    """The part that a path below a folder names first; empty for none."""
    words = (word for name in path.parts for word in re.split(r"[._-]", name.lower()))
    return next((_WORDS[word] for word in words if word in _WORDS), "")


def _suggestion(spec: str, *names: str) -> str:
    """Say what to give instead of a file that does not exist: one of a similar name, if any."""
    path = Path(spec).expanduser()
    try:
        neighbours = {p.name: str(p) for p in path.parent.iterdir() if p.is_file()}
    except OSError:
        neighbours = {}
    # Compared up to the first dot too: "nietzsche.txt" is near "nietzsche.txt.xz", and "pydocs".
    candidates = {**{n.partition(".")[0]: p for n, p in neighbours.items()}, **neighbours}
    candidates.update({name: name for name in names})
    near = difflib.get_close_matches(path.name[:100], candidates, n=1) or (
        difflib.get_close_matches(path.name.partition(".")[0][:100], candidates, n=1)
    )
    alternatives = "a path, hub:OWNER/NAME, or nothing for the embedded text"
    return f"did you mean {candidates[near[0]]!r}?" if near else f"give {alternatives}"


def _shown(spec: str) -> str:
    """Quote a specification for a message, shortened where it is absurdly long."""
    return repr(spec if len(spec) <= 200 else spec[:200] + "...")
