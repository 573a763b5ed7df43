"""The tables of the page: what was measured, beside what an uninformed predictor would score."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lstm_lab.report.figures import axis_label
from lstm_lab.report.load import Run
from lstm_lab.report.markup import Markup, join, tag
from lstm_lab.report.numbers import count, interval, number, over_seeds, scored
from lstm_lab.report.svg import Palette
from lstm_lab.stats import summary

_SENTENCE = 28


def trials(run: Run, palette: Palette) -> Markup:
    """Tabulate the finished trials, one table per headline metric, grouped by task.

    Args:
        run: the experiment.
        palette: colour of each model.

    Returns:
        The tables; empty where nothing has finished.
    """
    tables = []
    for metric in dict.fromkeys(result["metric"] for result in run.results):
        results = [result for result in run.results if result["metric"] == metric]
        columns = _columns(metric, results, palette)
        shown = [name for name in columns if any(columns[name][1])]
        groups = [
            [i for i, result in enumerate(results) if result["task"] == task]
            for task in dict.fromkeys(result["task"] for result in results)
        ]
        bodies = []
        for members in groups:
            first = tag(
                "th",
                results[members[0]]["task"],
                class_="name",
                scope="rowgroup",
                rowspan=len(members),
            )
            rows = [
                join(tag("td", columns[n][1][i] or "–", class_=columns[n][0]) for n in shown)
                for i in members
            ]
            rows[0] = join((first, rows[0]))
            bodies.append(tag("tbody", *(tag("tr", row) for row in rows)))
        head = [tag("th", name, class_=columns[name][0], scope="col") for name in shown]
        heading = tag("thead", tag("tr", tag("th", "task", scope="col"), *head))
        tables.append(scroll(tag("table", heading, *bodies), _caption(results)))
    return join(tables)


def _columns(
    metric: str, results: Sequence[Mapping[str, Any]], palette: Palette
) -> dict[str, tuple[str, list[str]]]:
    """Cells by heading, with the class of the column; a column of empty cells is left out."""
    return {
        "model": (
            "name",
            [tag("span", palette.swatch(r["model"]), r["model"], class_="model") for r in results],
        ),
        axis_label(metric): ("figure", [interval(over_seeds(r["final"][metric])) for r in results]),
        "chance": (
            "figure",
            [number(r["chance"][metric]) if metric in r["chance"] else "" for r in results],
        ),
        "best baseline": ("figure", [_best_baseline(metric, r) for r in results]),
        "parameters": ("figure", [count(r["parameters"]) for r in results]),
        "steps to solve": ("figure", [_steps_to_solve(r) for r in results]),
        "half-life of influence, before → after (steps)": (
            "figure",
            [_half_lives(r) for r in results],
        ),
        "seconds": ("figure", [_seconds(r) for r in results]),
        "device": ("name", [r["device"] for r in results]),
    }


def _caption(results: Sequence[Mapping[str, Any]]) -> str:
    seeds = sorted({len(result["seeds"]) for result in results})
    many = " to ".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1])))
    coverage = summary([float(i) for i in range(seeds[0])]).coverage
    note = (
        "median [interval] over"
        if coverage >= 0.95
        else f"median [range; it covers the true median with probability {coverage:.1%}] over"
    )
    return f"Held-out, last weights; {note} {many} seed{'s' * (seeds[-1] > 1)}."


def _best_baseline(metric: str, result: Mapping[str, Any]) -> str:
    scores = {
        n: float(s[metric]) for n, s in result["baselines"].items() if s.get(metric) is not None
    }
    if not scores:
        return ""
    best = (max if result["higher_is_better"] else min)(scores, key=scores.__getitem__)
    return f"{number(scores[best])} ({best})"


def _steps_to_solve(result: Mapping[str, Any]) -> str:
    solved = result["solved_step"]
    if not solved or result.get("solved_at") is None:
        return ""
    reached = [step for step in solved if step is not None]
    share = f"{len(reached)} of {len(solved)} seeds"
    middle = summary([math.inf if step is None else float(step) for step in solved]).median
    if not reached:
        return f"never ({share})"
    return f"{count(middle) if math.isfinite(middle) else '–'} ({share})"


def _half_lives(result: Mapping[str, Any]) -> str:
    moments = result["probes"].get("influence", {})
    shown = [
        number(over_seeds(moments[when]["half_life"]).median)
        for when in ("before", "after")
        if moments.get(when, {}).get("half_life")
    ]
    return " → ".join(shown)


def _seconds(result: Mapping[str, Any]) -> str:
    total = result["seconds"].get("total")
    return "" if total is None else number(float(total))


def coefficients(results: Sequence[Mapping[str, Any]], palette: Palette) -> Markup:
    """Tabulate what each past value counts for, a column per model.

    Args:
        results: results, of which those with the coefficients probe are taken.
        palette: colour of each model.

    Returns:
        The table; empty where none has the probe.
    """
    results = [r for r in results if r["probes"].get("coefficients", {}).get("after")]
    if not results:
        return join(())
    columns = []
    for result in results:
        probe = result["probes"]["coefficients"]["after"]
        seeds = zip(*probe["coefficient"], strict=True)
        columns.append(dict(zip(probe["lag"], seeds, strict=True)))
    lags = sorted({lag for column in columns for lag in column})
    rows = [
        tag(
            "tr",
            tag("td", number(lag)),
            *(
                tag("td", interval(over_seeds(c[lag])) if lag in c else "–", class_="figure")
                for c in columns
            ),
        )
        for lag in lags
    ]
    many_tasks = len({result["task"] for result in results}) > 1
    head = [
        tag(
            "th",
            palette.swatch(result["model"]),
            f" {result['model']}" + (f", {result['task']}" if many_tasks else ""),
            class_="figure",
            scope="col",
        )
        for result in results
    ]
    heading = tag("tr", tag("th", "lag (steps)", scope="col"), *head)
    caption = "Coefficient of each past value; median [interval] over seeds."
    return scroll(tag("table", tag("thead", heading), tag("tbody", *rows)), caption)


def baselines(results: Sequence[Mapping[str, Any]]) -> Markup:
    """Tabulate models beside their baselines in every metric, best first, one table per task.

    Args:
        results: results; tasks without baselines are left out.

    Returns:
        The tables.
    """
    tables = []
    for task in dict.fromkeys(r["task"] for r in results if r["baselines"]):
        own = [r for r in results if r["task"] == task]
        first, metric = own[0], own[0]["metric"]
        names = [metric, *(name for name in first["final"] if name != metric)]
        rungs = [(name, scores) for name, scores in first["baselines"].items()]
        rungs.append(("chance", first["chance"]))
        ladder = [
            (
                float(scores[metric]),
                name,
                [scored(scores[n]) if n in scores else "–" for n in names],
            )
            for name, scores in rungs
            if metric in scores
        ]
        for r in own:
            measured = [over_seeds(r["final"][name]) for name in names]
            ladder.append((measured[0].median, r["model"], [interval(m) for m in measured]))
        ladder.sort(key=lambda rung: rung[0], reverse=first["higher_is_better"])
        rows = [
            tag("tr", tag("td", name), *(tag("td", cell, class_="figure") for cell in cells))
            for _, name, cells in ladder
        ]
        head = (tag("th", axis_label(name), class_="figure", scope="col") for name in names)
        heading = tag("tr", tag("th", "predictor", scope="col"), *head)
        caption = (
            f"The models and their baselines on {task}, best first; median [interval] over seeds."
        )
        tables.append(scroll(tag("table", tag("thead", heading), tag("tbody", *rows)), caption))
    return join(tables)


def unfinished(run: Run) -> Markup:
    """List the trials that have no result, each with its reason.

    Args:
        run: the experiment.

    Returns:
        The table; empty where every trial finished.
    """
    rows = [
        (trial.model or "–", trial.task or "–", trial.id, trial.status, trial.reason)
        for trial in run.trials
        if not trial.result
    ]
    if not rows:
        return join(())
    heading = ("model", "task", "trial", "status", "reason")
    return plain(heading, rows, f"{len(rows)} of {len(run.trials)} trials have no result.")


def plain(heading: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> Markup:
    """Lay out rows of text.

    Args:
        heading: names of the columns.
        rows: cells; text, or a `td` element.
        caption: what stands above the table.

    Returns:
        The table.
    """
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in heading)))
    body = tag("tbody", *(tag("tr", *map(cell, row)) for row in rows))
    return scroll(tag("table", head, body), caption)


def cell(value: object) -> Markup:
    """Make a cell that breaks its text only where it is a sentence.

    Args:
        value: text; an element passes unchanged.

    Returns:
        The `td` element.
    """
    if isinstance(value, Markup):
        return value
    return tag("td", value, class_="text" if len(str(value)) > _SENTENCE else "name")


def scroll(table: Markup, caption: str = "") -> Markup:
    """Let a wide table move sideways by itself, so that a narrow page does not.

    Args:
        table: the table.
        caption: what stands above it, and stays in sight.

    Returns:
        Its frame.
    """
    above = tag("p", caption, class_="caption") if caption else ""
    return join((above, tag("div", table, class_="scroll", tabindex=0)))
