"""Units that track something: how well one number of the state, alone, says what holds in the text.

Of yes or no it is the balanced accuracy of a threshold, the mean of the fractions of yes and of no named right; of an
amount x the R² of a line, 1 - Σ(x - x̂)² / Σ(x - x̄)². The threshold or line of every unit is fitted to a part of the
training text, and the unit that fits best is chosen there. It alone is then scored on held-out text, so that having
chosen among many flatters no score. Beside it stands the best unit of the untrained network, found the same way: what
the last few symbols, echoing in any recurrent network, tell by themselves.

The interval is the bootstrap's of `stats/resampling.py` over contiguous blocks of the held-out text, because
neighbouring symbols are no independent examples: blocks longer than what correlates them (H. Künsch, "The jackknife
and the bootstrap for general stationary observations", 1989).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from lstm_lab.inspect.labels import labels_of
from lstm_lab.inspect.states import Leaf, states
from lstm_lab.stats import Interval, bootstrap

if TYPE_CHECKING:
    from lstm_lab.architecture import Architecture
    from lstm_lab.text.vocabulary import Vocabulary

# Symbols of either text that are read first and count for nothing: the network starts without a past.
CONTEXT = 500
# Those that count, at most.
SYMBOLS = 10_000
BLOCKS = 20
# In fewer blocks than these a label is too rare to be scored.
SOME = 5


class Tracked(NamedTuple):
    """How well a unit tells a label.

    Attributes:
        leaf: which of the leaves.
        place: of the unit among the leaf's K numbers.
        score: balanced accuracy or R² on held-out text.
        interval: 95%, of the score.
    """

    leaf: int
    place: int
    score: float
    interval: Interval


def track(leaves: Sequence[Leaf], labels: Mapping[str, np.ndarray]) -> dict[str, Tracked]:
    """Find the unit that tells each label best.

    Args:
        leaves: states `[2, N, K]` after the symbols of two texts, one to fit and choose on and one to score on.
        labels: bool or float `[2, N]` each.

    Returns:
        The unit of each label, but for those that hardly vary in one of the texts.
    """
    told = {name: label for name, label in labels.items() if all(map(_varies, label))}
    best: dict[str, tuple[int, _Line]] = {}
    for n, leaf in enumerate(leaves):
        values = leaf.value[0].astype(np.float64)
        order = np.argsort(values, axis=0)
        ascending = np.take_along_axis(values, order, axis=0)
        for name, label in told.items():
            yes_or_no = label.dtype == bool
            line = _threshold(ascending, order, label[0]) if yes_or_no else _line(values, label[0])
            if name not in best or line.score > best[name][1].score:
                best[name] = n, line
    return {
        name: Tracked(n, line.place, *_scored(line.of(leaves[n].value[1]), told[name][1]))
        for name, (n, line) in best.items()
    }


class _Line(NamedTuple):
    """The best unit of a leaf and what was fitted to it: a line, or a threshold as one above zero for yes."""

    place: int
    score: float
    slope: float
    offset: float

    def of(self, values: np.ndarray) -> np.ndarray:
        """What it says after each symbol, of values `[N, K]`."""
        return self.slope * values[:, self.place] + self.offset


def _line(values: np.ndarray, label: np.ndarray) -> _Line:
    """Least squares for each unit of `[N, K]`."""
    middle, amount = values.mean(axis=0), label - label.mean()
    squares = np.sum((values - middle) ** 2, axis=0)
    product = amount @ (values - middle)
    slope = product / np.where(squares > 0, squares, 1)
    score = slope * product / np.sum(amount**2)
    k = int(score.argmax())
    return _Line(k, score[k], slope[k], label.mean() - slope[k] * middle[k])


def _threshold(ascending: np.ndarray, order: np.ndarray, label: np.ndarray) -> _Line:
    """The cut and direction of the best balanced accuracy, over units `[N, K]` that were put in this order."""
    yes = np.cumsum(label[order], axis=0, dtype=np.int32)[:-1]
    no = np.arange(1, len(label))[:, None] - yes
    # Twice the accuracy, less 1, of saying yes above the place.
    gain = no / np.sum(~label) - yes / np.sum(label)
    # No cut parts equal values.
    gain[ascending[1:] == ascending[:-1]] = 0
    cut, k = np.unravel_index(np.abs(gain).argmax(), gain.shape)
    direction = 1.0 if gain[cut, k] >= 0 else -1.0
    middle = ascending[cut : cut + 2, k].mean()
    return _Line(int(k), (1 + abs(gain[cut, k])) / 2, direction, -direction * middle)


def _scored(said: np.ndarray, label: np.ndarray) -> tuple[float, Interval]:
    """The score of what was said `[N]`, and its interval."""
    if label.dtype == bool:
        yes = said > 0
        parts = np.stack([label & yes, label, ~label & ~yes, ~label])
    else:
        parts = np.stack([(label - said) ** 2, label**2, label, np.ones(len(label))])
    blocks = _blocks(parts).sum(axis=-1, dtype=float)

    def score(chosen: np.ndarray, axis: int) -> np.ndarray:
        a, b, c, d = blocks[:, np.asarray(chosen, int)].sum(axis=axis)
        if label.dtype == bool:
            return (a / np.maximum(b, 1) + c / np.maximum(d, 1)) / 2
        return 1 - a / np.maximum(b - c**2 / d, np.finfo(float).tiny)

    every = np.arange(BLOCKS, dtype=float)
    return float(score(every, -1)), bootstrap(every, score)


def _varies(label: np.ndarray) -> bool:
    """Whether there is enough of a label `[N]`, and enough without it."""
    blocks = _blocks(label)
    return min((blocks > 0).any(axis=-1).sum(), (blocks <= 0).any(axis=-1).sum()) >= SOME


def _blocks(values: np.ndarray) -> np.ndarray:
    """Cut `[..., N]` into contiguous blocks `[..., BLOCKS, n]`; what is left over at the end is left out."""
    n = values.shape[-1] // BLOCKS
    return values[..., : n * BLOCKS].reshape(*values.shape[:-1], BLOCKS, n)


class Row(NamedTuple):
    """What was found for one label.

    Attributes:
        label: its name.
        measure: "balanced accuracy" or "R²".
        chance: what saying always the same scores.
        layer: that of the unit that tells it best.
        name: the unit's leaf, such as "c".
        unit: its number there.
        trained: how well it does.
        untrained: how well the best unit of the untrained network does.
    """

    label: str
    measure: str
    chance: float
    layer: int
    name: str
    unit: int
    trained: Tracked
    untrained: Tracked


def survey(network: "Architecture", params: Any, data: Any, vocabulary: "Vocabulary") -> list[Row]:
    """Find the unit that tells each label best.

    Args:
        network: a model of text.
        params: one seed's parameters.
        data: what the task's `load` returned: units are chosen on the beginning of its training part, and scored on
            that of its validation part.
        vocabulary: of the ids.

    Returns:
        The labels that vary in both texts, what training added most to first; none where there is too little text.
    """
    N = min(CONTEXT + SYMBOLS, *(len(data[part]) for part in ("train", "validation")))
    texts = np.stack([np.asarray(data[part][:N], np.int32) for part in ("train", "validation")])
    if N < CONTEXT + BLOCKS:
        return []
    told = [labels_of(vocabulary, ids) for ids in texts]
    key = jax.random.key(0)
    start = network.compiler.call("inspect start", network.init, key, once=True)
    trained, untrained = (
        [leaf._replace(value=leaf.value[:, CONTEXT:]) for leaf in states(network, own, texts)]
        for own in (params, start)
    )
    labels = {name: np.stack([of_text[name][CONTEXT:] for of_text in told]) for name in told[0]}
    best, before = track(trained, labels), track(untrained, labels)
    rows = []
    for name, found in best.items():
        leaf = trained[found.leaf]
        measure, chance = ("balanced accuracy", 0.5) if labels[name].dtype == bool else ("R²", 0.0)
        rows.append(
            Row(
                name,
                measure,
                chance,
                leaf.layer,
                leaf.name,
                int(leaf.unit[found.place]),
                found,
                before[name],
            )
        )
    return sorted(rows, key=lambda row: row.untrained.score - row.trained.score)
