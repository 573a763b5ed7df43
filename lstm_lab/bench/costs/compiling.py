"""How long the training step takes to compile, and to be read where it was compiled before."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, ClassVar

import jax

from lstm_lab.bench.costs.base import Cost, Question
from lstm_lab.bench.costs.training import training_step
from lstm_lab.compiled import keep
from lstm_lab.tasks.recall import Recall
from lstm_lab.unroll import Sequential


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
        step, state = training_step(
            Recall(self.lag, self.symbols), self.batch, self.hidden, Sequential()
        )
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
