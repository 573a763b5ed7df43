"""Memory of a training step over a long sequence, with rematerialisation and without."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import numpy as np

from lstm_lab.bench.costs.base import Cost, Question, agree
from lstm_lab.bench.costs.training import training_step
from lstm_lab.bench.worker import most_resident
from lstm_lab.tasks.recall import Recall
from lstm_lab.unroll import Sequential


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
        step, state = training_step(task, self.batch, self.hidden, schedule)
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
        agree(np.array(cut["losses"]), np.array(whole["losses"]))
        names = {"resident": "most resident", "planned": "temporaries by XLA's plan"}
        return [
            Cost(f"{words}, by those of remat=0", self.at, "bytes", [cut[kind]], [whole[kind]], 0.2)
            if cut[kind] and whole[kind]
            else Cost(words, self.at, "bytes", problem="too little, or this system does not tell")
            for kind, words in names.items()
        ]
