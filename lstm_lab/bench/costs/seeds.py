"""Several seeds in one program against the same runs one after the other.

Laid out twice: each run over all devices, as the lab does it, and each on one, as JAX does where nobody asks for
more; there XLA still has all cores for what it parts itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_lab.bench.accelerator import in_turns
from lstm_lab.bench.costs.base import Cost, Question, agree
from lstm_lab.bench.costs.training import Training
from lstm_lab.program import Program
from lstm_lab.tasks.base import Batch, Classification
from lstm_lab.trial import Trial


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


@dataclass(frozen=True)
class Seeds(Question):
    """Several seeds in one program, and the same runs one after the other, each with all cores at its disposal.

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
        many = Program(trial)
        together = Training(many, many.init(), self.steps)
        drawn = many.axis.take(together.state)

        def in_turn(one: Program) -> Callable[[], np.ndarray]:
            starts = [
                jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], drawn) for i in range(self.seeds)
            ]
            alone = [Training(one, one.put(start), self.steps) for start in starts]
            return lambda: np.concatenate([run.call() for run in alone])

        single = replace(trial, seeds=1)
        sides = {
            "together": together.call,
            "on all devices": in_turn(Program(single)),
            "on one device": in_turn(Program(single, devices=jax.devices()[:1])),
        }
        losses = [call() for call in sides.values()]
        for other in losses[1:]:
            agree(losses[0], other)
        return in_turns(sides, self.rounds)

    def costs(self) -> list[Cost]:
        found = self.ask()
        name = "seeds in one program, by the same runs one after the other, each"
        return [
            Cost(f"{name} {where}", self.at, "s", found["together"], found[where], bar=0.55)
            for where in ("on all devices", "on one device")
        ]
