"""Claims: what they select, what they read, and where the line between verdicts runs."""

import json
import math
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_lab.claims import Claim, judge, matches, per_seed
from lstm_lab.errors import UsageError


def trial(
    values: list[float | None], model: str = "LSTM", task: str = "Recall lag 50", **fields: Any
) -> dict[str, Any]:
    return {
        "model": model,
        "task": task,
        "seeds": list(range(len(values))),
        "final": {"accuracy": values},
        "chance": {"accuracy": 0.125},
        **fields,
    }


def claim(**fields: Any) -> Claim:
    return Claim(**{"statement": "s", "model": "LSTM", "task": "Recall*", **fields})


@pytest.mark.parametrize(
    ("relation", "low", "high", "verdict"),
    [
        ("above", 0.51, 0.6, "holds"),
        ("above", 0.5, 0.6, "undecided"),
        ("above", 0.4, 0.5, "does not hold"),
        ("at least", 0.5, 0.6, "holds"),
        ("at least", 0.49, 0.6, "undecided"),
        ("at least", 0.4, 0.49, "does not hold"),
        ("below", 0.4, 0.49, "holds"),
        ("below", 0.4, 0.5, "undecided"),
        ("below", 0.5, 0.6, "does not hold"),
        ("at most", 0.4, 0.5, "holds"),
        ("at most", 0.4, 0.51, "undecided"),
        ("at most", 0.51, 0.6, "does not hold"),
        ("equal", 0.41, 0.59, "holds"),
        ("equal", 0.41, 0.61, "undecided"),
        ("equal", 0.61, 0.7, "does not hold"),
        ("equal", 0.2, 0.39, "does not hold"),
    ],
)
def test_the_whole_interval_decides(relation: str, low: float, high: float, verdict: str) -> None:
    tolerance = 0.1 if relation == "equal" else 0.0
    tested = claim(relation=relation, against=0.5, tolerance=tolerance)
    middle = (low + high) / 2
    assert judge(tested, [trial([low, middle, middle, middle, high])]).verdict == verdict


@given(values=st.lists(st.floats(0, 1), min_size=5, max_size=9), reference=st.floats(0, 1), up=...)
def test_a_claim_and_its_opposite_never_both_hold(
    values: list[float], reference: float, up: bool
) -> None:
    pair = ("above", "at most") if up else ("below", "at least")
    verdicts = {
        judge(claim(relation=side, against=reference), [trial([*values])]).verdict for side in pair
    }
    assert verdicts in ({"holds", "does not hold"}, {"undecided"})


def test_chance_is_the_default_reference() -> None:
    finding = judge(claim(), [trial([0.9] * 5)])
    (part,) = finding.evidence
    assert finding.verdict == "holds"
    assert (part.reference, part.opponent, part.paired) == (0.125, "chance", False)


@pytest.mark.parametrize(("relation", "best"), [("below", "order 2"), ("above", "order 0")])
def test_of_the_baselines_the_strongest_counts(relation: str, best: str) -> None:
    scores = {"order 0": {"loss": 3.0}, "order 2": {"loss": 1.5}, "xz": {"loss": 1.0, "bits": 9.0}}
    measured = trial([1.2] * 5, final={"loss": [1.2] * 5}, baselines=scores)
    tested = claim(metric="loss", relation=relation, against="baseline:order *")
    (part,) = judge(tested, [measured]).evidence
    assert part.opponent == best
    assert part.reference == scores[best]["loss"]


def test_models_are_paired_by_seed() -> None:
    """Seeds differ far more than models do: only the differences tell."""
    theirs = [0.1, 0.3, 0.5, 0.7, 0.8]
    ours = [value + 0.05 for value in theirs]
    other = trial([*reversed(theirs)], "GRU", seeds=[4, 3, 2, 1, 0])
    finding = judge(claim(against="model:GRU"), [trial([*ours]), other])
    (part,) = finding.evidence
    assert finding.verdict == "holds"
    assert part.paired
    assert part.measured is not None
    assert math.isclose(part.measured.low, 0.05)
    assert math.isclose(part.measured.high, 0.05)


@pytest.mark.parametrize("against", [0.125, 0.3])
def test_two_that_may_be_guessing_are_not_said_to_be_alike(against: float) -> None:
    ours = [against - 0.01, against, against, against, against + 0.02]
    results = [trial([*ours]), trial([*ours], "GRU")]
    verdict = "undecided" if against == 0.125 else "holds"
    for fields in ({"relation": "at least"}, {"relation": "equal", "tolerance": 0.01}):
        assert judge(claim(against="model:GRU", **fields), results).verdict == verdict
    # That a model without a result guesses is not known.
    assert judge(claim(against="model:MGU"), results).verdict == "not measured"


def test_a_model_is_compared_on_its_own_task_only() -> None:
    other = trial([0.1] * 5, "GRU", task="Recall lag 500")
    assert judge(claim(against="model:GRU"), [trial([0.9] * 5), other]).verdict == "not measured"


def test_a_pattern_holds_only_where_every_trial_does() -> None:
    good = trial([1.0] * 5)
    unsure = trial([0.1, 0.1, 0.9, 0.9, 0.9], task="Recall lag 100")
    bad = trial([0.1] * 5, task="Recall lag 500")
    pending = {"model": "LSTM", "task": "Recall lag 1000"}
    tested = claim(relation="at least", against=0.5)
    assert judge(tested, [good]).verdict == "holds"
    assert judge(tested, [good, unsure]).verdict == "undecided"
    assert judge(tested, [good, unsure, pending]).verdict == "not measured"
    assert judge(tested, [good, unsure, pending, bad]).verdict == "does not hold"


@pytest.mark.parametrize("values", [[1.0], [1.0] * 4, [1.0, 1.0, 1.0, 1.0, 1.0, None]])
def test_too_few_seeds_and_lost_seeds_decide_nothing(values: list[float | None]) -> None:
    assert judge(claim(), [trial(values)]).verdict == "undecided"


@pytest.mark.parametrize(
    "results",
    [
        [],
        [{"model": "LSTM", "task": "Recall lag 50"}],
        [trial([0.9] * 5, "Elman")],
        [trial([0.9] * 5, chance={})],
        [trial([0.9] * 5, chance={"accuracy": None})],
        [trial([0.9] * 5, final={"loss": [0.1] * 5})],
    ],
    ids=["nothing", "pending", "another model", "no chance", "null chance", "no such metric"],
)
def test_what_is_missing_is_not_measured(results: list[dict[str, Any]]) -> None:
    assert judge(claim(), results).verdict == "not measured"


def test_figures_of_probes() -> None:
    probes = {
        "influence": {"before": {"half_life": [1, 2]}, "after": {"half_life": [30, None]}},
        "coefficients": {"after": {"lag": [1, 2], "coefficient": [[1.0, 0.9], [1.1, 0.8]]}},
        "continuation": {"after": {"relative_error": [[0.1, 0.3, 0.2], [0.4, 0.0, 0.1]]}},
    }
    measured = trial([0.5, 0.6], probes=probes, best={"accuracy": [0.7, 0.8]})
    assert per_seed(measured, "best:accuracy") == {0: 0.7, 1: 0.8}
    assert per_seed(measured, "probe:influence:before:half_life") == {0: 1, 1: 2}
    assert math.isnan(per_seed(measured, "probe:influence:after:half_life")[1])
    assert per_seed(measured, "probe:coefficients:after:coefficient:2") == {0: 0.9, 1: 0.8}
    assert per_seed(measured, "probe:continuation:after:relative_error:max") == {0: 0.3, 1: 0.4}


@pytest.mark.parametrize(
    "metric",
    [
        "loss",
        "best:accuracy",
        "probe:influence:after:half_life",
        "probe:coefficients:after:coefficient:7",
        "probe:coefficients:after:coefficient:last",
        "probe:coefficients:after:coefficient",
    ],
)
def test_a_figure_that_was_not_recorded_is_absent(metric: str) -> None:
    probes = {"coefficients": {"after": {"lag": [1, 2], "coefficient": [[1.0, 0.9], [1.1, 0.8]]}}}
    assert per_seed(trial([0.5, 0.6], probes=probes), metric) == {}


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"relation": "over"}, "relation"),
        ({"relation": "equal"}, "tolerance"),
        ({"tolerance": 0.1}, "tolerance"),
        ({"statement": ""}, "statement"),
        ({"metric": "probe:influence"}, "metric"),
        ({"metric": "best:"}, "metric"),
        ({"metric": "best:a:b"}, "metric"),
        ({"against": "Chance"}, "against"),
        ({"against": "baseline:"}, "against"),
        ({"against": math.nan}, "against"),
        ({"metric": "probe:influence:after:half_life"}, "against"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused_at_once(
    fields: dict[str, Any], what: str
) -> None:
    with pytest.raises(UsageError, match=f"claim {what}: ") as caught:
        claim(**fields)
    assert "\n" not in str(caught.value)


def test_json_round_trip() -> None:
    tested = claim(relation="equal", against="chance", tolerance=0.02)
    assert Claim(**json.loads(json.dumps(asdict(tested)))) == tested


def test_a_label_with_brackets_is_found_by_its_own_name() -> None:
    assert matches("LSTM [2 layers]", "LSTM [2 layers]")
    assert not matches("LSTM", "LSTM chrono")
    assert not matches("lstm", "LSTM")


def test_one_seed_settles_that_something_can_be_done() -> None:
    def result(*losses: float) -> dict[str, Any]:
        seeds = list(range(len(losses)))
        return {"model": "m", "task": "t", "seeds": seeds, "final": {"loss": list(losses)}}

    can = Claim("it can", "m", "t", "loss", "below", 1.0, possible=True)
    assert judge(can, [result(1.2, 0.9)]).verdict == "holds"
    assert judge(can, [result(1.2, 1.1)]).verdict == "undecided"
    assert judge(can, [result(*[1.2] * 6)]).verdict == "does not hold"


LONGER: dict[str, Any] = {
    "model": "LSTM",
    "task": "Parity length 40",
    "task_config": {"type": "Parity", "length": 40},
    "seeds": [0, 1, 2, 3, 4],
    "final": {"accuracy": [1.0] * 5},
    "chance": {"accuracy": 0.5},
    "elsewhere": [
        {
            "task": f"Parity length {40 * times}",
            "task_config": {"type": "Parity", "length": 40 * times},
            "chance": {"accuracy": chance},
            "scores": {"accuracy": [score] * 5},
        }
        for times, score, chance in ((2, 1.0, 0.5), (8, 0.4, 0.45))
    ],
}


@pytest.mark.parametrize(
    ("times", "relation", "against", "verdict"),
    [
        (2, "at least", 0.99, "holds"),
        (8, "at least", 0.99, "does not hold"),
        (8, "below", "chance", "holds"),
        (16, "at least", 0.99, "not measured"),
        (16, "above", "chance", "not measured"),
    ],
)
def test_a_claim_about_longer_sequences(
    times: int, relation: Any, against: Any, verdict: str
) -> None:
    claim = Claim(
        "it keeps count", "LSTM", "Parity *", f"longer:{times}:accuracy", relation, against
    )
    assert judge(claim, [LONGER]).verdict == verdict
