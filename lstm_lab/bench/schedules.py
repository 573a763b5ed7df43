"""Which schedule serves which cell, found out by trying: values and all gradients against the loop's, in float32."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_lab.cells.base import Cell
from lstm_lab.devices import exact
from lstm_lab.discover import subclasses
from lstm_lab.errors import UsageError, one_line
from lstm_lab.unroll import Schedule, Sequential, unroll

B, T, D, H = 2, 16, 3, 4

# Float32, sixteen steps, random weights: rounding alone stays below this.
TOLERANCE = 1e-4


class Served(NamedTuple):
    """One cell under one schedule.

    Attributes:
        cell: its class name.
        schedule: its class name.
        error: the greatest difference of any output or gradient from the loop's, as a fraction of the
            greatest value in the same array; None where there is none.
        reason: why there is none, in the schedule's words or the device's; empty where it ran.
        refused: it does not serve the cell, and said so.
    """

    cell: str
    schedule: str
    error: float | None
    reason: str = ""
    refused: bool = False

    @property
    def verdict(self) -> str:
        """`yes`, `no` where it refused, `failed` where the device did, or `wrong` where it ran and disagreed."""
        if self.error is None:
            return "no" if self.refused else "failed"
        return "yes" if self.error <= TOLERANCE else f"wrong ({self.error:.0e})"


def every_cell() -> list[Cell]:
    """Each as it is by default."""
    return [kind() for kind in subclasses("lstm_lab.cells", Cell)]


def every_schedule() -> list[Schedule]:
    """Each as it is by default."""
    return [kind() for kind in subclasses("lstm_lab.unroll", Schedule)]


def pairs(cells: Sequence[Cell], schedules: Sequence[Schedule]) -> Iterator[Served]:
    """Try cells under schedules, several cells at a time, since what it takes is compiling.

    Args:
        cells: which.
        schedules: under which.

    Yields:
        A verdict per cell and schedule, in order.
    """

    def tried(cell: Cell) -> list[Served]:
        try:
            wanted = _reading(cell, Sequential())
        except jax.errors.JaxRuntimeError as failure:  # nothing to compare with
            why = f"Sequential: {one_line(failure)}"
            return [Served(type(cell).__name__, type(s).__name__, None, why) for s in schedules]
        return [_try(cell, schedule, wanted) for schedule in schedules]

    with ThreadPoolExecutor() as pool:
        for found in pool.map(tried, cells):
            yield from found


def _try(cell: Cell, schedule: Schedule, wanted: Any) -> Served:
    names = type(cell).__name__, type(schedule).__name__
    try:
        got = _reading(cell, schedule)
    except UsageError as refusal:
        return Served(*names, None, str(refusal), refused=True)
    except jax.errors.JaxRuntimeError as failure:  # the others are tried all the same
        return Served(*names, None, one_line(failure))
    return Served(*names, difference(got, wanted))


def difference(got: Any, wanted: Any) -> float:
    """The greatest difference between two trees, leaf by leaf a fraction of the leaf's greatest value."""

    def of(got: Any, wanted: Any) -> float:
        scale = float(np.abs(wanted).max(initial=0)) or 1.0
        return float(np.abs(np.asarray(got) - np.asarray(wanted)).max(initial=0)) / scale

    return max(jax.tree.leaves(jax.tree.map(of, got, wanted)))


def _reading(cell: Cell, schedule: Schedule) -> Any:
    """Outputs, final carry and the gradient of their squares by parameters and input."""

    @jax.jit
    def read(params: Any, x: jax.Array) -> Any:
        def loss(params: Any, x: jax.Array) -> Any:
            out = unroll(cell, params, x, schedule=schedule)
            return sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(out)), jnp.zeros(())), out

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, x)

    params = cell.init(jax.random.key(0), D, H)
    with exact():
        return jax.device_get(read(params, jax.random.normal(jax.random.key(1), (B, T, D))))


def table(pairs: list[Served]) -> str:
    """Markdown: a row per cell, a column per schedule, and below it the reason wherever there is no answer.

    Args:
        pairs: what `pairs` found.

    Returns:
        The text, ending in a line break.
    """
    schedules = list(dict.fromkeys(pair.schedule for pair in pairs))
    cells = list(dict.fromkeys(pair.cell for pair in pairs))
    reasons: list[str] = []
    said: dict[tuple[str, str], str] = {}
    for pair in pairs:
        verdict = pair.verdict
        if pair.reason:
            reason = pair.reason.replace(pair.cell, "the cell", 1)
            if reason not in reasons:
                reasons.append(reason)
            verdict = f"{verdict} [{reasons.index(reason) + 1}]"
        said[pair.cell, pair.schedule] = verdict
    rows = [
        "| cell | " + " | ".join(schedules) + " |",
        "|---" * (len(schedules) + 1) + "|",
        *(f"| {c} | " + " | ".join(said[c, s] for s in schedules) + " |" for c in cells),
    ]
    notes = [f"[{n}] {reason}." for n, reason in enumerate(reasons, start=1)]
    return "\n".join([*rows, "", *notes]) + "\n"
