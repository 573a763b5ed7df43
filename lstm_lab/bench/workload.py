"""What is timed: one recurrent network at one size, and its numbers, the same for every framework.

Imports neither JAX nor any peer, so that a process which times one framework holds no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

CellName = Literal["Elman", "LSTM", "GRU"]
Measure = Literal["forward", "gradient", "train"]

# G by H for each cell, the gate pre-activations per unit.
GATES: dict[CellName, int] = {"Elman": 1, "LSTM": 4, "GRU": 3}


@dataclass(frozen=True)
class Workload:
    """One network and the size of its batch; its loss is the mean square of all outputs' errors.

    Attributes:
        cell: which cell every layer has.
        batch: sequences, B.
        steps: T.
        inputs: features, D.
        hidden: units of a direction, H.
        layers: layers on top of each other.
        bidirectional: whether every layer reads both ways and hands on both outputs side by side.
        lengths: whether rows have lengths of their own, from 1 to T, and padding after them.
    """

    cell: CellName
    batch: int
    steps: int
    inputs: int
    hidden: int
    layers: int = 1
    bidirectional: bool = False
    lengths: bool = False

    @property
    def directions(self) -> int:
        """1 or 2."""
        return 1 + self.bidirectional

    @property
    def outputs(self) -> int:
        """Features of the last layer's output."""
        return self.directions * self.hidden

    @property
    def shape(self) -> str:
        """`B,T,D,H`."""
        return f"{self.batch},{self.steps},{self.inputs},{self.hidden}"

    @property
    def label(self) -> str:
        """Cell, shape, and what is out of the ordinary."""
        extra = [f"{self.layers} layers"] if self.layers > 1 else []
        extra += ["both ways"] * self.bidirectional + ["lengths"] * self.lengths
        return " ".join([self.cell, self.shape, *extra])

    def widths(self) -> Iterator[tuple[int, int]]:
        """The layer's number and its inputs, for every layer and direction, forward first."""
        for layer in range(self.layers):
            for _ in range(self.directions):
                yield layer, self.outputs if layer else self.inputs

    def flops(self, measure: Measure) -> int:
        """Additions and multiplications in the matrix products of one step of `measure`; the rest is not counted."""
        total = 0
        for layer, d_in in self.widths():
            project = 2 * self.batch * self.steps * d_in * GATES[self.cell] * self.hidden
            recur = 2 * self.batch * self.steps * self.hidden * GATES[self.cell] * self.hidden
            if measure == "forward":
                total += project + recur
                continue
            # The same again for the weights, and for what the product read, which training spares the data.
            reads_data = layer == 0 and measure == "train"
            total += 3 * recur + (2 if reads_data else 3) * project
        return total

    def data(self) -> dict[str, np.ndarray]:
        """Inputs `x [B, T, D]`, targets `target [B, T, outputs]` and, where rows have them, `lengths [B]`."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=(self.batch, self.steps, self.inputs)).astype(np.float32)
        target = rng.normal(size=(self.batch, self.steps, self.outputs)).astype(np.float32)
        if not self.lengths:
            return {"x": x, "target": target}
        lengths = rng.integers(1, self.steps + 1, self.batch).astype(np.int32)
        # As a data loader that makes batches of rows of like length: the first row sets T.
        lengths[0] = self.steps
        return {"x": x, "target": target, "lengths": np.sort(lengths)[::-1].copy()}


def valid(data: dict[str, np.ndarray]) -> np.ndarray:
    """Which outputs count in the loss, float32 `[B, T, 1]`."""
    B, T = data["x"].shape[:2]
    lengths = data.get("lengths", np.full(B, T))
    return (np.arange(T) < lengths[:, None]).astype(np.float32)[..., None]


# B, T, D, H: small, middling and large; the medium and large language models of Zaremba et al. 2014 on
# PTB; sequential MNIST; strokes or sensors with few features; and one long sequence.
SHAPES = (
    (32, 128, 128, 128),
    (64, 128, 256, 256),
    (16, 64, 512, 512),
    (20, 35, 650, 650),
    (20, 35, 1500, 1500),
    (128, 784, 1, 128),
    (128, 200, 2, 128),
    (1, 1000, 64, 64),
)
CELLS: tuple[CellName, ...] = ("LSTM", "GRU", "Elman")


def every_workload() -> list[Workload]:
    """All shapes with all cells; then two layers, both directions and lengths, the LSTM's at a second shape too."""
    plain = [Workload(cell, *shape) for cell in CELLS for shape in SHAPES]
    more = [
        Workload(cell, *shape, layers=layers, bidirectional=both, lengths=lengths)
        for cell, shape in (*((cell, SHAPES[0]) for cell in CELLS), ("LSTM", SHAPES[3]))
        for layers, both, lengths in ((2, False, False), (1, True, False), (1, False, True))
    ]
    return plain + more


def quick_workloads() -> list[Workload]:
    """The LSTM at the first shape."""
    return [Workload("LSTM", *SHAPES[0])]
