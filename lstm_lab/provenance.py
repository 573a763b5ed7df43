"""What the numbers of a run depend on besides its config, and whether that has changed since.

A resumed run is bitwise the run that was never interrupted where all of it is the same: versions,
code, data, kind and number of devices and processes, processor and its vector instructions, threads, and compiler
flags. Threads and vectors count because XLA's CPU kernels split their sums by thread and by lane, and rounding depends
on how a sum is split; a virtual machine's processor may have one name with AVX-512 and without.
"""

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lstm_lab

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")

# What may change the last bit of a sum. Not here: what is recorded only to be read.
_DECISIVE = (
    *(f"versions.{name}" for name in ("jax", "jaxlib", "flax", "optax")),
    "code",
    "data",
    "device",
    "devices",
    "processes",
    "machine",
    "processor",
    "vectors",
    "threads",
    "xla_flags",
    "precision",
    "x64",
)


def environment() -> dict[str, Any]:
    """What the numbers of a run depend on besides its config. Imports JAX and starts its backend.

    Returns:
        Contents of env.json: versions, device, threads, flags, commit, and a hash of the code.
        The caller adds "data", the hash of what is read from disk, where something is.
    """
    import jax

    devices = jax.devices()
    package = Path(lstm_lab.__file__).parent
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    nproc = os.environ.get("NPROC")
    return {
        "versions": {
            "lstm_lab": lstm_lab.__version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
        },
        "code": code_hash(package),
        "commit": _commit(package),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "vectors": _vectors(),
        "device": devices[0].device_kind,
        "devices": len(devices),
        "processes": jax.process_count(),
        "cpus": cpus,
        "nproc": nproc,
        "threads": int(nproc) if nproc and nproc.isdigit() else cpus,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "precision": jax.config.values["jax_default_matmul_precision"],
        "x64": jax.config.values["jax_enable_x64"],
    }


def differences(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """What has changed so that a resumed run is no longer promised to be bitwise the same.

    Args:
        recorded: env.json of the run.
        current: :func:`environment` now.

    Returns:
        One text per field that matters and differs, "field: was ..., now ..."; empty when the
        promise holds.

    >>> differences({"threads": 1, "commit": "a"}, {"threads": 2, "commit": "b"})
    ['threads: was 1, now 2']
    """
    pairs = ((field, _field(recorded, field), _field(current, field)) for field in _DECISIVE)
    return [f"{field}: was {was}, now {now}" for field, was, now in pairs if was != now]


def _field(tree: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def code_hash(package: Path) -> str:
    """SHA-256 over the names and contents of the Python files of a package.

    Args:
        package: its folder.

    Returns:
        64 hexadecimal digits.
    """
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix().encode()
        # Each part is hashed first, so that no text can pass from a name into a file's contents.
        total.update(hashlib.sha256(name).digest())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit(package: Path) -> str | None:
    """Commit of the checkout, with "-dirty" where files differ; None outside one or without git."""
    command = ("git", "-C", str(package), "describe", "--always", "--dirty", "--abbrev=40")
    # Reading must not touch the index of somebody who is working in it.
    calm = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        # An installed package may lie inside somebody else's repository.
        subprocess.run(
            (*command[:3], "ls-files", "--error-unmatch", "__init__.py"),
            check=True,
            capture_output=True,
            env=calm,
            timeout=5,
        )
        done = subprocess.run(
            (*command, "--exclude=*"), check=True, capture_output=True, env=calm, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("ascii", "replace").strip()


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor()


def _vectors() -> str:
    """The processor's vector instructions, by the names the system has for them; empty where it does not tell."""
    named = (_cpuinfo("flags") or _cpuinfo("Features")).split()
    return " ".join(sorted(name for name in named if re.match("amx|asimd|avx|fma|sve", name)))


def _cpuinfo(field: str) -> str:
    """What Linux says of the first processor; empty where it says nothing."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    found = re.search(rf"^{field}[ \t]*:[ \t]*(.+)$", text, re.M)
    return found[1] if found else ""
