"""What `lstm-lab bench` says: the record of a run as JSON, its tables, and its figure."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import exp, log, nan
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from lstm_lab.bench import costs
from lstm_lab.bench.costs import Cost, Question
from lstm_lab.bench.results import write
from lstm_lab.bench.turns import MEASURES, Pace, Team, Timing, compete, modules, present
from lstm_lab.bench.workload import CELLS, Measure, Workload
from lstm_lab.devices import exact
from lstm_lab.provenance import environment
from lstm_lab.report.page import colours
from lstm_lab.report.svg import INK, Palette, draw, standalone

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES: Mapping[Measure, str] = {
    "train": "A training step as people run it: each framework's own loop, with its update",
    "gradient": "One gradient, by every parameter and the input, called by itself",
    "forward": "Reading alone",
}

SHORT: Mapping[Measure, str] = {
    "train": "training step",
    "gradient": "one gradient by itself",
    "forward": "reading alone",
}

Results = Sequence[tuple[Workload, Sequence[Timing]]]


def bench(
    workloads: Sequence[Workload],
    questions: Sequence[Question],
    left_out: Sequence[str],
    pace: Pace,
    out: Path | None,
) -> None:
    """Time every framework present, measure the lab's own costs, print a line as each is done, then all tables.

    Args:
        workloads: what every framework runs.
        questions: what is asked of the lab alone.
        left_out: questions that are not, in words.
        pace: how much is timed.
        out: directory for the record, its tables and the figure; None writes nothing. The record is written as
            each is done, so that an interrupted run leaves what it has.
    """
    versions, absent = present(modules()) if workloads else ({}, {})
    about = {**environment(), "frameworks": versions, "absent": absent}
    before = _processor_time()
    ceilings = [ceiling()]
    results: list[tuple[Workload, Sequence[Timing]]] = []
    found: list[Cost] = []
    waiting = [question.label for question in questions] + [w.label for w in workloads]

    def so_far() -> dict[str, Any]:
        about["taken"] = _taken(before, _processor_time())
        about["not reached"] = waiting
        data = record(about, pace, max(ceilings), results, costs.record(found, left_out))
        if out is not None:
            write(out, data)
        return data

    for question in questions:
        for cost in costs.measured(question):
            found.append(cost)
            print(costs.line(cost), flush=True)
        waiting.pop(0)
        so_far()
    with Team(list(versions)) as team:
        for workload in workloads:
            # Memory is a matter of the shape, and asked of one cell.
            asked = replace(pace, memory=pace.memory and workload.cell == "LSTM")
            results.append((workload, compete(workload, team, asked)))
            ceilings.append(ceiling())
            waiting.pop(0)
            so_far()
            print(_line(*results[-1]), flush=True)
    data = so_far()
    print()
    print(page(data, results))
    if out is not None:
        path = write(out, data)
        path.with_suffix(".md").write_text(page(data, results))
        if results:
            path.with_suffix(".svg").write_text(figure(results))
        print(f"wrote {path} and, beside it, the tables{' and the figure' if results else ''}")


def _processor_time() -> list[int]:
    """What the processors did since the start, in ticks: user, nice, system, idle, iowait, irq, softirq, steal."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0]
    except OSError:
        return []
    return [int(ticks) for ticks in first.split()[1:9]]


def _taken(before: Sequence[int], after: Sequence[int]) -> float | None:
    """Of the time that this machine wanted its processors, the share its host gave to others; None if unknown."""
    if len(after) < 8:
        return None
    spent = [late - early for early, late in zip(before, after, strict=True)]
    idle, steal = spent[3] + spent[4], spent[7]
    return steal / max(1, sum(spent) - idle)


def ceiling(size: int = 2048) -> float:
    """Operations a second of a product of two square float32 matrices, the best of five."""
    a = jnp.ones((size, size), jnp.float32)
    with exact():
        product = jax.jit(jnp.matmul).lower(a, a).compile()
    jax.block_until_ready(product(a, a))
    times = []
    for _ in range(5):
        began = time.perf_counter()
        jax.block_until_ready(product(a, a))
        times.append(time.perf_counter() - began)
    return 2 * size**3 / min(times)


def _line(workload: Workload, timings: Sequence[Timing]) -> str:
    """One network's training steps, in milliseconds."""
    said = [
        f"{t.framework} {t.problem or format(1e3 * median(t.seconds['train']), '.1f')}"
        for t in timings
    ]
    return f"{workload.label}: {', '.join(said)}"


def record(
    about: Mapping[str, Any],
    pace: Pace,
    ceiling: float,
    results: Results,
    costs: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything measured, ready for JSON.

    Args:
        about: the machine and the frameworks.
        pace: how much was timed.
        ceiling: operations a second of a large matrix product.
        results: what was timed.
        costs: `costs.record`.
    """
    return {
        **about,
        "pace": asdict(pace),
        "ceiling": ceiling,
        "workloads": [
            {**asdict(workload), "timings": [asdict(timing) for timing in timings]}
            for workload, timings in results
        ],
        "costs": costs,
    }


def read(path: Path) -> tuple[dict[str, Any], Results]:
    """A record, and the frameworks' results it holds; the costs `costs.read` reads."""
    data = json.loads(path.read_text())
    results = []
    for entry in data["workloads"]:
        entry = dict(entry)
        timings = [Timing(**timing) for timing in entry.pop("timings")]
        results.append((Workload(**entry), timings))
    return data, results


def table(measure: Measure, ceiling: float, results: Results) -> str:
    """Markdown: a row per workload, ours in milliseconds, and our time by every other framework's.

    Args:
        measure: what was timed.
        ceiling: operations a second of a large matrix product.
        results: what was timed.

    Returns:
        The text, ending in a line break; below each cell's shapes, the geometric mean over them.
    """
    names = _frameworks(results)[1:]
    head = ["network", "ours, ms", "of ceiling", *(f"ours / {name}" for name in names)]
    rows = [head, ["---"] * len(head)]
    for cell in CELLS:
        mine = [(w, t) for w, t in results if w.cell == cell]
        for workload, timings in mine:
            rows.append(_row(workload, timings, measure, ceiling, names))
        plain = _plain(results, cell)
        if len(plain) > 1:
            means = [_mean_field(plain, name, measure) for name in names]
            rows.append([f"**{cell}, geometric mean of {len(plain)} shapes**", "", "", *means])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(
    workload: Workload,
    timings: Sequence[Timing],
    measure: Measure,
    ceiling: float,
    names: Sequence[str],
) -> list[str]:
    ours, by_name = timings[0], {timing.framework: timing for timing in timings}
    if ours.problem:
        return [workload.label, ours.problem, "", *("" for _ in names)]
    share = workload.flops(measure) / ours.least(measure) / ceiling
    ratios = []
    for name in names:
        other = by_name.get(name)
        if other is None:
            ratios.append("not served")
        elif other.problem:
            ratios.append(other.problem)
        else:
            least = ours.least(measure) / other.least(measure)
            ratios.append(_judged(ours.ratios(other, measure), least))
    milliseconds = 1e3 * median(ours.seconds[measure])
    return [workload.label, f"{milliseconds:.1f}", f"{share:.0%}", *ratios]


def summary(results: Results) -> str:
    """Markdown: for each cell and measure, the geometric mean over shapes of our time by every framework's.

    One layer read one way; in each field the median over rounds [least, most] · that of least times.
    """
    names = _frameworks(results)[1:]
    head = ["ours / theirs", *names]
    rows = [head, ["---"] * len(head)]
    for cell in CELLS:
        plain = _plain(results, cell)
        for measure, words in SHORT.items():
            means = [_mean_field(plain, name, measure) for name in names]
            if plain:
                rows.append([f"{cell}, {len(plain)} shapes: {words}", *means])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _plain(results: Results, cell: str) -> Results:
    """What was timed of one layer of a cell, read one way, rows full."""
    return [
        (w, t)
        for w, t in results
        if w.cell == cell and w == Workload(w.cell, w.batch, w.steps, w.inputs, w.hidden)
    ]


def _mean_field(plain: Results, name: str, measure: Measure) -> str:
    return _judged(geometric_means(plain, name, measure), least_mean(plain, name, measure))


def geometric_means(results: Results, name: str, measure: Measure) -> list[float]:
    """Round by round, the geometric mean over workloads of our time by another framework's."""
    ratios = [ours.ratios(other, measure) for ours, other in _pairs(results, name)]
    return [_mean(each) for each in zip(*ratios, strict=True)]


def least_mean(results: Results, name: str, measure: Measure) -> float:
    """The geometric mean over workloads of our least time by another framework's; NaN where there is none."""
    pairs = _pairs(results, name)
    return _mean([ours.least(measure) / other.least(measure) for ours, other in pairs])


def _pairs(results: Results, name: str) -> list[tuple[Timing, Timing]]:
    """Ours and another framework's, where both were timed."""
    return [
        (timings[0], other)
        for _, timings in results
        for other in timings
        if other.framework == name and not (other.problem or timings[0].problem)
    ]


def _mean(ratios: Sequence[float]) -> float:
    return exp(sum(map(log, ratios)) / len(ratios)) if ratios else nan


def _spread(ratios: Sequence[float]) -> str:
    """Median [least, most]."""
    if not ratios:
        return "not served"
    return f"{median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"


def _judged(ratios: Sequence[float], least: float) -> str:
    """The spread of rounds, and the ratio of least times."""
    return f"{_spread(ratios)} · {least:.2f}" if ratios else _spread(ratios)


def memory_table(results: Results) -> str:
    """Markdown: most memory resident while training, in MiB, a row per workload."""
    names = _frameworks(results)
    rows = [["network", *names], ["---"] * (len(names) + 1)]
    for workload, timings in results:
        by_name = {timing.framework: timing.bytes for timing in timings}
        if not any(by_name.values()):
            continue
        mine = [by_name.get(name) for name in names]
        rows.append([workload.label, *("" if b is None else f"{b / 2**20:,.0f}" for b in mine)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _frameworks(results: Results) -> list[str]:
    """In order of first appearance, ours first."""
    return list(dict.fromkeys(timing.framework for _, timings in results for timing in timings))


def _versions(data: Mapping[str, Any]) -> str:
    packages = {**data["versions"], **data["frameworks"]}
    return ", ".join(f"{name} {version}" for name, version in packages.items() if version)


def _shared(taken: float | None) -> list[str]:
    """A sentence on how much of this machine others had; nothing where none did, or nobody knows."""
    return (
        [f"The machine's host gave {taken:.0%} of the time asked for to others."] if taken else []
    )


def page(data: Mapping[str, Any], results: Results) -> str:
    """All tables of a record as Markdown."""
    lines = [
        f"{data['device']}, {data['threads']} threads, float32: {_versions(data)}.",
        f"A product of two large matrices reaches {data['ceiling'] / 1e9:.0f} GFLOP/s here.",
        *_shared(data["taken"]),
        "Ratios are medians over rounds taken in turns, [least, most] · ratio of least times; below 1 ours is faster.",
        "",
    ]
    for name, reason in data["absent"].items():
        lines.append(f"Not timed: {name}: {reason}.\n")
    if data["not reached"]:
        lines.append(f"Interrupted before: {'; '.join(data['not reached'])}.\n")
    if results:
        lines += [summary(results)]
        for measure in MEASURES:
            lines += [f"## {TITLES[measure]}", "", table(measure, data["ceiling"], results)]
        # A quick run does not ask for it.
        if any(timing.bytes for _, timings in results for timing in timings):
            title = "## Memory while training, MiB beyond the bare process"
            lines += [title, "", memory_table(results)]
    if data["costs"]["measured"]:
        lines += ["## What the lab itself costs", "", costs.table(data["costs"])]
    return "\n".join(lines)


def figure(results: Results) -> str:
    """Draw a training step's time of every other framework by ours, per network: an SVG document."""
    names = _frameworks(results)[1:]
    palette = Palette(names)
    timed = [(w, t) for w, t in results if not t[0].problem]

    def paint(axes: "Axes") -> None:
        axes.axvline(1, color=INK, linestyle="--", linewidth=1)
        for row, (_, timings) in enumerate(timed):
            ours = timings[0]
            for other in timings[1:]:
                if other.problem:
                    continue
                times = sorted(1 / ratio for ratio in ours.ratios(other, "train"))
                style = palette.style(other.framework)
                axes.plot([times[0], times[-1]], [row, row], **style)
                axes.plot([median(times)], [row], palette.marker(other.framework), **style)
        axes.set_yticks(range(len(timed)), [workload.label for workload, _ in timed])
        axes.invert_yaxis()
        axes.set_xscale("log")
        most = axes.get_xlim()[1]
        ticks = [
            tick for tick in (0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 12, 20, 30) if tick <= max(2, most)
        ]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("time of a training step by ours; right of 1 ours is faster")

    panel = draw(paint, "times of a training step by ours", (6.4, 0.9 + 0.19 * len(timed)), 2.1)
    return standalone(panel, names, palette, colours())
