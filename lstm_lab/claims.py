"""A claim is a sentence with a number in it: which, of whom, on what, against what.

An experiment lists its claims before it runs; the report holds each against what was measured. The
figure is taken once per seed, and the verdict is read off its 95% interval over seeds
(:func:`lstm_lab.stats.summary`) and the reference r::

    relation    holds                         does not hold
    above       low > r                       high <= r
    at least    low >= r                      high < r
    below       high < r                      low >= r
    at most     high <= r                     low > r
    equal       [low, high] in [r-t, r+t]     [low, high] outside [r-t, r+t]

Anything between is ``undecided``: more seeds are needed, not a stronger word. So is what fewer than
five seeds say, and what some seeds gave no number for. A claim whose patterns select several trials
holds only where every one of them does.

Metrics and what they are held against::

    accuracy                                    held-out value of the last weights
    best:loss                                   held-out value of the best checkpoint
    longer:8:accuracy                           of the last weights, on sequences 8 times as long
    probe:influence:after:half_life             a probe's figure, one number per seed
    probe:coefficients:after:coefficient:1      its value at lag 1
    probe:continuation:after:relative_error:max its largest value over time

    0.99                        a number
    chance                      what a memoryless predictor scores, from the task
    baseline:markov order *     the strongest of the baselines that match
    model:LSTM                  another model on the same task, paired by seed

Where chance or a baseline is not known, or the trial did not finish, the claim is ``not measured``. That two models
score alike says nothing where both may be guessing: with chance inside both intervals it is ``undecided``.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

import numpy as np

from lstm_lab.errors import UsageError
from lstm_lab.stats import Summary, summary

Relation = Literal["above", "at least", "below", "at most", "equal"]
Verdict = Literal["holds", "does not hold", "undecided", "not measured"]

# Five seeds: [min, max] then covers the median in 93.8% of samples, of four in 87.5%.
_LEAST_COVERAGE = 0.9

# A conjunction: one refuted part refutes the whole, one missing part leaves it open.
_WEAKEST_FIRST: tuple[Verdict, ...] = ("does not hold", "not measured", "undecided", "holds")


def matches(pattern: str, label: str) -> bool:
    """Whether a label is the one named, or fits the shell pattern.

    Args:
        pattern: an exact label, or a pattern with ``*``, ``?`` or ``[...]``.
        label: the label of a model, a task or a baseline.

    Returns:
        True where the two agree; case counts.

    >>> matches("Recall lag *", "Recall lag 500"), matches("LSTM [2]", "LSTM [2]")
    (True, True)
    """
    return pattern == label or fnmatchcase(label, pattern)


@dataclass(frozen=True)
class Claim:
    """One statement that an experiment puts to the test.

    Args:
        statement: the claim in words, as a reader would dispute it.
        model: label or pattern of the models it speaks of.
        task: label or pattern of the tasks it speaks of.
        metric: figure that decides, per seed; see the module's table.
        relation: side of the reference on which the claim says the figure lies.
        against: reference: a number, "chance", "baseline:<pattern>" or "model:<label>".
        tolerance: half-width of "equal", in the metric's unit.
        possible: the claim is that it *can* be done, which one seed that does it settles.

    Raises:
        UsageError: the relation, the metric or the reference cannot be read.

    >>> Claim("an LSTM carries it", model="LSTM*", task="Recall lag *", relation="at least",
    ...       against=0.99).metric
    'accuracy'
    """

    statement: str
    model: str
    task: str
    metric: str = "accuracy"
    relation: Relation = "above"
    against: float | str = "chance"
    tolerance: float = 0.0
    possible: bool = False

    def __post_init__(self) -> None:
        """Refuse what could only be found wrong after hours of training."""
        for field in ("statement", "model", "task", "metric"):
            if not isinstance(value := getattr(self, field), str) or not value:
                raise UsageError(f"claim {field}: {value!r}: write a text that is not empty")
        if self.relation not in get_args(Relation):
            choices = ", ".join(get_args(Relation))
            raise UsageError(f"claim relation: {self.relation!r}: use one of {choices}")
        if (self.relation == "equal") != (self.tolerance > 0):
            raise UsageError(
                f"claim tolerance: {self.tolerance!r} with relation {self.relation!r}: "
                'give a positive tolerance with "equal", and none otherwise'
            )
        kind, *parts = self.metric.split(":")
        depth = {"probe": (3, 4), "best": (1,), "longer": (2,)}.get(kind, (0,))
        if len(parts) not in depth or "" in parts:
            raise UsageError(
                f"claim metric: {self.metric!r}: write <metric>, best:<metric>, longer:<times>:<metric> or "
                "probe:<probe>:<before or after>:<field>[:<lag> or :max]"
            )
        if isinstance(self.against, str):
            self._check_reference(kind == "probe")
        elif not math.isfinite(self.against):
            raise UsageError(f"claim against: {self.against!r}: give a finite number")

    def _check_reference(self, of_probe: bool) -> None:
        kind, _, name = str(self.against).partition(":")
        if not (kind == "chance" and not name) and not (kind in ("baseline", "model") and name):
            raise UsageError(
                f"claim against: {self.against!r}: "
                "give a number, chance, baseline:<name> or model:<label>"
            )
        if of_probe and kind != "model":
            raise UsageError(
                f"claim against: {self.against!r} for {self.metric!r}: "
                "a probe has no chance line and no baseline; give a number or model:<label>"
            )

    def selects(self, model: str, task: str) -> bool:
        """Whether this claim speaks of a trial.

        Args:
            model: the trial's model label.
            task: the trial's task label.

        Returns:
            True where both fit.
        """
        return matches(self.model, model) and matches(self.task, task)


@dataclass(frozen=True)
class Evidence:
    """What one trial says about a claim.

    Args:
        model: label of the trial's model.
        task: label of the trial's task.
        measured: median and interval over seeds; of the paired difference where `paired`.
        reference: what it is held against; 0 where `paired`; NaN where unknown.
        opponent: the reference in words, such as "chance" or "markov order 3".
        paired: whether the figure is the difference from another model, seed by seed.
        verdict: what this trial alone decides.
    """

    model: str
    task: str
    measured: Summary | None
    reference: float
    opponent: str
    paired: bool
    verdict: Verdict


@dataclass(frozen=True)
class Finding:
    """A claim with its verdict.

    Args:
        claim: the claim.
        verdict: the weakest verdict of its trials; "not measured" where there are none.
        evidence: one entry per selected trial.
    """

    claim: Claim
    verdict: Verdict
    evidence: tuple[Evidence, ...]


def judge(claim: Claim, results: Sequence[Mapping[str, Any]]) -> Finding:
    """Hold a claim against the results of its experiment.

    Args:
        claim: the claim.
        results: contents of the `result.json` files; a trial that did not finish is an entry with
            only "model" and "task".

    Returns:
        The verdict, with what each selected trial measured.
    """
    selected = [r for r in results if claim.selects(r["model"], r["task"])]
    evidence = tuple(_weigh(claim, result, results) for result in selected)
    verdicts = {part.verdict for part in evidence} or {"not measured"}
    return Finding(claim, next(v for v in _WEAKEST_FIRST if v in verdicts), evidence)


def per_seed(result: Mapping[str, Any], metric: str) -> dict[int, float]:
    """Look up a figure of a trial.

    Args:
        result: contents of a `result.json`.
        metric: which figure, in the words of the module's table.

    Returns:
        Value by seed, NaN where the run recorded null; empty where it was not recorded at all.

    >>> per_seed({"seeds": [0, 1], "final": {"accuracy": [0.5, None]}}, "accuracy")
    {0: 0.5, 1: nan}
    """
    kind, *path = metric.split(":")
    try:
        if kind == "longer":
            column = _longer(result, int(path[0]))["scores"][path[1]]
        elif kind != "probe":
            column = result["best"][path[0]] if kind == "best" else result["final"][metric]
        else:
            probe = result["probes"][path[0]][path[1]]
            column = _reduce(np.array(probe[path[2]], float), path[3:], probe)
        # float() of a row, where the claim forgot to say which of its numbers, is a TypeError.
        values = [math.nan if value is None else float(value) for value in column]
        return dict(zip(result["seeds"], values, strict=True))
    except (KeyError, IndexError, StopIteration, TypeError, ValueError):
        return {}


def _longer(result: Mapping[str, Any], times: int) -> Mapping[str, Any]:
    """What was found on sequences so many times as long as those of training; a KeyError where nothing was."""
    own = result["task_config"]
    extent = next(name for name in ("lag", "length") if name in own)
    found = {entry["task_config"][extent]: entry for entry in result["elsewhere"]}
    return found[times * own[extent]]


def _reduce(rows: np.ndarray, how: list[str], probe: Mapping[str, Any]) -> np.ndarray:
    if not how:
        return rows
    return rows.max(axis=1) if how == ["max"] else rows[:, probe["lag"].index(int(how[0]))]


def _weigh(
    claim: Claim, result: Mapping[str, Any], results: Iterable[Mapping[str, Any]]
) -> Evidence:
    values = per_seed(result, claim.metric)
    reference, opponent, paired, guessing = math.nan, str(claim.against), False, False
    if not isinstance(claim.against, str):
        reference, opponent = float(claim.against), f"{claim.against:g}"
    elif claim.against.startswith("model:"):
        opponent, paired, reference = claim.against.removeprefix("model:"), True, 0.0
        other = _opponent(opponent, result["task"], results)
        theirs = per_seed(other, claim.metric)
        guessing = _guesses(claim.metric, result) and _guesses(claim.metric, other)
        values = {seed: values[seed] - theirs[seed] for seed in values if seed in theirs}
    else:
        reference, opponent = _yardstick(claim, result)
    known = bool(values) and math.isfinite(reference)
    measured = summary(list(values.values())) if known else None
    verdict = _verdict(claim, measured, reference) if measured else "not measured"
    if guessing and verdict == "holds" and _side(claim, 0.0, 0.0, 0.0) == "holds":
        verdict = "undecided"
    if claim.possible and any(_side(claim, v, v, reference) == "holds" for v in values.values()):
        verdict = "holds"
    return Evidence(result["model"], result["task"], measured, reference, opponent, paired, verdict)


def _opponent(model: str, task: str, results: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What another model did on the same task; nothing where it has no result."""
    return next((r for r in results if r["model"] == model and r["task"] == task), {})


def _guesses(metric: str, result: Mapping[str, Any]) -> bool:
    """Whether chance lies inside the interval of what a model scored."""
    values = per_seed(result, metric)
    if not values:
        return False
    found = summary(list(values.values()))
    return found.low <= _chance(metric, result) <= found.high


def _chance(metric: str, result: Mapping[str, Any]) -> float:
    """What a memoryless predictor scores; NaN where that is not known."""
    kind, *path = metric.split(":")
    if kind == "probe":
        return math.nan
    try:
        chance = (_longer(result, int(path[0])) if kind == "longer" else result)["chance"]
    except (KeyError, StopIteration, ValueError):
        return math.nan
    return _number(chance.get(path[-1] if path else kind))


def _yardstick(claim: Claim, result: Mapping[str, Any]) -> tuple[float, str]:
    kind, _, pattern = str(claim.against).partition(":")
    if kind == "chance":
        return _chance(claim.metric, result), "chance"
    metric = claim.metric.rpartition(":")[2]
    scores = {
        name: value
        for name, score in result.get("baselines", {}).items()
        if matches(pattern, name) and math.isfinite(value := _number(score.get(metric)))
    }
    if not scores:
        return math.nan, pattern
    # The strongest opponent is the hardest to beat on the side that the claim names.
    strongest = max if claim.relation in ("above", "at least") else min
    name = strongest(scores, key=scores.__getitem__)
    return scores[name], name


def _verdict(claim: Claim, measured: Summary, reference: float) -> Verdict:
    if measured.coverage < _LEAST_COVERAGE or measured.missing:
        return "undecided"
    return _side(claim, measured.low, measured.high, reference)


def _side(claim: Claim, low: float, high: float, reference: float) -> Verdict:
    """On which side of the reference an interval lies."""
    slack = claim.tolerance
    holds, fails = {
        "above": (low > reference, high <= reference),
        "at least": (low >= reference, high < reference),
        "below": (high < reference, low >= reference),
        "at most": (high <= reference, low > reference),
        "equal": (
            low >= reference - slack and high <= reference + slack,
            low > reference + slack or high < reference - slack,
        ),
    }[claim.relation]
    return "holds" if holds else "does not hold" if fails else "undecided"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
