"""The process in which one framework runs one workload: `python -m lstm_lab.bench.worker MODULE`.

It reads requests from stdin and answers on stdout, a line of JSON each; whatever else is printed goes to
stderr. Between requests it sleeps, so that others have the machine in their turn.
"""

import ctypes
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from inspect import isabstract
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from lstm_lab.bench.contenders.base import Contender
from lstm_lab.bench.workload import Workload
from lstm_lab.errors import one_line


def contender(module: str) -> type[Contender]:
    """The class that a module of `contenders` defines."""
    found = importlib.import_module(f"lstm_lab.bench.contenders.{module}")
    own = [
        c for c in vars(found).values() if isinstance(c, type) and c.__module__ == found.__name__
    ]
    return next(c for c in own if issubclass(c, Contender) and not isabstract(c))


class Worker:
    """Answers requests about one framework."""

    def __init__(self, module: str) -> None:
        self.kind = contender(module)
        self.kind.start()
        self.running: Any = None

    def about(self) -> dict[str, Any]:
        """Name and version, or why it cannot run."""
        try:
            version = self.kind.version()
        except ImportError as error:
            return {"name": self.kind.name, "absent": str(error)}
        return {"name": self.kind.name, "version": version}

    def load(self, workload: dict[str, Any], folder: str) -> dict[str, Any]:
        """Build the network from the file of data and that of weights in its own layout."""
        arrays = [
            load_file(Path(folder) / f"{name}.safetensors") for name in ("data", self.kind.layout)
        ]
        self.running = None  # frees the network before
        self.running = self.kind(Workload(**workload), *arrays)
        return {}

    def answer(self, path: str) -> dict[str, Any]:
        """Write outputs and gradients to a file; seconds of each first call, compilation included."""
        began = time.perf_counter()
        y = self.running.forward()
        middle = time.perf_counter()
        gradients = self.running.gradient()
        ended = time.perf_counter()
        named = {"y": y, **{f"d/{name}": value for name, value in gradients.items()}}
        # What the format stores is memory as it lies.
        save_file({name: np.ascontiguousarray(value) for name, value in named.items()}, path)
        return {"forward": middle - began, "gradient": ended - middle}

    def time(self, measure: str, calls: int) -> dict[str, Any]:
        """Seconds: of each call, or of training by that many steps."""
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        seconds = []
        if measure == "train":
            seconds.append(_seconds(lambda: self.running.train(calls)) / calls)
        else:
            call = getattr(self.running, measure)
            seconds.extend(_seconds(call) for _ in range(calls))
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
        return {"seconds": seconds, "page_faults": faults // calls}

    def memory(self, steps: int) -> dict[str, Any]:
        """Most bytes resident while training, beyond those between two calls; null where the system does not tell."""
        self.running.train(steps)  # compiles
        return {"bytes": most_resident(lambda: self.running.train(steps))}


# Seconds after which a process holds no more of what its last call needed.
_SETTLED = 0.5


def most_resident(call: Callable[[], Any]) -> int | None:
    """Most bytes resident during a call, beyond those before it; None where the system does not tell."""
    # XLA answers first and frees a call's temporaries a moment later: read at once, they seem to be needed always.
    time.sleep(_SETTLED)
    _give_back()
    before = _resident("VmRSS")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the highest so far
    except OSError:
        return None
    call()
    return _resident("VmHWM") - before


def _give_back() -> None:
    """Let glibc return what is free to the system: small arrays of the last call would seem to be needed always."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _resident(field: str) -> int:
    """Bytes of memory this process holds, or held at most; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def main() -> None:
    """Answer until stdin ends."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        method = getattr(worker, request.pop("do"))
        try:
            reply = method(**request)
        except Exception as error:  # the parent says which framework it was, and goes on
            reply = {"error": f"{type(error).__name__}: {one_line(error)[:200]}"}
        replies.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main()
