"""The loss of training, epoch by epoch, beside what others have published of the same."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_lab.report.figures import band
from lstm_lab.report.load import Trial
from lstm_lab.report.markup import Markup, tag
from lstm_lab.report.numbers import over_seeds
from lstm_lab.report.rows import figures, plain
from lstm_lab.report.svg import INK, Palette, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def by_epoch(trial: Trial) -> np.ndarray:
    """Average a trial's training loss as the published one was.

    Args:
        trial: one whose result has something published beside it.

    Returns:
        The loss over each whole epoch, [S, E], NaN after a seed has stopped; E may be 0.
    """
    published = trial.result["published"]
    steps, means = trial.curve("loss", "train")
    every = int(published["every"])
    # A row is the mean of the steps since the one before it.
    lengths = np.diff(steps, prepend=0)
    wanted = every * np.arange(1, len(published["values"]) + 1)
    ends = [end for end in wanted if end in steps]
    if not ends:
        return np.empty((len(means), 0))
    epochs = []
    for end in ends:
        within = (steps > end - every) & (steps <= end)
        losses = np.repeat(means[:, within], lengths[within], axis=1)
        if published["running"]:
            losses = np.cumsum(losses, axis=1) / np.arange(1, losses.shape[1] + 1)
        epochs.append(losses.mean(axis=1))
    return np.stack(epochs, axis=1)


def trace(trials: Sequence[Trial], palette: Palette) -> tuple[Markup, Markup] | None:
    """Draw and tabulate the training loss by epoch.

    Args:
        trials: trials of one task.
        palette: colour of each model.

    Returns:
        The panel, where the published loss is dashed, and its table; None where nothing is published, or no
        epoch whole.
    """
    ours = {t.model: by_epoch(t) for t in trials if t.result.get("published")}
    ours = {model: rows for model, rows in ours.items() if rows.size}
    if not ours:
        return None
    published = next(t.result["published"] for t in trials if t.result.get("published"))
    theirs = [float(value) for value in published["values"]]

    def paint(axes: "Axes") -> None:
        axes.plot(range(1, len(theirs) + 1), theirs, color=INK, linestyle="--", linewidth=1)
        axes.annotate(published["name"], (len(theirs), theirs[-1]), (0, 12),
                      textcoords="offset points", ha="right")  # fmt: skip
        for model, rows in ours.items():
            band(axes, np.arange(1, rows.shape[1] + 1), rows, palette.style(model))
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("epoch")
        axes.set_ylabel("training loss (nats)")

    count = max(rows.shape[1] for rows in ours.values())
    rows = [
        (
            tag("td", str(epoch + 1), class_="figure"),
            tag("td", f"{theirs[epoch]:.4f}", class_="figure"),
            *(tag("td", _said(own, epoch), class_="figure") for own in ours.values()),
        )
        for epoch in range(count)
    ]
    table = plain(
        figures("epoch", published["name"], *ours), rows, f"Published: {published['source']}."
    )
    return draw(paint, "training loss against epochs", (5.2, 3.0)), table


def _said(rows: np.ndarray, epoch: int) -> str:
    """Median and interval of one epoch."""
    if epoch >= rows.shape[1]:
        return "–"
    found = over_seeds([None if np.isnan(loss) else float(loss) for loss in rows[:, epoch]])
    return f"{found.median:.4f} [{found.low:.4f}, {found.high:.4f}]"


def caption(published: dict[str, Any]) -> str:
    """Say what the panel shows.

    Args:
        published: as in a result.
    """
    averaged = (
        "the mean over an epoch's steps of the mean loss up to each, as it was printed there"
        if published["running"]
        else "the mean over an epoch's steps"
    )
    return f"Training loss beside what was published, dashed: {averaged}. Median over seeds, and range."
