"""Costs as a record, a line, and rows of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from lstm_lab.bench.costs.base import Cost


def record(costs: Sequence[Cost], left_out: Sequence[str]) -> dict[str, Any]:
    """Costs, and the names of questions that were left out, ready for JSON."""
    return {"measured": [asdict(cost) for cost in costs], "left out": list(left_out)}


def read(data: Mapping[str, Any]) -> list[Cost]:
    """The costs of a record."""
    return [Cost(**cost) for cost in data["measured"]]


def line(cost: Cost) -> str:
    """A cost in words."""
    if cost.problem:
        return f"{cost.name}, {cost.at}: {cost.problem}"
    return f"{cost.name}, {cost.at}: {_median(cost.judged, '' if cost.against else cost.unit)}"


def table(data: Mapping[str, Any]) -> str:
    """Markdown: a row per cost, ending in a line break; then what was left out.

    Args:
        data: as `record` made it.
    """
    head = ["cost", "at", "measured", "against", "ratio", "bar"]
    rows = [head, ["---"] * len(head), *map(_row, read(data))]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if data["left out"]:
        lines += ["", f"Left out, as they take longer: {'; '.join(data['left out'])}."]
    return "\n".join(lines) + "\n"


def _row(cost: Cost) -> list[str]:
    if cost.problem:
        return [cost.name, cost.at, cost.problem, "", "", ""]
    bar = ""
    if cost.bar is not None:
        met = "met" if median(cost.judged) <= cost.bar else "missed"
        bar = f"{cost.bar:g}{'' if cost.against else ' s'}, {met}"
    measured = _median(cost.measured, cost.unit)
    if not cost.against:
        return [cost.name, cost.at, measured, "", "", bar]
    return [
        cost.name,
        cost.at,
        measured,
        _median(cost.against, cost.unit),
        _median(cost.judged, ""),
        bar,
    ]


def _median(values: Sequence[float], unit: str) -> str:
    """Median [least, most] of several values, or the only one; in ms or MiB where that reads better."""
    scale, digits, shown = {"bytes": (2**20, 0, "MiB"), "s": (1.0, 2, "s"), "": (1.0, 3, "")}[unit]
    if unit == "s" and median(values) < 1:
        scale, digits, shown = 1e-3, 1, "ms"
    middle, least, most = (
        f"{value / scale:.{digits}f}" for value in (median(values), min(values), max(values))
    )
    spread = f"{middle} [{least}, {most}]" if len(values) > 1 else middle
    return f"{spread} {shown}".strip()
