"""Reading run directories that are whole, torn, hostile, or still being written."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_lab.errors import DataError
from lstm_lab.report.load import Trial, read

Make = Callable[..., Any]


def test_a_directory_without_runs_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run an experiment into it first") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError):
        read(tmp_path / "absent")


def test_everything_is_read(write_five: Make, tmp_path: Path) -> None:
    write_five(tmp_path)
    runs = {run.name: run for run in read(tmp_path)}
    assert list(runs) == ["adding", "bidirectional", "fibonacci", "long_range", "text"]
    assert len(runs["long_range"].results) == 20
    assert len(runs["long_range"].claims) == 5
    assert runs["text"].command == "lstm-lab run experiments/text.py"
    assert not any(run.unreadable for run in runs.values())


def test_a_trial_without_result_says_why(write_five: Make, tmp_path: Path) -> None:
    write_five(tmp_path)
    (run,) = (run for run in read(tmp_path) if run.name == "long_range")
    diverged, torn = sorted((t for t in run.trials if not t.result), key=lambda t: t.status)
    assert (diverged.model, diverged.status) == ("Elman relu", "diverged")
    assert "step 412" in diverged.reason
    assert (torn.model, torn.task, torn.status) == ("GRU", "Recall lag 1000", "unreadable")
    assert "not JSON" in torn.reason


RETENTION = {
    "time_constant": [None] * 3,
    "edges": [0, 1],
    "time_edges": [1, 10],
    "layers": [{"h": None, "c": {"histogram": [[0, 1]] * 3, "times": [[0, 1]] * 3}}],
}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model": 3}, "model"),
        ({"model": ""}, "model"),
        ({"seeds": []}, "final"),
        ({"seeds": ["a", "b", "c"]}, "seeds"),
        ({"metric": "loss"}, "final"),
        ({"final": {"accuracy": [0.5, 0.5]}}, "final.accuracy"),
        ({"final": {"accuracy": ["x", "y", "z"]}}, "final.accuracy"),
        ({"chance": {"accuracy": [0.1]}}, "chance.accuracy"),
        ({"baselines": {"xz": 3.0}}, "baselines.xz"),
        ({"probes": {"influence": {"after": {"lag": 3}}}}, "probes.influence.after.lag"),
        (
            {"probes": {"influence": {"after": {"lag": [0, 1], "norm": [[1, 2]]}}}},
            "probes.influence.after.norm",
        ),
        (
            {"probes": {"coefficients": {"after": {"lag": [None], "coefficient": [[1]] * 3}}}},
            "probes.coefficients.after.lag",
        ),
        ({"probes": {"lyapunov": {"after": {}}}}, "probes.lyapunov.after.largest"),
        (
            {"probes": {"lyapunov": {"after": {"largest": [0] * 3, "exponents": [[[0], [0]]]}}}},
            "probes.lyapunov.after.exponents.0",
        ),
        ({"probes": {"retention": {"after": {}}}}, "probes.retention.after.time_constant"),
        (
            {"probes": {"retention": {"after": RETENTION}}},
            "probes.retention.after.layers.0.c.histogram",
        ),
        (
            {"probes": {"dynamic_evaluation": {"after": {"static": [1.0] * 3}}}},
            "probes.dynamic_evaluation.after.dynamic",
        ),
        ({"probes": {"text_sample": {"after": "words"}}}, "probes.text_sample.after"),
        (
            {
                "probes": {
                    "gradients": {"after": {"lag": [0], "layers": 2, "parameter_norm": [[1.0]] * 3}}
                }
            },
            "probes.gradients.after.parameter_norm",
        ),
        (
            {"probes": {"state": {"after": {"step": [0], "rms": [[1.0]] * 3, "mean": [0.0] * 2}}}},
            "probes.state.after.mean",
        ),
        (
            {"probes": {"decoding": {"after": {"lag": [0], "score": [[1.0, 1.0]] * 3}}}},
            "probes.decoding.after.score",
        ),
        ({"solved_step": [1]}, "solved_step"),
    ],
)
def test_a_result_of_another_shape_is_listed_with_the_field_that_is_wrong(
    experiment: Make, result: Make, change: dict[str, Any], named: str
) -> None:
    whole = result("LSTM", "Recall", "accuracy", [0.5, 0.6, 0.7], 0.1)
    folder = experiment("made_up", [whole])
    (place,) = folder.glob("*/result.json")
    place.write_text(json.dumps({**whole, **change}))
    ((trial,),) = (run.trials for run in read(folder.parent))
    assert trial.status == "unreadable"
    assert trial.reason.startswith(f"result.json: {named}")


@pytest.mark.parametrize("content", ["", "[]", "{", "null", "[" * 100_000, "\ud800"])
def test_no_definition_and_no_result_can_crash_the_report(
    experiment: Make, result: Make, content: str
) -> None:
    folder = experiment("made_up", [result("LSTM", "Recall", "accuracy", [0.5], 0.1)])
    for place in (folder / "experiment.json", *folder.glob("*/result.json")):
        place.write_bytes(content.encode(errors="surrogatepass"))
    (run,) = read(folder.parent)
    assert run.unreadable
    assert [trial.status for trial in run.trials] == ["unreadable"]


def test_only_children_of_the_experiment_are_opened(
    experiment: Make, result: Make, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "result.json").write_text(
        json.dumps(result("Stolen", "Recall", "accuracy", [1.0], 0.1))
    )
    folder = experiment("made_up", [])
    for name in ("../outside", str(outside), "..", "", "."):
        (folder / "experiment.json").write_text(json.dumps({"trials": [name]}))
        (run,) = read(tmp_path)
        assert not run.results
        assert run.trials[0].status == "unreadable"


def test_a_trial_that_has_not_begun_is_known_by_its_labels(experiment: Make) -> None:
    folder = experiment("made_up", [])
    planned = [{"id": "abc", "model": "LSTM", "task": "Recall"}, "def"]
    (folder / "experiment.json").write_text(json.dumps({"trials": planned}))
    (run,) = read(folder.parent)
    assert run.entries == [{"model": "LSTM", "task": "Recall"}, {"model": "", "task": ""}]
    assert {trial.status for trial in run.trials} == {"unfinished"}


def test_a_claim_that_cannot_be_read_is_named(experiment: Make) -> None:
    good = {"type": "Claim", "statement": "s", "model": "LSTM", "task": "Recall"}
    bad = [{**good, "relation": "over"}, {**good, "colour": "red"}, {"statement": "s"}, 3]
    folder = experiment("made_up", [], claims=[good, *bad])
    (run,) = read(folder.parent)
    assert len(run.claims) == 1
    assert len(run.unreadable) == len(bad)


def test_a_torn_last_row_costs_only_itself(experiment: Make, result: Make) -> None:
    folder = experiment("made_up", [result("LSTM", "Recall", "accuracy", [0.5], 0.1)])
    (place,) = folder.glob("*/metrics.jsonl")
    rows = len(place.read_text().splitlines())
    with place.open("a") as file:
        file.write('{"step": 9')
    ((trial,),) = (run.trials for run in read(folder.parent))
    assert len(trial.rows) == rows


def test_a_seed_that_stopped_keeps_its_last_value() -> None:
    points = [(0, 0, 0.1), (0, 100, 1.0), (1, 0, 0.2), (1, 100, 0.3), (1, 200, 0.4)]
    rows = tuple(
        {"seed": seed, "step": step, "split": "validation", "accuracy": value}
        for seed, step, value in points
    )
    steps, values = Trial("a", rows=rows).curve("accuracy")
    np.testing.assert_array_equal(steps, [0, 100, 200])
    np.testing.assert_array_equal(values, [[0.1, 1.0, 1.0], [0.2, 0.3, 0.4]])
    late = Trial("a", rows=rows[1:]).curve("accuracy")[1]
    assert math.isnan(late[0, 0])
    assert not Trial("a", rows=rows).curve("accuracy", "train")[0].size
