"""The tables of a report in GitHub's Markdown, for papers, notes and issues."""

import math
import re
from collections.abc import Iterable, Sequence

from lstm_lab.report import heat, ranking, solving
from lstm_lab.report.battery import Battery, Column, battery
from lstm_lab.report.figures import axis_label
from lstm_lab.report.ladder import ladders
from lstm_lab.report.load import Run, Trial
from lstm_lab.report.markup import visible
from lstm_lab.report.numbers import count, interval, number, over_seeds, scored

# A character of these could begin a link, an emphasis, an element, code, a row's end or a mention.
_MARKS = re.compile(r"([\\`*_{}\[\]<>|#~$&!@]|:(?=[/\w]))")

_HEADING = ("task", "model", "metric", "score", "chance", "parameters", "steps to solve")


def to_markdown(runs: Sequence[Run]) -> bytes:
    """Write the chosen results of every experiment, and of a battery its map and its ranking.

    Args:
        runs: the experiments.

    Returns:
        The document, UTF-8.
    """
    return ("# lstm_lab report\n" + "".join(map(_experiment, runs))).encode()


def _experiment(run: Run) -> str:
    question = run.experiment.get("question")
    parts = [f"## {plain(run.name)}"]
    parts += [plain(question)] if question else []
    parts += [f"Command: {plain(run.command)}"] if run.command else []
    grid = battery(run)
    if grid:
        parts += [_map(grid), plain(f"{heat.NUMBER} {heat.bold(grid)}")]
        if found := ranking.standing(grid):
            rows = [[plain(cell) for cell in row] for row in ranking.rows(found)]
            parts += [table(("model", "mean rank", "skill"), rows)]
            alike = "; ".join(" = ".join(clique) for clique in found.ranking.cliques)
            parts += [plain(ranking.caption(found))]
            parts += [plain(f"Not told apart: {alike}.")] if alike else []
            parts += [plain(f"{ranking.SKILL_CAPTION} {heat.SKILL}")]
    finished = [trial for trial in run.chosen if trial.result]
    if finished:
        parts += [table(_HEADING, map(_row, finished))]
        parts += ["Score: median over seeds of fresh test draws [interval], last weights."]
        for ladder in ladders([trial.result for trial in finished]):
            rows = [[plain(cell) for cell in row] for row in ladder.rows]
            parts += [plain(ladder.caption), table([*map(plain, ladder.heading)], rows)]
    without = [trial for trial in run.trials if not trial.result]
    if without:
        rows = [[plain(text) for text in (t.model, t.task, t.status, t.reason)] for t in without]
        parts += [table(("model", "task", "status", "reason"), rows)]
    return "\n" + "\n\n".join(parts) + "\n"


def _map(grid: Battery) -> str:
    rows = [[plain(m), *(_square(column, m) for column in grid.columns)] for m in grid.models]
    return table(("model", *(plain(column.task) for column in grid.columns)), rows)


def _square(column: Column, model: str) -> str:
    square = column.squares[model]
    if math.isnan(square.median):
        return "–" if square.status == "finished" else plain(square.status)
    shown = scored(square.median)
    return f"**{shown}**" if model in column.marked else shown


def _row(trial: Trial) -> list[str]:
    result = trial.result
    metric = result["metric"]
    found = solving.solving(trial)
    cells = (
        trial.task,
        trial.model,
        axis_label(metric),
        interval(over_seeds(result["final"][metric])),
        number(result["chance"][metric]) if metric in result["chance"] else "–",
        count(result["parameters"]),
        solving.median(found) if found else "–",
    )
    return [plain(cell) for cell in cells]


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out cells that are Markdown already.

    Args:
        heading: names of the columns.
        rows: cells.

    Returns:
        The table, lines without a last line break.

    >>> print(table(("model", "score"), [("LSTM", "**0.9**")]))
    | model | score |
    | --- | --- |
    | LSTM | **0.9** |
    """
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(text: object) -> str:
    r"""Make any text show as it is, on one line.

    Args:
        text: anything.

    Returns:
        Markdown.

    >>> print(plain("a|b <i>*c*</i>"))
    a\|b \<i\>\*c\*\</i\>
    """
    return _MARKS.sub(r"\\\1", " ".join(visible(text).split()))
