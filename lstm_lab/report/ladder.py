"""The ladder of a task: the models among predictors that need no network, best first, in every metric."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lstm_lab.report.figures import axis_label
from lstm_lab.report.numbers import interval, over_seeds, scored


class Ladder(NamedTuple):
    """A table of one task.

    Attributes:
        caption: what it shows.
        heading: names of the columns, the first that of the predictors.
        rows: cells as text.
    """

    caption: str
    heading: list[str]
    rows: list[list[str]]


def ladders(results: Sequence[Mapping[str, Any]]) -> Iterator[Ladder]:
    """Set models beside their baselines and chance.

    Args:
        results: results; tasks without baselines are left out.

    Yields:
        One for each task.
    """
    for task in dict.fromkeys(r["task"] for r in results if r["baselines"]):
        own = [r for r in results if r["task"] == task]
        first, metric = own[0], own[0]["metric"]
        names = [metric, *(name for name in first["final"] if name != metric)]
        rungs = [*first["baselines"].items(), ("chance", first["chance"])]
        ladder = [
            (
                float(scores[metric]),
                [name, *(scored(scores[n]) if n in scores else "–" for n in names)],
            )
            for name, scores in rungs
            if metric in scores
        ]
        for r in own:
            measured = [over_seeds(r["final"][name]) for name in names]
            ladder.append((measured[0].median, [r["model"], *map(interval, measured)]))
        ladder.sort(key=lambda rung: rung[0], reverse=first["higher_is_better"])
        caption = (
            f"The models and their baselines on {task}, best first; median [interval] over seeds."
        )
        yield Ladder(
            caption, ["predictor", *map(axis_label, names)], [cells for _, cells in ladder]
        )
