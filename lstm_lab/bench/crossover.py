"""From how many steps on another schedule beats the loop, on the device at hand.

One training step, forward and gradient, of one layer, timed for every schedule that serves the cell. The
schedules take turns, so that what else the machine does meets all of them alike, and what counts is the
ratio to the loop of the same round. Compilation is not in the times. All products are in float32.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp

from lstm_lab.bench import results
from lstm_lab.cells.base import Cell, LinearCell
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lru import LRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.min_gru import MinGRU
from lstm_lab.devices import exact
from lstm_lab.errors import UsageError
from lstm_lab.provenance import environment
from lstm_lab.unroll import Associative, CuDNN, Newton, Schedule, Sequential, unroll

# Two linear cells, real and complex; two that are not.
CELLS: tuple[Cell, ...] = (MinGRU(), LRU(), GRU(), LSTM())
SCHEDULES: tuple[Schedule, ...] = (Sequential(), Associative(), Newton("diagonal"), CuDNN())


@dataclass(frozen=True)
class Shape:
    """How large a reading is timed.

    Attributes:
        batch: sequences, B.
        inputs: features, D.
        hidden: units, H.
        rounds: how often each schedule has its turn.
    """

    batch: int = 8
    inputs: int = 8
    hidden: int = 32
    rounds: int = 7


@dataclass(frozen=True)
class Timing:
    """One cell under one schedule at one length.

    Attributes:
        cell: its label.
        schedule: its class name.
        steps: T.
        milliseconds: median over the rounds of a training step.
        ratio: median over the rounds of this schedule's time by the loop's.
        fewest: the least such ratio.
        most: the greatest such ratio.
    """

    cell: str
    schedule: str
    steps: int
    milliseconds: float
    ratio: float
    fewest: float
    most: float


def measure(
    lengths: Sequence[int], shape: Shape = Shape(), cells: Sequence[Cell] = CELLS
) -> Iterator[Timing]:
    """Time every cell at every length under every schedule that serves it.

    Args:
        lengths: steps T, each at least 1.
        shape: all other sizes.
        cells: which.
    """
    for cell in cells:
        for steps in lengths:
            runs = dict(_runs(cell, steps, shape))
            times: dict[str, list[float]] = {name: [] for name in runs}
            for _ in range(shape.rounds):
                for name, run in runs.items():
                    started = time.perf_counter()
                    run()
                    times[name].append(1e3 * (time.perf_counter() - started))
            for name, taken in times.items():
                ratios = [t / loop for t, loop in zip(taken, times["Sequential"], strict=True)]
                spread = median(ratios), min(ratios), max(ratios)
                yield Timing(cell.label, name, steps, median(taken), *spread)


def _runs(cell: Cell, steps: int, shape: Shape) -> Iterator[tuple[str, Callable[[], Any]]]:
    """A compiled training step for each schedule that serves the cell, already run once."""
    params = cell.init(jax.random.key(0), shape.inputs, shape.hidden)
    x = jax.random.normal(jax.random.key(1), (shape.batch, steps, shape.inputs))
    for schedule in SCHEDULES:
        if isinstance(cell, LinearCell) and isinstance(schedule, Newton):
            continue  # one iteration of it is the parallel prefix

        def loss(params: Any, x: jax.Array, schedule: Schedule = schedule) -> jax.Array:
            return jnp.mean(unroll(cell, params, x, schedule=schedule)[1] ** 2)

        step = jax.jit(jax.value_and_grad(loss, (0, 1)))

        def run(step: Any = step) -> Any:
            with exact():
                return jax.block_until_ready(step(params, x))

        try:
            value, _ = run()
        except UsageError:
            continue
        # A failed iteration answers with NaN, and its time would say nothing.
        if jnp.isfinite(value):
            yield type(schedule).__name__, run


def write(folder: Path, shape: Shape, timings: Sequence[Timing]) -> Path:
    """Write the timings with the device's name and all they depend on.

    Args:
        folder: made where missing.
        shape: what was timed.
        timings: what came out.

    Returns:
        The file, named after the device.
    """
    record = {
        "device": jax.devices()[0].device_kind,
        "environment": environment(),
        "shape": asdict(shape),
        "timings": [asdict(timing) for timing in timings],
    }
    return results.write(folder, record, "crossover")
