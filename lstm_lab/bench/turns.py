"""Timing frameworks against each other: a process each, in turns, answers checked first.

A machine is never idle and its clock never steady. So in every round each framework has a turn, short
enough that what disturbs one disturbs the next, and what counts is the ratio within a round.
"""

import json
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from lstm_lab.bench import contenders, problem
from lstm_lab.bench.schedules import difference
from lstm_lab.bench.worker import contender
from lstm_lab.bench.workload import Measure, Workload, valid

# Outputs and gradients of all frameworks agree to this fraction of the greatest value of each array.
TOLERANCE = 1e-5

MEASURES: tuple[Measure, ...] = ("train", "gradient", "forward")


@dataclass(frozen=True)
class Pace:
    """How much is timed.

    Attributes:
        rounds: turns of each framework.
        seconds: about how long the fastest framework's turn takes.
        memory: whether each framework also trains in a process that tells its memory.
    """

    rounds: int = 7
    seconds: float = 0.4
    memory: bool = False


@dataclass
class Timing:
    """One framework on one workload.

    Attributes:
        framework: its name.
        seconds: per measure, seconds of a call (of a step, in training), one number per round: the median of
            the turn's calls.
        first: seconds of the first call of each measure, compilation included.
        error: the greatest difference of any output or gradient from ours, as a fraction of the greatest
            value in the same array.
        bytes: most memory resident while training, beyond that between two calls, which holds parameters and
            data; None where unknown.
        page_faults: per step of training.
        problem: why it was not timed; empty where it was.
    """

    framework: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    error: float | None = None
    bytes: int | None = None
    page_faults: int | None = None
    problem: str = ""

    def least(self, measure: str) -> float:
        """Seconds of the fastest turn."""
        return min(self.seconds[measure])

    def ratios(self, other: "Timing", measure: str) -> list[float]:
        """This time by the other's, round by round."""
        pairs = zip(self.seconds[measure], other.seconds[measure], strict=True)
        return [mine / theirs for mine, theirs in pairs]


# As `devices.exact`, for every framework on JAX.
_SETTINGS = {"PYTHONWARNINGS": "ignore", "JAX_DEFAULT_MATMUL_PRECISION": "highest"}


class Process:
    """One framework at work in a process of its own, which begins when it is first asked something.

    Args:
        module: the framework's, in `contenders`.
        **settings: environment variables beyond those of this process.
    """

    def __init__(self, module: str, **settings: str) -> None:
        self.module = module
        self.kind = contender(module)
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._end()

    def _begin(self) -> subprocess.Popen[str]:
        """The process; a new one where there is none, or none any more."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lstm_lab.bench.worker", self.module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, **_SETTINGS, **self._settings},
            )
        return self._process

    def _end(self) -> int | None:
        """Kill the process; its exit status."""
        if self._process is None:
            return None
        self._process.kill()
        status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        self._process = None
        return status

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """Send a request of `Worker` and wait for the reply.

        Raises:
            RuntimeError: it failed; the message is its own.
        """
        process = self._begin()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps({"do": do, **details}) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.kind.name}: its process ended, exit {self._end()}")
        reply = json.loads(line)
        if "error" in reply:
            raise RuntimeError(f"{self.kind.name}: {reply['error']}")
        return reply


def modules() -> list[str]:
    """The modules of all frameworks known, ours first."""
    names = [m.name for m in pkgutil.iter_modules(contenders.__path__)]
    known = [name for name in names if _defines_one(name)]
    return sorted(known, key=lambda name: name != "ours")


def _defines_one(name: str) -> bool:
    try:
        contender(name)
    except StopIteration:
        return False
    return True


def present(names: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Which frameworks can run here: version by module, and, of the others, the reason."""
    versions, absent = {}, {}
    for name in names:
        with Process(name) as process:
            about = process.ask("about")
        if "version" in about:
            versions[name] = about["version"]
        else:
            absent[process.kind.name] = about["absent"]
    return versions, absent


class Team:
    """The frameworks that take part, a process each for all workloads: to import one takes seconds.

    Args:
        names: their modules, ours first.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.timed = {name: Process(name) for name in names}
        # glibc: every array has pages of its own, so that what is freed is no longer resident.
        self.weighed = {name: Process(name, MALLOC_MMAP_THRESHOLD_="131072") for name in names}

    def __enter__(self) -> "Team":
        with ExitStack() as stack:
            for process in (*self.timed.values(), *self.weighed.values()):
                stack.enter_context(process)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *about: Any) -> None:
        self._stack.close()


def compete(workload: Workload, team: Team, pace: Pace) -> list[Timing]:
    """Time frameworks on one workload.

    Args:
        workload: what is run.
        team: the frameworks.
        pace: how much is timed.

    Returns:
        A timing of each that does not refuse the workload, ours first.
    """
    racers = {
        name: (process, Timing(process.kind.name))
        for name, process in team.timed.items()
        if not process.kind.refusal(workload)
    }
    with tempfile.TemporaryDirectory() as folder:
        _build(workload, folder, racers)
        _check(workload, folder, racers)
        able = [pair for pair in racers.values() if not pair[1].problem]
        for measure in MEASURES:
            _take_turns(measure, able, pace)
        for name, (_, timing) in racers.items():
            if pace.memory and not timing.problem:
                timing.bytes = _memory(workload, team.weighed[name], folder)
    return [timing for _, timing in racers.values()]


def _take_turns(measure: Measure, able: Sequence[tuple[Process, Timing]], pace: Pace) -> None:
    calls = _calls(measure, able, pace)
    for _ in range(pace.rounds):
        for process, timing in able:
            reply = process.ask("time", measure=measure, calls=calls)
            timing.seconds.setdefault(measure, []).append(median(reply["seconds"]))
            if measure == "train":
                timing.page_faults = reply["page_faults"]


Racers = dict[str, tuple[Process, Timing]]


def _build(workload: Workload, folder: str, racers: Racers) -> None:
    """Write the numbers every framework begins with, and have each build its network."""
    path = Path(folder)
    save_file(workload.data(), path / "data.safetensors")
    params = problem.parameters(workload)
    for layout in {process.kind.layout for process, _ in racers.values()}:
        save_file(problem.laid_out(layout, params), path / f"{layout}.safetensors")
    for process, timing in racers.values():
        try:
            process.ask("load", workload=asdict(workload), folder=folder)
        except RuntimeError as error:
            timing.problem = str(error)


def _check(workload: Workload, folder: str, racers: Racers) -> None:
    """Hold everybody's outputs and gradients against ours; who disagrees is not timed."""
    params = problem.parameters(workload)
    counts = valid(workload.data())
    wanted: dict[str, np.ndarray] | None = None
    for name, (process, timing) in racers.items():
        if timing.problem:
            continue
        path = Path(folder) / f"answer-{name}.safetensors"
        try:
            timing.first = process.ask("answer", path=str(path))
        except RuntimeError as error:
            timing.problem = str(error)
            continue
        got = load_file(path)
        gradients = {key[2:]: value for key, value in got.items() if key.startswith("d/")}
        kind = process.kind
        answer = problem.ours(kind.layout, kind.lacks, params, gradients)
        answer["y"] = got["y"] * counts
        if wanted is None:
            wanted = answer
        timing.error = difference(answer, {key: wanted[key] for key in answer})
        if not timing.error <= TOLERANCE:
            timing.problem = f"disagrees with ours by {timing.error:.1e}"


def _memory(workload: Workload, process: Process, folder: str) -> int | None:
    """Bytes that training needs between two calls."""
    process.ask("load", workload=asdict(workload), folder=folder)
    found: int | None = process.ask("memory", steps=2)["bytes"]
    return found


# Steps of a turn at least: ours trains all of them in one call, as it does in experiments.
_FEWEST_CALLS = 4


def _calls(measure: Measure, able: Sequence[tuple[Process, Timing]], pace: Pace) -> int:
    """How many calls a turn has, the same for all: as many as take the fastest about `pace.seconds`."""
    times = []
    for process, timing in able:
        began = process.ask("time", measure=measure, calls=_FEWEST_CALLS)
        if measure == "train":
            timing.first[measure] = _FEWEST_CALLS * began["seconds"][0]
        times.append(min(process.ask("time", measure=measure, calls=_FEWEST_CALLS)["seconds"]))
    calls = int(np.clip(round(pace.seconds / min(times)), _FEWEST_CALLS, 40))
    if calls > _FEWEST_CALLS:
        for process, _ in able:
            process.ask("time", measure=measure, calls=calls)  # a turn of its own length, compiled
    return calls
