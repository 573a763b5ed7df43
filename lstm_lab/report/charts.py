"""Which charts an experiment has, in the order of the page, and how one becomes a figure with its legend."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from lstm_lab.report import figures, lengths, panels, published, solving
from lstm_lab.report.battery import Battery, families
from lstm_lab.report.load import Run, Trial
from lstm_lab.report.markup import Markup, tag
from lstm_lab.report.numbers import over_seeds, scored
from lstm_lab.report.ranking import caption, diagram, standing, table
from lstm_lab.report.svg import Palette

Item = TypeVar("Item")
Key = TypeVar("Key")
Result = dict[str, Any]

# More panels than these, such as learning curves of a whole battery, wait for a click.
_MOST_OPEN = 4


class Chart(NamedTuple):
    """One figure: panels under a title, with a legend of the models in them.

    Attributes:
        title: a sentence that names it, then how to read it.
        panels: their titles, empty for none, and figures.
        models: in the legend, each with what stands beside it; none where the drawing names them.
        fold: what it is called while folded; empty where it stands open.
        shown: whether it is unfolded at first.
        below: a table of the same numbers.
    """

    title: str
    panels: Sequence[tuple[str, Markup]]
    models: Mapping[str, str] = MappingProxyType({})
    fold: str = ""
    shown: bool = False
    below: Markup = Markup("")


def overview(run: Run, grid: Battery, palette: Palette) -> list[Chart]:
    """The charts that sum a battery up.

    Args:
        run: the experiment.
        grid: its models and tasks.
        palette: colour of each model.

    Returns:
        The ranking, and the steps to solve, as far as there is something to say.
    """
    charts = []
    if found := standing(grid):
        title = f"{caption(found)} A bar stands beside models that are not told apart."
        panel = diagram(found.ranking, palette)
        charts.append(Chart(title, [("", panel)], below=table(found, palette)))
    by_task = solving.by_task(run.chosen)
    ever = {task: own for task, own in by_task.items() if any(one.solved for one in own.values())}
    if ever:
        drawn = [(task, solving.curves(own, task, palette)) for task, own in ever.items()]
        never = [task for task in by_task if task not in ever]
        title = solving.CAPTION + (f" Never solved by any: {', '.join(never)}." if never else "")
        models = _plain(m for m in palette if any(m in own for own in ever.values()))
        charts.append(Chart(title, drawn, models, below=solving.medians(by_task, palette)))
    return charts


def charts(run: Run, palette: Palette) -> list[Chart]:
    """The charts of any experiment.

    Args:
        run: the experiment.
        palette: colour of each model.

    Returns:
        Those it has the numbers for.
    """
    return [
        *_trained_at_each_length(run.results, palette),
        *_examined_elsewhere(run.results, palette),
        *_probed(run.results, palette),
        *_continued(run.results, palette),
        *_published(run.chosen, palette),
        *_learning(run.chosen, palette),
    ]


def _trained_at_each_length(results: Sequence[Result], palette: Palette) -> list[Chart]:
    charts = []
    kinds = families(list(dict.fromkeys(r["task"] for r in results)))
    for (family, metric), members in _group(results, lambda r: (kinds[r["task"]][0], r["metric"])):
        if len({lengths.extent(r)[1] for r in members} - {0.0}) < 2:
            continue
        panel = lengths.against_length(members, metric, palette)
        name = next(filter(None, (lengths.extent(r)[0] for r in members)))
        kind = family.removesuffix(f" {name}")
        title = f"{metric.capitalize()} against {name}, {kind}. Median over seeds, interval."
        charts.append(Chart(title, [("", panel)], _models(members)))
    return charts


def _examined_elsewhere(results: Sequence[Result], palette: Palette) -> list[Chart]:
    drawn, seen = [], []
    for task, members in _by_task([r for r in results if len(lengths.everywhere(r)) > 1]):
        trained = lengths.extent(members[0])[1]
        points = [point for result in members for point in lengths.everywhere(result)]
        metric = members[0]["metric"]
        points = [point for point in points if point["metric"] == metric]
        panel = lengths.against_length(points, metric, palette, trained, lengths.SMALL)
        drawn.append((task, panel))
        seen += members
    if not drawn:
        return []
    title = (
        "Longer than trained. The trained networks on sequences of other lengths than the one they were "
        "trained at, which is the dotted line; dashed is chance. Median over seeds."
    )
    return [Chart(title, drawn, _models(seen))]


def _probed(results: Sequence[Result], palette: Palette) -> list[Chart]:
    charts = []
    for task, members in _by_task(results):
        drawn = panels.panels(members, palette)
        if drawn:
            spread = ", and range" if len(members) <= figures.CROWD else ""
            title = f"Probes, {task}. Median over seeds{spread}. {panels.reading(members)}"
            scores = {r["model"]: _score(r) for r in members}
            charts.append(Chart(title, drawn, scores, fold=f"probes, {task}"))
    # The last task, the farthest, stands open; the others ask for a click.
    return [*charts[:-1], *(chart._replace(shown=True) for chart in charts[-1:])]


def _continued(results: Sequence[Result], palette: Palette) -> list[Chart]:
    charts = []
    for task, members in _by_task([r for r in results if after(r, "continuation")]):
        drawn = [*zip(("values", "errors"), figures.continuation(members, palette), strict=True)]
        title = f"Sequences continued by the models themselves, {task}. Median over seeds."
        charts.append(Chart(title, drawn, _models(members)))
    return charts


def _published(trials: Sequence[Trial], palette: Palette) -> list[Chart]:
    charts = []
    for task, own in _group([t for t in trials if t.result.get("published")], lambda t: t.task):
        if found := published.trace(own, palette):
            panel, table = found
            title = published.caption(own[0].result["published"])
            models = _plain(trial.model for trial in own)
            charts.append(Chart(title, [(task, panel)], models, below=table))
    return charts


def _learning(trials: Sequence[Trial], palette: Palette) -> list[Chart]:
    curves = [
        (task, curve)
        for task, own in _group(trials, lambda trial: trial.task)
        if (curve := figures.learning_curves(own, _metric_of(own), palette))
    ]
    if not curves:
        return []
    title = "Learning curves, validation. Median over seeds, from the lowest to the highest."
    models = _plain(dict.fromkeys(trial.model for trial in trials if trial.model and trial.rows))
    fold = f"learning curves, {len(curves)} tasks" if len(curves) > _MOST_OPEN else ""
    return [Chart(title, curves, models, fold)]


def figure(chart: Chart, palette: Palette) -> Markup:
    """Put a chart on the page.

    Args:
        chart: what is drawn.
        palette: colour of each model.

    Returns:
        Its figure, folded or not.
    """
    legend = [
        tag(
            "span", palette.swatch(model), model, tag("b", beside) if beside else "", class_="model"
        )
        for model, beside in chart.models.items()
    ]
    cards = [
        tag("div", tag("p", name, class_="panel-title") if name else "", svg, class_="panel")
        for name, svg in chart.panels
    ]
    drawn = tag(
        "figure",
        tag("figcaption", chart.title),
        tag("p", *legend, class_="legend") if legend else "",
        tag("div", *cards, class_="panels"),
        chart.below,
    )
    if not chart.fold:
        return drawn
    return tag(
        "details", tag("summary", chart.fold), drawn, **({"open": ""} if chart.shown else {})
    )


def file_names(run: Run, drawn: Iterable[Chart]) -> dict[str, tuple[Chart, Markup]]:
    """Name every panel, for a file of its own.

    Args:
        run: the experiment.
        drawn: its charts.

    Returns:
        Chart and panel by file name, in order.
    """
    named: dict[str, tuple[Chart, Markup]] = {}
    for chart in drawn:
        for title, panel in chart.panels:
            words = f"{run.name} {chart.title.split('. ')[0]} {title}".lower()
            stem = "-".join(re.findall(r"[a-z0-9]+", words))[:100]
            name, again = f"{stem}.svg", 1
            while name in named:
                again += 1
                name = f"{stem}-{again}.svg"
            named[name] = (chart, panel)
    return named


def after(result: Result, probe: str) -> dict[str, Any]:
    """What a probe saw after training; empty where it did not look."""
    return result["probes"].get(probe, {}).get("after") or {}


def _score(result: Result) -> str:
    """The result that the probes explain."""
    return f" {scored(over_seeds(result['final'][result['metric']]).median)}"


def _models(results: Iterable[Result]) -> dict[str, str]:
    return _plain(result["model"] for result in results)


def _plain(models: Iterable[str]) -> dict[str, str]:
    """A legend of names alone."""
    return dict.fromkeys(models, "")


def _metric_of(trials: Sequence[Trial]) -> str:
    return next((trial.result["metric"] for trial in trials if trial.result), "loss")


def _by_task(results: Sequence[Result]) -> list[tuple[str, list[Result]]]:
    return _group(results, lambda result: result["task"])


def _group(items: Iterable[Item], key: Callable[[Item], Key]) -> list[tuple[Key, list[Item]]]:
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())
