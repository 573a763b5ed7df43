"""One HTML file: the answers, then each experiment with its tables and figures, then the claims.

The page asks for nothing: no script, no network, and a policy that forbids both, so it can be
mailed, archived and opened anywhere.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lstm_lab.claims import Finding
from lstm_lab.report import figures, tables
from lstm_lab.report.findings import answers, claims
from lstm_lab.report.load import Run, Trial
from lstm_lab.report.markup import Markup, join, tag
from lstm_lab.report.svg import Palette, standalone

Item = TypeVar("Item")

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
)


def page(runs: Sequence[Run], findings: Sequence[tuple[Run, Finding]]) -> Markup:
    """Write the whole page.

    Args:
        runs: the experiments.
        findings: each claim with its experiment and verdict.

    Returns:
        A complete HTML document.
    """
    head = join((Markup(_HEAD), tag("title", "lstm_lab report"), tag("style", Markup(_style()))))
    finished = sum(len(run.results) for run in runs)
    total = sum(len(run.trials) for run in runs)
    summary = (
        f"{len(runs)} experiment{'s' * (len(runs) != 1)}, {finished} of {total} trials finished."
    )
    body = (
        tag("header", tag("h1", "lstm_lab report"), tag("p", summary, class_="note")),
        _section("the answers", answers(findings)) if findings else "",
        *map(experiment, runs),
        _section("the claims", claims(findings), _RULE) if findings else "",
    )
    return join((head, Markup("</head>"), tag("body", tag("main", *body)), Markup("</html>\n")))


_RULE = tag(
    "p",
    "A claim holds, or does not, where the whole interval over seeds lies on one side of what it "
    "is held against, in every trial it speaks of. Fewer than five seeds decide nothing.",
    class_="note",
)


def images(run: Run) -> dict[str, str]:
    """Write the charts of one experiment as SVG documents of their own, for papers and notes.

    Args:
        run: the experiment.

    Returns:
        Documents by file name.
    """
    palette = _palette(run)
    documents = {}
    for chart in _charts(run, palette):
        for name, panel in chart.panels:
            words = re.findall(
                r"[a-z0-9]+", f"{run.name} {chart.title.split('.')[0]} {name}".lower()
            )
            legend = chart.models if len(chart.models) > 1 else ()
            documents["-".join(words) + ".svg"] = standalone(panel, legend, palette, colours())
    return documents


def colours() -> str:
    """The page's CSS variables, in light and in dark, for a drawing that stands alone."""
    variables = r"@media \(prefers[^{]*\{\s*:root \{[^}]*\}\s*\}|:root \{[^}]*\}"
    return "".join(re.findall(variables, _style()))


def _style() -> str:
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def _palette(run: Run) -> Palette:
    return Palette(trial.model for trial in run.trials if trial.model)


def experiment(run: Run) -> Markup:
    """Write one experiment.

    Args:
        run: the experiment.

    Returns:
        Its section.
    """
    palette = _palette(run)
    about = [
        (tag("dt", name), tag("dd", run.experiment[name]))
        for name in ("claim", "source")
        if run.experiment.get(name)
    ]
    if run.command:
        about.append((tag("dt", "command"), tag("dd", tag("code", run.command))))
    definition = json.dumps(run.experiment, indent=2, ensure_ascii=False)
    broken = [tag("li", reason) for reason in run.unreadable]
    return tag(
        "section",
        tag("h2", run.name),
        tag("p", run.experiment["question"], class_="question")
        if run.experiment.get("question")
        else "",
        tag("dl", *(part for pair in about for part in pair)),
        tag("ul", *broken, class_="broken") if broken else "",
        tables.trials(run, palette),
        tables.baselines(run.results),
        tables.unfinished(run),
        tables.coefficients(run.results, palette),
        *_figures(_charts(run, palette), palette),
        *_samples(run),
        tag("details", tag("summary", "definition"), tag("pre", definition))
        if run.experiment
        else "",
    )


class Chart(NamedTuple):
    """One figure: panels under a title, with a legend of the models in them.

    Attributes:
        title: a sentence that names it, then how to read it.
        panels: their titles, empty for none, and drawings.
        models: in the legend; none where the drawing names them.
        folded: shown only on demand: its like stands open beside it.
    """

    title: str
    panels: list[tuple[str, Markup]]
    models: Sequence[str] = ()
    folded: bool = False


def _charts(run: Run, palette: Palette) -> list[Chart]:
    results = run.results
    charts: list[Chart] = []
    for metric in dict.fromkeys(r["metric"] for r in results):
        own = [r for r in results if r["metric"] == metric]
        for kind, lagged in _group(own, lambda r: str(r["task_config"].get("type"))):
            if len({figures.lag_of(r) for r in lagged} - {0.0}) > 1:
                panel = figures.accuracy_against_lag(lagged, metric, palette)
                title = f"{metric.capitalize()} against lag, {kind}. Median over seeds, interval."
                charts.append(Chart(title, [("", panel)], _models(lagged)))
    charts += _probed(results, palette)
    curves = [
        (task, curve)
        for task, trials in _group(run.trials, lambda trial: trial.task)
        if (curve := figures.learning_curves(trials, _metric_of(trials), palette))
    ]
    if curves:
        title = "Learning curves, validation. Median over seeds, from the lowest to the highest."
        models = dict.fromkeys(trial.model for trial in run.trials if trial.model and trial.rows)
        charts.append(Chart(title, curves, list(models)))
    return charts


def _probed(results: Sequence[dict[str, Any]], palette: Palette) -> list[Chart]:
    influence = []
    for task, members in _by_task([r for r in results if r["probes"].get("influence")]):
        panels = [
            (f"{when} training", figures.influence(members, when, palette))
            for when in ("before", "after")
            if any(when in r["probes"]["influence"] for r in members)
        ]
        title = f"Influence of the past on the output, {task}. Median over seeds, and range."
        influence.append(Chart(title, panels, _models(members), folded=True))
    # The last task, the farthest, stands open; the others ask for a click.
    charts = [chart._replace(folded=False) for chart in influence[-1:]] + influence[:-1]
    for task, members in _by_task([r for r in results if _after(r, "continuation")]):
        names = ("values", "errors")
        panels = [*zip(names, figures.continuation(members, palette), strict=True)]
        title = f"Sequences continued by the models themselves, {task}. Median over seeds."
        charts.append(Chart(title, panels, _models(members)))
    return charts


def _samples(run: Run) -> list[Markup]:
    blocks = []
    for result in run.results:
        sample = _after(result, "text_sample")
        if sample:
            prompt, text = str(sample.get("prompt", "")), str(sample.get("text", ""))
            settings = ", ".join(
                f"{name} {sample[name]}" for name in ("temperature", "seed") if name in sample
            )
            title = f"{result['model']} writes, {settings}. The prompt is in bold."
            written = tag("pre", tag("b", prompt), text.removeprefix(prompt), class_="sample")
            blocks.append(tag("figure", tag("figcaption", title), written))
    return blocks


def _figures(charts: Sequence[Chart], palette: Palette) -> list[Markup]:
    drawn = [_figure(chart, palette) for chart in charts if not chart.folded]
    folded = [_figure(chart, palette) for chart in charts if chart.folded]
    if folded:
        what = f"the other {len(folded)} task{'s' * (len(folded) > 1)}, influence"
        at = 1 + next(n for n, c in enumerate(charts) if c.title.startswith("Influence"))
        drawn.insert(at, tag("details", tag("summary", what), *folded))
    return drawn


def _figure(chart: Chart, palette: Palette) -> Markup:
    legend = [tag("span", palette.swatch(model), model, class_="model") for model in chart.models]
    cards = [
        tag("div", tag("p", name, class_="panel-title") if name else "", svg, class_="panel")
        for name, svg in chart.panels
    ]
    return tag(
        "figure",
        tag("figcaption", chart.title),
        tag("p", *legend, class_="legend") if legend else "",
        tag("div", *cards, class_="panels"),
    )


def _section(title: str, *content: Markup) -> Markup:
    return tag("section", tag("h2", title), *content, class_="claims-section")


def _after(result: dict[str, Any], probe: str) -> dict[str, Any]:
    return result["probes"].get(probe, {}).get("after") or {}


def _models(results: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(result["model"] for result in results))


def _metric_of(trials: Sequence[Trial]) -> str:
    return next((trial.result["metric"] for trial in trials if trial.result), "loss")


def _by_task(results: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    return _group(results, lambda result: result["task"])


def _group(items: Iterable[Item], key: Callable[[Item], str]) -> list[tuple[str, list[Item]]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())
