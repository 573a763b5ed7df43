"""The folder on disk: written whole or not at all, and not believed unread."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lstm_lab.errors import DataError, UsageError, one_line
from lstm_lab.files import encode, make_directory, sync, write_bytes, writing

KIND = "lstm_lab network"
VERSION = 1
CONFIG = "config.json"
# For people, who may add to it: the one file without a hash.
README = "README.md"


def write(folder: Path, config: Mapping[str, Any], files: Mapping[str, bytes], force: bool) -> None:
    """Write a folder beside its place, and rename it into it.

    Args:
        folder: where to; absent, empty, or with `force` one that this function wrote.
        config: contents of config.json; kind, version and the files' hashes are added.
        files: contents of all others by name.
        force: replace what an earlier export wrote.

    Raises:
        UsageError: something else is there.
        StorageError: it cannot be written; what was there is intact.
    """
    folder = Path(os.path.abspath(folder))
    _refuse_other(folder, force)
    hashes = {name: _sha256(data) for name, data in files.items() if name != README}
    config = {"kind": KIND, "version": VERSION, **config, "files": hashes}
    with writing(folder):
        make_directory(folder.parent)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    new, old = beside / "new", beside / "old"
    try:
        with writing(folder):
            new.mkdir(mode=0o700)
        for name, data in {**files, CONFIG: encode(config)}.items():
            write_bytes(new / name, data)
        with writing(folder):
            if _contents(folder):
                folder.replace(old)
            new.replace(folder)
            sync(folder.parent)
    finally:
        if old.exists() and not folder.exists():
            old.replace(folder)
        shutil.rmtree(beside, ignore_errors=True)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _contents(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []


def _refuse_other(folder: Path, force: bool) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"folder: {folder}: it is no directory: name a new one")
    if not _contents(folder):
        return
    if not is_export(folder):
        raise UsageError(f"folder: {folder}: something else is in it: name a new one")
    if not force:
        raise UsageError(f"folder: {folder}: a network is there: add --force to replace it")


def is_export(folder: Path) -> bool:
    """Whether a folder holds an exported network, of any version."""
    try:
        config = json.loads((folder / CONFIG).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("kind") == KIND


def read(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read a folder, and see that it is what was written.

    Args:
        folder: that `write` wrote.

    Returns:
        config.json, and the contents of the other files by name.

    Raises:
        DataError: it is no such folder, of another version, or a file is missing or changed.
    """
    if not is_export(folder):
        raise DataError(
            f"{folder}: no exported network: name a folder that `lstm-lab export` wrote"
        )
    config = json.loads((folder / CONFIG).read_bytes())
    if config.get("version") != VERSION:
        raise DataError(
            f"{folder}: version {config.get('version')} of the format, this lstm_lab reads {VERSION}: "
            "use the release that wrote it, or export the run again"
        )
    files = {}
    for name, wanted in (config.get("files") or {}).items():
        try:
            files[name] = (folder / name).read_bytes()
        except OSError as error:
            raise DataError(
                f"{folder / name}: {one_line(error.strerror or error)}: copy the folder again"
            ) from None
        found = _sha256(files[name])
        if found != wanted:
            raise DataError(
                f"{folder / name}: sha256 {found[:12]}, but {wanted[:12]} was written: "
                "it was damaged or changed: copy the folder again"
            )
    return config, files
