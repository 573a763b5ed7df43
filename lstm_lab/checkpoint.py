"""Checkpoints that are whole or absent, and never believed unread. Only this file knows Orbax.

    checkpoints/00000200/arrays/        written by Orbax: all leaves of the state as a row of bytes
    checkpoints/00000200/meta.json      what the bytes are, leaf by leaf, and the caller's facts
    checkpoints/00000200/manifest.json  SHA-256 of every other file; written last

A step is a checkpoint from the moment its manifest is renamed into place. Reading computes the
manifest again and compares: where a bit is flipped, or a file is short, missing, foreign or another
step's, the step is skipped for the one before. That is ours to do: Orbax restores damaged bytes in
silence, casts in silence, and lists steps that are half deleted. Deleting goes the other way round:
manifest first, then the name, then the files, so at no instant does half a step look like one.

The leaves travel as one row of bytes because Orbax's cost grows with their number more than with
their size: 60 leaves, 1 MB together, take it 35 ms so and 90 ms leaf by leaf. It also makes every
dtype equal: bfloat16, bool and PRNG keys come back bit for bit. Bytes are in the order of the
machine, little-endian wherever JAX runs.

A manifest detects damage. It does not stop somebody who can write here from writing another.
"""

import errno
import hashlib
import json
import logging
import math
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_lab.errors import CheckpointError, UsageError, one_line
from lstm_lab.files import encode, make_directory, storage_error, sync, write_json, writing

PyTree = Any

_log = logging.getLogger(__name__)
_STEP = re.compile(r"\d{8,}")
_MANIFEST = "manifest.json"
_DELETED = ".deleted"


class Checkpoints:
    """The checkpoints of one run, of which the newest few are kept.

    Hold the lock of the run directory while saving: nothing here stops a second writer. Of several
    processes that run together all save and read, for Orbax has them meet, and the first alone writes.

    Args:
        directory: where they live; made by the first save.
        keep: number of steps to keep, at least 1; 2 leaves one to fall back to.

    Raises:
        UsageError: `keep` is less than 1.
        CheckpointError: the directory is a symbolic link.
    """

    def __init__(self, directory: Path | str, keep: int = 2) -> None:
        if keep < 1:
            raise UsageError(f"checkpoints to keep: {keep}: give at least 1")
        # Orbax accepts a relative path and dies on it later.
        self.directory = Path(os.path.abspath(directory))
        self.keep = keep
        if self.directory.is_symlink():
            raise CheckpointError(
                f"checkpoints {self.directory}: is a symbolic link: name the directory it points to"
            )

    @property
    def steps(self) -> list[int]:
        """Steps that were committed, ascending; whether they are undamaged only `latest` knows."""
        return [step for step in self._named() if os.path.lexists(self._path(step) / _MANIFEST)]

    def save(self, step: int, arrays: PyTree, meta: Mapping[str, Any]) -> None:
        """Write a checkpoint; when this returns, it is there.

        A step of the same number is replaced, and any later one removed: whoever saves an earlier
        step has abandoned what followed.

        Args:
            step: training step, at least 0.
            arrays: any pytree of JAX or NumPy arrays, PRNG keys and Python numbers.
            meta: whatever else resuming needs, as JSON; NaN and infinity become null.

        Raises:
            StorageError: it cannot be written; the earlier checkpoints are intact.
        """
        leaves = _named_leaves(arrays)
        data = _pack(leaves)
        record = {
            "meta": meta,
            "leaves": {name: _describe(leaf) for name, leaf in leaves.items()},
            "keys": {n: str(jax.random.key_impl(k)) for n, k in leaves.items() if _is_key(k)},
            "sha256": hashlib.sha256(data.data).hexdigest(),
        }
        path = self._path(step)
        if jax.process_index() != 0:
            _write(path / "arrays", data)
            return
        with writing(path):
            make_directory(self.directory)
            self._clean()
            self._delete(path)
            path.mkdir(mode=0o700)
        try:
            _write(path / "arrays", data)
            write_json(path / "meta.json", record)
            with writing(path):
                sync(self.directory)
                write_json(path / _MANIFEST, _manifest(path, step))
        except BaseException:
            # What is half written may be what fills the disk.
            shutil.rmtree(path, ignore_errors=True)
            raise
        with writing(path):
            self._prune(step)

    def latest(self, template: PyTree) -> tuple[int, PyTree, dict[str, Any]] | None:
        """Read the newest checkpoint that verifies.

        Args:
            template: the state it is for, or its shapes (`jax.eval_shape`).

        Returns:
            Step, state and meta; None where nothing was ever committed. Arrays are NumPy, for the
            caller to lay on devices; PRNG keys are keys again.

        Raises:
            CheckpointError: every step is damaged, or the newest good one is of another state.
        """
        damaged = []
        for step in reversed(self.steps):
            path = self._path(step)
            try:
                _verify(path, step)
                record = json.loads((path / "meta.json").read_bytes())
                _check_fit(path, record["leaves"], template)
                data = _read(path / "arrays", record, template)
                return step, _unpack(data, record, template), record["meta"]
            except (_DamagedError, OSError) as error:
                damaged.append(f"step {step}: {one_line(error)}")
                _log.warning(
                    "checkpoint %s is damaged (%s): trying the one before", path, one_line(error)
                )
        if damaged:
            raise CheckpointError(
                f"no checkpoint in {self.directory} verifies: {'; '.join(damaged)}: restore the "
                "directory from a copy, or remove it to train from the start"
            )
        return None

    def _path(self, step: int) -> Path:
        return self.directory / f"{step:08d}"

    def _named(self) -> list[int]:
        if not self.directory.is_dir():
            return []
        paths = self.directory.iterdir()
        return sorted(int(p.name) for p in paths if _STEP.fullmatch(p.name) and p.is_dir())

    def _prune(self, newest: int) -> None:
        kept = [step for step in self.steps if step <= newest][-self.keep :]
        for step in self._named():
            if step not in kept:
                self._delete(self._path(step))

    def _clean(self) -> None:
        """Remove what a killed process left: steps without manifest, and half-deleted ones."""
        for path in self.directory.glob(f"*{_DELETED}"):
            if _STEP.fullmatch(path.stem) and not path.is_symlink():
                shutil.rmtree(path)
        committed = self.steps
        for step in self._named():
            if step not in committed:
                self._delete(self._path(step))

    def _delete(self, path: Path) -> None:
        if path.is_symlink():
            # The link is removed, and what it points to is somebody else's.
            path.unlink()
        elif path.exists():
            (path / _MANIFEST).unlink(missing_ok=True)
            away = path.with_name(path.name + _DELETED)
            path.rename(away)
            shutil.rmtree(away)


class _DamagedError(Exception):
    """Raised inside this module when a step is not what was written."""


def _named_leaves(tree: PyTree) -> dict[str, Any]:
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in flat}


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _shape(leaf: Any) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of what is stored for a leaf: for a PRNG key, of its key data."""
    if _is_key(leaf):
        leaf = jax.eval_shape(jax.random.key_data, leaf)
    return np.shape(leaf), np.dtype(leaf.dtype if hasattr(leaf, "dtype") else type(leaf))


def _describe(leaf: Any) -> str:
    """The type of a leaf in words, such as "float32[4,3]" or "key<fry>[5]"."""
    dtype = leaf.dtype if hasattr(leaf, "dtype") else np.dtype(type(leaf))
    return f"{dtype}[{','.join(map(str, np.shape(leaf)))}]"


def _pack(leaves: dict[str, Any]) -> np.ndarray:
    bare = [jax.random.key_data(leaf) if _is_key(leaf) else leaf for leaf in leaves.values()]
    rows = [np.asarray(leaf).reshape(-1).view(np.uint8) for leaf in jax.device_get(bare)]
    # Orbax refuses an array without elements, and so might be every leaf of a state.
    return np.concatenate([*rows, np.zeros(1, np.uint8)])


def _unpack(data: np.ndarray, record: Mapping[str, Any], template: PyTree) -> PyTree:
    wanted = _named_leaves(template)
    leaves, start = {}, 0
    for name in record["leaves"]:
        shape, dtype = _shape(wanted[name])
        stop = start + math.prod(shape) * dtype.itemsize
        # A copy of its own, aligned for its dtype, that does not keep the whole row alive.
        leaf: Any = data[start:stop].copy().view(dtype).reshape(shape)
        if _is_key(wanted[name]):
            leaf = jax.random.wrap_key_data(leaf, impl=record["keys"][name])
        leaves[name], start = leaf, stop
    structure = jax.tree_util.tree_structure(template)
    return jax.tree_util.tree_unflatten(structure, [leaves[name] for name in wanted])


def _check_fit(path: Path, found: Mapping[str, str], template: PyTree) -> None:
    wanted = {name: _describe(leaf) for name, leaf in _named_leaves(template).items()}
    for name in {**wanted, **found}:
        has, wants = found.get(name, "nothing"), wanted.get(name, "nothing")
        if has != wants:
            raise CheckpointError(
                f"checkpoint {path}: leaf {name} is {has}, the model wants {wants}: run with the "
                "config that wrote it, or choose another output directory"
            )


def _files(folder: Path) -> Iterator[Path]:
    """Every file under a folder, in order; none that leads out of it or blocks its reader."""
    for path in sorted(folder.iterdir()):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            yield from _files(path)
        elif stat.S_ISREG(mode):
            yield path
        else:
            raise _DamagedError(f"{path.name} is neither a plain file nor a directory")


def _manifest(path: Path, step: int) -> dict[str, Any]:
    files = {}
    for file in _files(path):
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        files[file.relative_to(path).as_posix()] = digest
    files.pop(_MANIFEST, None)
    return {"step": step, "files": files}


def _verify(path: Path, step: int) -> None:
    if path.is_symlink():
        raise _DamagedError("it is a symbolic link")
    found = _manifest(path, step)
    written = (path / _MANIFEST).read_bytes()
    if written != encode(found):
        raise _DamagedError(_difference(written, found))


def _difference(written: bytes, found: dict[str, Any]) -> str:
    try:
        recorded = json.loads(written)
        for name in {**found["files"], **recorded["files"]}:
            if found["files"].get(name) != recorded["files"].get(name):
                return f"{name} is not what was written"
        if recorded["step"] != found["step"]:
            return f"{_MANIFEST} is of step {recorded['step']}"
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    return f"{_MANIFEST} is not what was written"


@contextmanager
def _quiet_orbax() -> Iterator[ModuleType]:
    """Orbax with its log held back: what matters of it comes as an exception."""
    # Orbax publishes no types.
    from orbax.checkpoint import v1  # type: ignore[import-untyped]

    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.CRITICAL)
    context = v1.Context()
    # One array needs no database, no index beside it and no compression: half the files and time.
    context.array.saving.use_compression = False
    context.array.saving.use_ocdbt = False
    context.array.saving.enable_write_sharding_file = False
    context.array.saving.array_metadata_store = None
    try:
        with context:
            yield v1
    finally:
        log.setLevel(level)


def _write(path: Path, data: np.ndarray) -> None:
    try:
        with _quiet_orbax() as orbax:
            orbax.save(path, {"bytes": data})
    except Exception as error:
        # A full disk reaches us as a ValueError of TensorStore, without an errno.
        number = getattr(error, "errno", None) or errno.ENOSPC
        raise storage_error(path, one_line(error)[:200], number) from error


def _read(path: Path, record: Mapping[str, Any], template: PyTree) -> np.ndarray:
    shapes = map(_shape, jax.tree_util.tree_leaves(template))
    size = 1 + sum(math.prod(shape) * dtype.itemsize for shape, dtype in shapes)
    try:
        with _quiet_orbax() as orbax:
            data = orbax.load(path, {"bytes": np.empty(size, np.uint8)})["bytes"]
    except Exception as error:
        raise _DamagedError(f"Orbax cannot read it: {one_line(error)[:200]}") from error
    if hashlib.sha256(data.data).hexdigest() != record["sha256"]:
        raise _DamagedError("Orbax read other bytes than it was given")
    return data
