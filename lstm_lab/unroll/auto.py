"""The schedule that picks another one, from what was measured.

Which schedule is fastest depends on the cell, the device and the number of steps: a parallel prefix does
log T times the work of the loop and wins where the device has more arithmetic to spare than steps to wait
for. `CROSSOVERS` holds, for each kind of device, from how many steps on another schedule was measured to
beat the loop in a training step. `lstm-lab crossover` measures them; its files in `experiments/results/`
are where the numbers come from. A kind of device that nobody measured gets the loop.

What was picked, and why, goes to the log once.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import jax
from jax import Array

from lstm_lab.cells.base import Carry, Cell, LinearCell, Params
from lstm_lab.unroll.associative import Associative
from lstm_lab.unroll.base import Schedule, Steps
from lstm_lab.unroll.sequential import Sequential

logger = logging.getLogger(__name__)


class Crossover(NamedTuple):
    """What a measurement says of one kind of device.

    Attributes:
        faster_from: steps from which `Associative` beat `Sequential`; None if it did at no length measured.
        measured_to: the longest length measured, in steps.
    """

    faster_from: int | None
    measured_to: int


CROSSOVERS: Mapping[str, Crossover] = {"cpu": Crossover(None, 4096)}


@dataclass(frozen=True)
class Auto(Schedule):
    """Picks a schedule by cell, device and number of steps, from measured crossovers, and logs it."""

    def run(
        self, cell: Cell, params: Params, carry: Carry, start: Carry, steps: Steps, reverse: bool
    ) -> tuple[Carry, Array]:
        picked, reason = pick(cell, len(steps.x), jax.default_backend())
        _say(f"Auto: {cell.label}: {type(picked).__name__}: {reason}")
        return picked.run(cell, params, carry, start, steps, reverse)


def pick(cell: Cell, steps: int, device: str) -> tuple[Schedule, str]:
    """Choose a schedule.

    Args:
        cell: the step.
        steps: how many, T.
        device: the kind: `"cpu"`, `"gpu"` or `"tpu"`.

    Returns:
        The schedule, and the reason in words.
    """
    if not isinstance(cell, LinearCell):
        return Sequential(), "the cell is not linear in its carry"
    measured = CROSSOVERS.get(device)
    if measured is None:
        return Sequential(), f"no crossover has been measured on a {device}"
    if measured.faster_from is None:
        return Sequential(), f"faster on a {device} at every length up to {measured.measured_to:,}"
    if steps < measured.faster_from:
        return Sequential(), f"faster on a {device} below {measured.faster_from:,} steps"
    return Associative(), f"faster on a {device} from {measured.faster_from:,} steps"


@cache
def _say(message: str) -> None:
    """Log a choice once, however many programs it is traced for."""
    logger.info(message)
