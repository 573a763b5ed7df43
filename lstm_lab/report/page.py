"""One HTML file: the answers, then each experiment with its tables and figures, then the claims.

The page asks for nothing: no script, no network, and a policy that forbids both, so it can be
mailed, archived and opened anywhere.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from lstm_lab.claims import Finding
from lstm_lab.report import tables
from lstm_lab.report.battery import battery
from lstm_lab.report.charts import after, charts, figure, file_names, overview
from lstm_lab.report.every_trial import every_trial
from lstm_lab.report.findings import answers, claims
from lstm_lab.report.heat import heat_map
from lstm_lab.report.load import Run
from lstm_lab.report.markup import Markup, join, tag
from lstm_lab.report.svg import Palette, standalone

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
    head = join((Markup(_HEAD), tag("title", "lstm_lab report"), tag("style", Markup(style()))))
    trials = [trial for run in runs for trial in run.trials]
    finished = sum(bool(trial.result) for trial in trials)
    failed = sum(trial.failed for trial in trials)
    summary = (
        f"{len(runs)} experiment{'s' * (len(runs) != 1)}, {finished} of {len(trials)} trials finished"
        + (f", {failed} failed." if failed else ".")
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
    grid = battery(run)
    drawn = [*(overview(run, grid, palette) if grid else ()), *charts(run, palette)]
    return {
        name: standalone(panel, chart.models if len(chart.models) > 1 else (), palette, colours())
        for name, (chart, panel) in file_names(run, drawn).items()
    }


def colours() -> str:
    """The page's CSS variables, in light and in dark, for a drawing that stands alone."""
    variables = r"@media \(prefers[^{]*\{\s*:root \{[^}]*\}\s*\}|:root \{[^}]*\}"
    return "".join(re.findall(variables, style()))


def style() -> str:
    """The page's style sheet."""
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
        *_overview(run, palette),
        tables.baselines(run.results),
        tables.unfinished(run),
        tables.coefficients(run.results, palette),
        *(figure(chart, palette) for chart in charts(run, palette)),
        *_samples(run),
        every_trial(run, palette),
        tag("details", tag("summary", "definition"), tag("pre", definition))
        if run.experiment
        else "",
    )


def _overview(run: Run, palette: Palette) -> list[Markup]:
    """What was measured; of a battery as a map first, and its rows folded."""
    rows = tables.trials(run, palette)
    grid = battery(run)
    if grid is None:
        return [rows]
    drawn = [figure(chart, palette) for chart in overview(run, grid, palette)]
    folded = tag("details", tag("summary", "every model on every task, in figures"), rows)
    return [heat_map(grid, palette), *drawn, folded]


def _samples(run: Run) -> list[Markup]:
    blocks = []
    for result in run.results:
        sample = after(result, "text_sample")
        if sample:
            prompt, text = str(sample.get("prompt", "")), str(sample.get("text", ""))
            settings = ", ".join(
                f"{name} {sample[name]}" for name in ("temperature", "seed") if name in sample
            )
            title = f"{result['model']} writes, {settings}. The prompt is in bold."
            written = tag("pre", tag("b", prompt), text.removeprefix(prompt), class_="sample")
            blocks.append(tag("figure", tag("figcaption", title), written))
    return blocks


def _section(title: str, *content: Markup) -> Markup:
    return tag("section", tag("h2", title), *content, class_="claims-section")
