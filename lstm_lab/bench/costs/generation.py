"""Drawing text: how long a batch of texts takes, symbol after symbol."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import numpy as np

from lstm_lab.bench.costs.base import Cost, Question
from lstm_lab.model import Model
from lstm_lab.probe.text_sample import write
from lstm_lab.tasks.text import Text
from lstm_lab.text.sampling import Sampling
from lstm_lab.train import Network
from lstm_lab.trial import Trial


@dataclass(frozen=True)
class Generation(Question):
    """So many characters, drawn as `lstm-lab generate --samples` draws them, by a character LSTM just initialised.

    Attributes:
        samples: texts that are written at once.
        layers: of LSTM.
        hidden: units of each, H.
        characters: to draw, in all texts together.
        rounds: how often.
    """

    name: ClassVar[str] = "generation"
    environment: ClassVar[Mapping[str, str]] = {"LSTM_LAB_CPU_DEVICES": "1"}  # as the command line

    samples: int = 64
    layers: int = 2
    hidden: int = 256
    characters: int = 20_000
    rounds: int = 7

    @property
    def at(self) -> str:
        return f"LSTM {self.layers} x {self.hidden}, {self.samples} texts at once"

    def measure(self) -> dict[str, Any]:
        trial = Trial(model=Model(layers=self.layers), task=Text(), d_hidden=self.hidden)
        network = Network(trial)
        params = network.init(jax.random.key(0))
        prompt = trial.task.load()["validation"][:80]
        length = -(-self.characters // self.samples)

        def draw(seed: int) -> float:
            start = time.perf_counter()
            pieces = list(write(network, params, prompt, length, Sampling(), seed, self.samples))
            seconds = time.perf_counter() - start
            drawn = np.concatenate(pieces, axis=1)
            # Per character drawn, for the last step of all texts may go beyond what was asked.
            return seconds * self.characters / drawn.size

        draw(0)  # compiles
        return {"seconds": [draw(seed) for seed in range(self.rounds)]}

    def costs(self) -> list[Cost]:
        found = self.ask()
        name = f"{self.characters:,} characters drawn"
        return [Cost(name, self.at, "s", found["seconds"], bar=1.0)]
