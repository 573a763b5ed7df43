"""What a schedule must provide: a way to run a cell's step over time."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from jax import Array

from lstm_lab.cells.base import Carry, Cell, Params


class Steps(NamedTuple):
    """What the loop reads, time first: `x [T, B, D]`, `mask [T, B]` or None, `restart [T, B]` or None.

    `restart` is in reading order: True where the carry is replaced by the initial one before the step.
    """

    x: Array
    mask: Array | None
    restart: Array | None


def over(which: Array, leaf: Array) -> Array:
    """Let a choice by row or by step stand over a leaf: `[...]` becomes `[..., 1, 1]` for `[..., H, K]`."""
    return which.reshape(which.shape + (1,) * (leaf.ndim - which.ndim))


class Schedule(ABC):
    """A way to run a cell over time. Subclasses are frozen dataclasses whose every field has a default."""

    @abstractmethod
    def run(
        self, cell: Cell, params: Params, carry: Carry, start: Carry, steps: Steps, reverse: bool
    ) -> tuple[Carry, Array]:
        """Run all steps.

        Args:
            cell: the step.
            params: its prepared parameters.
            carry: the carry to begin with, leaves `[B, H]`.
            start: the carry a restarted row begins with, leaves `[B, H]`.
            steps: the inputs, time first.
            reverse: read from the last step to the first.

        Returns:
            The carry after the last step read, and the outputs `[T, B, H]` in the inputs' order.

        Raises:
            UsageError: this schedule cannot serve the cell; the message names the cell, the reason and
                the alternatives. No schedule falls back to another in silence.
        """
