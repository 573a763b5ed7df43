"""What the lab itself costs: seeds beside each other, the trainer's loop, compiling, memory over long sequences.

Each question is measured in a process of its own, `python -m lstm_lab.bench.costs NAME SETTINGS`, by the very
code that runs experiments, and laid over the devices as there. What is a ratio is taken in turns, round by round,
after both sides have been found to train alike.
"""

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec

from lstm_lab.bench.accelerator import in_turns
from lstm_lab.bench.schedules import difference
from lstm_lab.bench.worker import most_resident
from lstm_lab.compiled import keep
from lstm_lab.devices import use_all_cores
from lstm_lab.errors import one_line
from lstm_lab.experiment import Model, Trial
from lstm_lab.fit import CHUNK
from lstm_lab.tasks.base import Batch, Classification
from lstm_lab.tasks.recall import Recall
from lstm_lab.train import Program, TrainState, train_step
from lstm_lab.unroll import Sequential

# Losses of the same training, laid out or compiled in another way, agree to this fraction of the greatest. Adam
# divides by gradients that may be no more than rounding, so a few steps make more of it than a single gradient.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Cost:
    """One number that is asked for.

    Attributes:
        name: what it is of.
        at: the sizes it was measured at.
        unit: of what was measured.
        measured: in rounds.
        against: what it is divided by, round by round; empty where it stands for itself.
        bar: what the ratio, or what stands for itself, is to stay below; None where nothing is asked.
        problem: why it was not measured; empty where it was.
    """

    name: str
    at: str
    unit: Literal["s", "bytes"]
    measured: list[float] = field(default_factory=list)
    against: list[float] = field(default_factory=list)
    bar: float | None = None
    problem: str = ""

    @property
    def judged(self) -> list[float]:
        """What the bar is held against: ratios where there is something to divide by."""
        if not self.against:
            return self.measured
        return [m / a for m, a in zip(self.measured, self.against, strict=True)]


@dataclass(frozen=True)
class Pixels(Classification):
    """Sequences of the shape of sequential MNIST, for their cost alone: grey values are noise, classes random."""

    length: int = 784

    per_step: ClassVar[bool] = False

    @property
    def d_in(self) -> int:
        """A grey value."""
        return 1

    @property
    def d_out(self) -> int:
        """Ten digits."""
        return 10

    @property
    def label(self) -> str:
        """Name and length."""
        return f"Pixels length {self.length}"

    def validate(self) -> None:
        """All sizes that are asked for here make a task."""

    def sample(self, data: Any, key: Array, step: Array | int, batch: int) -> Batch:
        """Draw x float [B,T,1], y int32 [B], mask all true [B]."""
        del data
        grey, digit = jax.random.split(jax.random.fold_in(key, step))
        x = jax.random.uniform(grey, (batch, self.length, 1))
        return Batch(
            x, jax.random.randint(digit, (batch,), 0, 10, jnp.int32), jnp.ones(batch, bool)
        )

    def oracle(self, batch: Batch) -> Array:
        """Nobody knows a random class: the best answer prefers none."""
        return jnp.zeros((len(batch.x), 10))


class Question(ABC):
    """A value: the sizes of something to be measured."""

    name: ClassVar[str]
    """What tells it from the others."""
    environment: ClassVar[Mapping[str, str]] = {}
    """Variables that its process needs beyond those of this one."""

    @property
    @abstractmethod
    def at(self) -> str:
        """Its sizes in words."""

    @abstractmethod
    def measure(self) -> dict[str, Any]:
        """Measure in this process, whose devices are laid out; the answer is ready for JSON."""

    @abstractmethod
    def costs(self) -> list[Cost]:
        """Measure in processes of its own.

        Raises:
            RuntimeError: one failed; the message is its own.
        """

    @property
    def title(self) -> str:
        """What is asked, and at which sizes."""
        return f"{self.name}: {self.at}"

    @property
    def label(self) -> str:
        """What `--only` finds it by."""
        return f"costs: {self.name}"

    def ask(self) -> dict[str, Any]:
        """`measure` in a new process."""
        words = [type(self).__name__, json.dumps(asdict(self))]  # type: ignore[call-overload]  # all are dataclasses
        done = subprocess.run(
            [sys.executable, "-m", "lstm_lab.bench.costs", *words],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit {done.returncode}"]
            raise RuntimeError(one_line(last[0])[:200])
        return json.loads(done.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Seeds(Question):
    """Several seeds in one program, and the same runs one after the other, each with all cores.

    Attributes:
        seeds: how many, S.
        batch: sequences, B.
        length: steps of a sequence, T.
        hidden: units, H.
        steps: training steps of a call.
        rounds: turns of each.
    """

    name: ClassVar[str] = "seeds"

    seeds: int = 8
    batch: int = 128
    length: int = 784
    hidden: int = 128
    steps: int = 2
    rounds: int = 7

    @property
    def at(self) -> str:
        return f"LSTM {self.batch},{self.length},1,{self.hidden}, {self.seeds} seeds"

    def measure(self) -> dict[str, Any]:
        trial = Trial(
            task=Pixels(self.length), d_hidden=self.hidden, batch=self.batch, seeds=self.seeds
        )
        many, one = Program(trial), Program(replace(trial, seeds=1))
        together = _Training(many, many.init(), self.steps)
        drawn = many.axis.take(together.state)
        alone = [
            _Training(
                one, one.put(jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], drawn)), self.steps
            )
            for i in range(self.seeds)
        ]

        def in_turn() -> np.ndarray:
            return np.concatenate([run.call() for run in alone])

        _agree(together.call(), in_turn())
        return in_turns({"together": together.call, "in turn": in_turn}, self.rounds)

    def costs(self) -> list[Cost]:
        found = self.ask()
        name = "seeds in one program, by the same runs one after the other"
        return [Cost(name, self.at, "s", found["together"], found["in turn"], bar=0.55)]


@dataclass(frozen=True)
class Overhead(Question):
    """A training step as the trainer takes it, and the bare step: gradient and update in a compiled loop.

    The trainer's draws its batches on the device, may stop seeds, and hands losses and gradient norms to the
    host; the bare step reads batches that were drawn before.

    Attributes:
        batch: sequences, B.
        lag: of the recall task, T - 1.
        hidden: units, H.
        steps: training steps of a call.
        rounds: turns of each.
    """

    name: ClassVar[str] = "overhead"

    batch: int = 32
    lag: int = 100
    hidden: int = 128
    steps: int = CHUNK
    rounds: int = 7

    @property
    def at(self) -> str:
        task = Recall(self.lag)
        return f"LSTM {self.batch},{self.lag + 1},{task.d_in},{self.hidden}, {task.label}"

    def measure(self) -> dict[str, Any]:
        trial = Trial(task=Recall(self.lag), d_hidden=self.hidden, batch=self.batch)
        program = Program(trial)
        ours = _Training(program, program.init(), self.steps)
        bare = _Bare(program, program.axis.take(ours.state), self.steps)
        _agree(ours.call()[0], bare.call())
        seconds = in_turns({"ours": ours.call, "bare": bare.call}, self.rounds)
        return {name: [s / self.steps for s in each] for name, each in seconds.items()}

    def costs(self) -> list[Cost]:
        found = self.ask()
        name = "a step of the trainer's, by the bare step"
        return [Cost(name, self.at, "s", found["ours"], found["bare"], bar=1.05)]


@dataclass(frozen=True)
class Compile(Question):
    """How long the training step takes to compile in a fresh process.

    Attributes:
        batch: sequences, B.
        lag: of the recall task, T - 1.
        symbols: of the recall task, D - 1.
        hidden: units, H.
        rounds: processes, one after the other.
        cache: directory of compiled programs; empty for none.
    """

    name: ClassVar[str] = "compile"

    batch: int = 32
    lag: int = 999
    symbols: int = 63
    hidden: int = 128
    rounds: int = 5
    cache: str = ""

    @property
    def at(self) -> str:
        return f"LSTM {self.batch},{self.lag + 1},{self.symbols + 1},{self.hidden}"

    def measure(self) -> dict[str, Any]:
        if self.cache:
            keep(Path(self.cache))
        else:
            jax.config.update(
                "jax_enable_compilation_cache", False
            )  # the environment may ask for it
        step, state = _step(Recall(self.lag, self.symbols), self.batch, self.hidden, Sequential())
        began = perf_counter()
        traced = step.trace(state)
        after_trace = perf_counter()
        lowered = traced.lower()
        after_lower = perf_counter()
        lowered.compile()
        ended = perf_counter()
        stages = {"tracing": after_trace - began, "lowering": after_lower - after_trace}
        return {**stages, "compiling": ended - after_lower, "all": ended - began}

    def costs(self) -> list[Cost]:
        found = [self.ask() for _ in range(self.rounds)]
        return list(self._stages(found, "a training step in a fresh process", "compiling", 3.0))

    def _stages(
        self, found: Sequence[Mapping[str, float]], what: str, last: str, bar: float | None
    ) -> Iterator[Cost]:
        """A cost for all stages together, then one for each; `last` says what the third amounts to."""
        named = {"all": "ready", "tracing": "tracing", "lowering": "lowering", "compiling": last}
        for stage, words in named.items():
            seconds = [one[stage] for one in found]
            yield Cost(
                f"{what}: {words}", self.at, "s", seconds, bar=bar if stage == "all" else None
            )


@dataclass(frozen=True)
class SecondStart(Compile):
    """The same where an earlier process has left its programs in a directory, as with `run --cache`."""

    name: ClassVar[str] = "second start"

    def costs(self) -> list[Cost]:
        with TemporaryDirectory() as folder:
            cached = replace(self, cache=folder)
            cached.ask()
            found = [cached.ask() for _ in range(self.rounds)]
        return list(self._stages(found, "a second start with a cache", "reading it", None))


@dataclass(frozen=True)
class Memory(Question):
    """Memory of a training step over a long sequence, with rematerialisation and without.

    Attributes:
        batch: sequences, B.
        lag: of the recall task, T - 1.
        symbols: of the recall task, D - 1.
        hidden: units, H.
        remat: steps of a rematerialised chunk; 0 for none.
    """

    name: ClassVar[str] = "memory"
    # glibc: every array has pages of its own, so that what is freed is no longer resident.
    environment: ClassVar[Mapping[str, str]] = {"MALLOC_MMAP_THRESHOLD_": "131072"}

    batch: int = 8
    lag: int = 16_383
    symbols: int = 31
    hidden: int = 128
    remat: int = 128

    @property
    def at(self) -> str:
        sizes = f"{self.batch},{self.lag + 1},{self.symbols + 1},{self.hidden}"
        return f"LSTM {sizes}, remat={self.remat}"

    def measure(self) -> dict[str, Any]:
        task, schedule = Recall(self.lag, self.symbols), Sequential(remat=self.remat)
        step, state = _step(task, self.batch, self.hidden, schedule)
        compiled = step.trace(state).lower().compile()
        losses = []

        def train() -> None:
            nonlocal state
            state, progress = jax.block_until_ready(compiled(state))
            losses.append(progress.loss.item())

        train()  # the first call allocates what stays
        resident = most_resident(train)
        planned = compiled.memory_analysis()
        return {
            "resident": resident,
            "planned": None if planned is None else planned.temp_size_in_bytes,
            "losses": losses,
        }

    def costs(self) -> list[Cost]:
        cut, whole = self.ask(), replace(self, remat=0).ask()
        _agree(np.array(cut["losses"]), np.array(whole["losses"]))
        names = {"resident": "most resident", "planned": "temporaries by XLA's plan"}
        return [
            Cost(f"{words}, by those of remat=0", self.at, "bytes", [cut[kind]], [whole[kind]], 0.2)
            if cut[kind] and whole[kind]
            else Cost(words, self.at, "bytes", problem="too little, or this system does not tell")
            for kind, words in names.items()
        ]


class _Training:
    """A state that the trainer's own program takes on, K steps a call, as `fit` does.

    Args:
        program: compiled for its runs.
        state: theirs, donated.
        steps: K.
    """

    def __init__(self, program: Program, state: TrainState, steps: int) -> None:
        self.program, self.state, self.steps = program, state, steps
        self.active = np.ones(program.runs, bool)

    def call(self) -> np.ndarray:
        """Take K steps; their losses `[R, K]`."""
        self.state, progress = self.program.advance(self.state, self.active, self.steps)
        loss, _ = self.program.axis.take((progress.loss, progress.norm))
        return loss


class _Bare:
    """The same training without a trainer: K batches, drawn before, in a compiled loop over a plain step.

    Args:
        program: of a single run; gives network, optimiser and devices.
        state: what to begin with, on the host, leaves `[1, ...]`.
        steps: K; every call reads the same batches.
    """

    def __init__(self, program: Program, state: TrainState, steps: int) -> None:
        network, optimizer, mesh = program.network, program.optimizer, program.axis.mesh
        task, B = program.trial.task, program.trial.batch
        params, opt_state, key, first = jax.tree.map(
            lambda leaf: jnp.asarray(leaf)[0],
            (state.params, state.opt_state, state.key, state.step),
        )
        draw = partial(task.sample, program.data, jax.random.split(key)[0], batch=B)
        batches = jax.jit(jax.vmap(lambda step: draw(step)))(
            first + jnp.arange(steps, dtype=jnp.int32)
        )
        split = NamedSharding(mesh, PartitionSpec(None, "batch"))
        whole = NamedSharding(mesh, PartitionSpec())
        self.batches = jax.device_put(batches, split)
        self.state = jax.device_put((params, opt_state), whole)

        def step(state: Any, batch: Batch) -> tuple[Any, Array]:
            params, opt_state = state

            def loss_of(params: Any) -> Array:
                return jnp.mean(task.loss(network.apply(params, batch.x)[1], batch))

            loss, gradient = jax.value_and_grad(loss_of)(params)
            # Adam's bias correction, see `train_step`.
            with jax.numpy_dtype_promotion("standard"):
                updates, opt_state = optimizer.update(gradient, opt_state, params)
                return (optax.apply_updates(params, updates), opt_state), loss

        with jax.set_mesh(mesh):  # `unroll` asks whether XLA parts the batch
            loop = jax.jit(lambda state, batches: lax.scan(step, state, batches), donate_argnums=0)
            self.loop = loop.lower(self.state, self.batches).compile()

    def call(self) -> np.ndarray:
        """Take K steps; their losses `[K]`."""
        self.state, losses = jax.block_until_ready(self.loop(self.state, self.batches))
        return np.asarray(losses)


def _step(task: Recall, batch: int, hidden: int, schedule: Sequential) -> tuple[Any, TrainState]:
    """The trainer's step of one seed, to be compiled, and the state it takes, which is donated."""
    model = Model(schedule=schedule)
    program = Program(Trial(model=model, task=task, d_hidden=hidden, batch=batch))
    axis = program.axis
    step = partial(train_step, program.network, program.optimizer, program.data, cut=axis.cut)
    return jax.jit(axis.map(step), donate_argnums=0), program.init()


def _agree(one: np.ndarray, other: np.ndarray) -> None:
    """Refuse to compare two trainings that are not the same.

    Raises:
        RuntimeError: their losses differ.
    """
    if not (error := difference(one, other)) <= TOLERANCE:
        raise RuntimeError(f"the losses of both sides differ by {error:.1e}: not the same training")


def every_question(rounds: int) -> list[Question]:
    """All costs, at the sizes their bars are set for.

    Args:
        rounds: turns of each side, or processes one after the other.
    """
    return [
        Seeds(rounds=rounds),
        Overhead(rounds=rounds),
        Overhead(hidden=32, rounds=rounds),
        Compile(rounds=rounds),
        SecondStart(rounds=rounds),
        Memory(),
    ]


def quick_questions(rounds: int) -> list[Question]:
    """Those that take seconds, the seeds' with shorter sequences."""
    return [
        Seeds(length=49, steps=1, rounds=rounds),
        Overhead(hidden=32, rounds=rounds),
        Compile(rounds=1),
    ]


def measured(question: Question) -> list[Cost]:
    """A question's costs; where its process failed, one that says why."""
    try:
        return question.costs()
    except RuntimeError as error:
        return [Cost(question.name, question.at, "s", problem=one_line(error))]


def record(costs: Sequence[Cost], left_out: Sequence[str]) -> dict[str, Any]:
    """Costs, and the names of questions that were left out, ready for JSON."""
    return {"measured": [asdict(cost) for cost in costs], "left out": list(left_out)}


def read(data: Mapping[str, Any]) -> list[Cost]:
    """The costs of a record."""
    return [Cost(**cost) for cost in data["measured"]]


def line(cost: Cost) -> str:
    """A cost in words."""
    if cost.problem:
        return f"{cost.name}, {cost.at}: {cost.problem}"
    return f"{cost.name}, {cost.at}: {_median(cost.judged, '' if cost.against else cost.unit)}"


def table(data: Mapping[str, Any]) -> str:
    """Markdown: a row per cost, ending in a line break; then what was left out.

    Args:
        data: as `record` made it.
    """
    head = ["cost", "at", "measured", "against", "ratio", "bar"]
    rows = [head, ["---"] * len(head), *map(_row, read(data))]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if data["left out"]:
        lines += ["", f"Left out, as they take longer: {'; '.join(data['left out'])}."]
    return "\n".join(lines) + "\n"


def _row(cost: Cost) -> list[str]:
    if cost.problem:
        return [cost.name, cost.at, cost.problem, "", "", ""]
    bar = ""
    if cost.bar is not None:
        met = "met" if median(cost.judged) <= cost.bar else "missed"
        bar = f"{cost.bar:g}{'' if cost.against else ' s'}, {met}"
    measured = _median(cost.measured, cost.unit)
    if not cost.against:
        return [cost.name, cost.at, measured, "", "", bar]
    return [
        cost.name,
        cost.at,
        measured,
        _median(cost.against, cost.unit),
        _median(cost.judged, ""),
        bar,
    ]


def _median(values: Sequence[float], unit: str) -> str:
    """Median [least, most] of several values, or the only one; in ms or MiB where that reads better."""
    scale, digits, shown = {"bytes": (2**20, 0, "MiB"), "s": (1.0, 2, "s"), "": (1.0, 3, "")}[unit]
    if unit == "s" and median(values) < 1:
        scale, digits, shown = 1e-3, 1, "ms"
    middle, least, most = (
        f"{value / scale:.{digits}f}" for value in (median(values), min(values), max(values))
    )
    spread = f"{middle} [{least}, {most}]" if len(values) > 1 else middle
    return f"{spread} {shown}".strip()


def main() -> None:
    """Answer one question on stdout, as a line of JSON."""
    name, settings = sys.argv[1:]
    kinds: list[type[Question]] = [Seeds, Overhead, Compile, SecondStart, Memory]
    kind = next(kind for kind in kinds if kind.__name__ == name)
    use_all_cores()
    print(json.dumps(kind(**json.loads(settings)).measure()))


if __name__ == "__main__":
    main()
