"""The tables of the page: what was measured, beside what an uninformed predictor would score."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_lab.report.figures import axis_label
from lstm_lab.report.ladder import ladders
from lstm_lab.report.load import Run, Trial
from lstm_lab.report.markup import Markup, join, tag
from lstm_lab.report.numbers import count, interval, number, over_seeds
from lstm_lab.report.rows import plain, scroll
from lstm_lab.report.solving import median, solving
from lstm_lab.report.svg import Palette
from lstm_lab.stats import summary

# A longer list of trials without a result is folded under its count.
_MOST_OPEN = 12


def trials(run: Run, palette: Palette) -> Markup:
    """Tabulate the chosen trials that have finished, one table per headline metric, grouped by task.

    Args:
        run: the experiment.
        palette: colour of each model.

    Returns:
        The tables; empty where nothing has finished.
    """
    tables = []
    for metric in dict.fromkeys(result["metric"] for result in run.results):
        own = [t for t in run.chosen if t.result and t.result["metric"] == metric]
        results = [trial.result for trial in own]
        columns = _columns(metric, own, palette)
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
    metric: str, trials: Sequence[Trial], palette: Palette
) -> dict[str, tuple[str, list[str]]]:
    """Cells by heading, with the class of the column; a column of empty cells is left out."""
    results = [trial.result for trial in trials]
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
        "steps to solve": ("figure", [_steps_to_solve(t) for t in trials]),
        "half-life of influence, before → after (steps)": (
            "figure",
            [_half_lives(r) for r in results],
        ),
        "loss, static → dynamic evaluation (nats)": ("figure", [_dynamic(r) for r in results]),
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


def _steps_to_solve(trial: Trial) -> str:
    found = solving(trial)
    return median(found) if found else ""


def _half_lives(result: Mapping[str, Any]) -> str:
    moments = result["probes"].get("influence", {})
    shown = [
        number(over_seeds(moments[when]["half_life"]).median)
        for when in ("before", "after")
        if moments.get(when, {}).get("half_life")
    ]
    return " → ".join(shown)


def _dynamic(result: Mapping[str, Any]) -> str:
    """What learning while reading gains, on the symbols that were read both ways."""
    measured = result["probes"].get("dynamic_evaluation", {}).get("after", {})
    return " → ".join(
        interval(over_seeds(measured[how])) for how in ("static", "dynamic") if measured
    )


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
    for ladder in ladders(results):
        rows = [
            tag("tr", tag("td", name), *(tag("td", cell, class_="figure") for cell in cells))
            for name, *cells in ladder.rows
        ]
        first, *names = ladder.heading
        head = (tag("th", name, class_="figure", scope="col") for name in names)
        heading = tag("tr", tag("th", first, scope="col"), *head)
        tables.append(
            scroll(tag("table", tag("thead", heading), tag("tbody", *rows)), ladder.caption)
        )
    return join(tables)


def unfinished(run: Run) -> Markup:
    """List the trials that have no result, each with its reason.

    Args:
        run: the experiment.

    Returns:
        The table; empty where every trial finished.
    """
    without = [trial for trial in run.trials if not trial.result]
    if not without:
        return join(())
    rows = [(t.model or "–", t.task or "–", t.id, t.status, t.reason) for t in without]
    heading = ("model", "task", "trial", "status", "reason")
    said = f"{len(rows)} of {len(run.trials)} trials have no result."
    if absent := sum(trial.status == "not run" for trial in without):
        said += f" {absent} of them could not be run here, which is no failure."
    if len(rows) <= _MOST_OPEN:
        return plain(heading, rows, said)
    return tag("details", tag("summary", said), plain(heading, rows))
