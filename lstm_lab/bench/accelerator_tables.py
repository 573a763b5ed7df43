"""The tables of an accelerator's record, by themselves and in README.md."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from lstm_lab.bench.contenders.jax_cudnn import JaxCuDNN
from lstm_lab.bench.contenders.ours import Ours

Record = Mapping[str, Any]

# What stands between these lines of README.md is made by `make accelerator`; the name is the device's.
BEGIN, END = "<!-- accelerator {device} -->\n", "<!-- end -->\n"
# Stands there as long as no device has been measured.
NOBODY = "none yet"


def page(record: Record) -> str:
    """Everything measured, as Markdown."""
    return _page(record, lambda row: True)


def excerpt(record: Record) -> str:
    """The same with the LSTM's training steps alone."""
    return _page(record, lambda row: row["network"].startswith("LSTM"))


def wrong(record: Record) -> list[str]:
    """Schedules that ran and were wrong, or failed, in words."""
    return [
        f"{pair['cell']} under {pair['schedule']}: {pair['verdict']}"
        for pair in record["parity"]
        if pair["verdict"] not in ("yes", "no")
    ]


def place(readme: Path, record: Record) -> bool:
    """Put a device's excerpt into a page: in place of the one it has of that device, else after the last.

    Args:
        readme: the page, which may not exist.
        record: what was measured.

    Returns:
        Whether the page has a place for it.
    """
    text = readme.read_text() if readme.is_file() else ""
    block = f"{BEGIN.format(device=record['device'])}{excerpt(record)}{END}"
    for known in (record["device"], NOBODY):
        before, begun, rest = text.partition(BEGIN.format(device=known))
        _, ended, after = rest.partition(END)
        if begun and ended:
            readme.write_text(f"{before}{block}{after}")
            return True
    before, ended, after = text.rpartition(END)
    if ended:
        readme.write_text(f"{before}{END}\n{block}{after}")
    return bool(ended)


def _page(record: Record, shown: Callable[[Record], bool]) -> str:
    blocks = [
        _parity(record),
        _shapes([row for row in record["shapes"] if shown(row)]),
        _seeds(record["seeds"]),
        _crossovers(record["crossovers"]),
    ]
    notes = [f"Failed: {what}.\n" for what in record["failed"]]
    if record["left out"]:
        notes.append(f"No time for: {'; '.join(record['left out'])}.\n")
    return "\n".join([block for block in blocks if block] + notes)


def _parity(record: Record) -> str:
    """A sentence: the device, and how many schedules agree there."""
    served = [pair for pair in record["parity"] if pair["verdict"] != "no"]
    agree = sum(pair["verdict"] == "yes" for pair in served)
    versions = record["environment"]["versions"]
    said = [
        f"One {record['device']}, jax {versions['jax']}: of {len(served)} pairs of a cell and a schedule that "
        f"serves it, {agree} agree with the loop in outputs and all gradients."
    ]
    return "\n".join([*said, *(f"Not: {pair}." for pair in wrong(record))]) + "\n"


def _shapes(rows: Sequence[Record]) -> str:
    """A row per network: milliseconds by each way of running it, and the loop's time by cuDNN's."""
    found: dict[tuple[str, str, str], Sequence[float]] = {
        (row["network"], row["precision"], row["by"]): row["milliseconds"] for row in rows
    }
    ways = list(dict.fromkeys((precision, by) for _, precision, by in found))
    beside = [precision for precision, by in ways if by == JaxCuDNN.name]
    head = [f"{'loop' if by == Ours.name else 'cuDNN'}, {precision}" for precision, by in ways]
    lines = [["training step, ms", *head, *(f"loop / cuDNN, {p}" for p in beside)]]
    for network in dict.fromkeys(network for network, _, _ in found):
        times = [_times(found.get((network, *way))) for way in ways]
        pairs = [[found.get((network, p, by)) for by in (Ours.name, JaxCuDNN.name)] for p in beside]
        lines.append([network, *times, *(_ratios(loop, cudnn) for loop, cudnn in pairs)])
    return _table(lines) if rows else ""


def _seeds(rows: Sequence[Record]) -> str:
    """A column per count: of one seed, milliseconds of a training step in a program of as many."""
    if not rows:
        return ""
    head = [
        f"{rows[0]['network']}, float32: seeds in one program",
        *(f"{r['seeds']}" for r in rows),
    ]
    per_seed = ["ms of a step, per seed", *(f"{r['milliseconds per seed']:.3g}" for r in rows)]
    return _table([head, per_seed])


def _crossovers(rows: Sequence[Record]) -> str:
    """A row per cell and schedule: its time by the loop's at every length, and the loop's in milliseconds."""
    found = {(row["cell"], row["schedule"], row["steps"]): row for row in rows}
    steps = sorted({row["steps"] for row in rows})
    lines = [["cell", "schedule, float32; time by the loop's", *(f"T={T:,}" for T in steps)]]
    for cell, schedule in dict.fromkeys((cell, schedule) for cell, schedule, _ in found):
        mine = [found.get((cell, schedule, T)) for T in steps]
        lines.append([cell, schedule, *(_crossing(one) for one in mine)])
    return _table(lines) if rows else ""


def _crossing(row: Record | None) -> str:
    if row is None:
        return ""
    if row["schedule"] == "Sequential":
        return f"{row['milliseconds']:.3g} ms"
    return f"{row['ratio']:.2f} [{row['fewest']:.2f}, {row['most']:.2f}]"


def _times(milliseconds: Sequence[float] | None) -> str:
    if milliseconds is None:
        return ""
    return f"{median(milliseconds):.3g} [{min(milliseconds):.3g}, {max(milliseconds):.3g}]"


def _ratios(loop: Sequence[float] | None, other: Sequence[float] | None) -> str:
    if loop is None or other is None:
        return ""
    ratios = [a / b for a, b in zip(loop, other, strict=True)]
    return f"{median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"


def _table(lines: Sequence[Sequence[str]]) -> str:
    rows = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
