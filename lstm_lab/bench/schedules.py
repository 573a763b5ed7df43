"""Which schedule serves which cell, found out by trying: values and all gradients against the loop's."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_lab.cells.base import Cell
from lstm_lab.discover import subclasses
from lstm_lab.errors import UsageError
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
            greatest value in the same array; None where the schedule refused.
        refusal: why it refused, in its own words; empty where it ran.
    """

    cell: str
    schedule: str
    error: float | None
    refusal: str

    @property
    def verdict(self) -> str:
        """`yes`, `no`, or `wrong` where it ran and disagreed."""
        if self.error is None:
            return "no"
        return "yes" if self.error <= TOLERANCE else f"wrong ({self.error:.0e})"


def every_pair() -> Iterator[Served]:
    """Try every cell under every schedule, each as it is by default."""
    schedules = [kind() for kind in subclasses("lstm_lab.unroll", Schedule)]
    for kind in subclasses("lstm_lab.cells", Cell):
        cell = kind()
        wanted = _reading(cell, Sequential())
        for schedule in schedules:
            yield _try(cell, schedule, wanted)


def _try(cell: Cell, schedule: Schedule, wanted: Any) -> Served:
    names = type(cell).__name__, type(schedule).__name__
    try:
        got = _reading(cell, schedule)
    except UsageError as refusal:
        return Served(*names, None, str(refusal))
    return Served(*names, difference(got, wanted), "")


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
    return jax.device_get(read(params, jax.random.normal(jax.random.key(1), (B, T, D))))


def table(pairs: list[Served]) -> str:
    """Markdown: a row per cell, a column per schedule, and below it every reason for a no.

    Args:
        pairs: what `every_pair` found.

    Returns:
        The text, ending in a line break.
    """
    schedules = list(dict.fromkeys(pair.schedule for pair in pairs))
    cells = list(dict.fromkeys(pair.cell for pair in pairs))
    reasons: list[str] = []
    said: dict[tuple[str, str], str] = {}
    for pair in pairs:
        verdict = pair.verdict
        if pair.refusal:
            reason = pair.refusal.replace(pair.cell, "the cell", 1)
            if reason not in reasons:
                reasons.append(reason)
            verdict = f"no [{reasons.index(reason) + 1}]"
        said[pair.cell, pair.schedule] = verdict
    rows = [
        "| cell | " + " | ".join(schedules) + " |",
        "|---" * (len(schedules) + 1) + "|",
        *(f"| {c} | " + " | ".join(said[c, s] for s in schedules) + " |" for c in cells),
    ]
    notes = [f"[{n}] {reason}." for n, reason in enumerate(reasons, start=1)]
    return "\n".join([*rows, "", *notes]) + "\n"
