"""Frameworks in processes of their own: the same answers, then turns; a wrong answer is not timed."""

import flax
import pytest

from lstm_lab.bench import turns
from lstm_lab.bench.turns import MEASURES, Pace, Process, Team, compete, modules, present
from lstm_lab.bench.worker import contender
from lstm_lab.bench.workload import Workload

SMALL = Workload("GRU", 2, 5, 3, 4, bidirectional=True, lengths=True)
PACE = Pace(rounds=2, seconds=0.001)


@pytest.fixture(scope="module")
def timings() -> list[turns.Timing]:
    with Team(["ours", "flax_nnx"]) as team:
        compete(Workload("Elman", 2, 5, 3, 4), team, PACE)  # leaves nothing behind
        return compete(SMALL, team, PACE)


def test_frameworks_agree_before_they_are_timed(timings: list[turns.Timing]) -> None:
    ours, flax = timings
    assert (ours.framework, flax.framework) == ("lstm_lab", "Flax NNX")
    assert flax.problem == ""
    assert flax.error is not None
    assert 0 < flax.error <= 1e-5


def test_every_measure_has_a_time_for_every_round(timings: list[turns.Timing]) -> None:
    for timing in timings:
        assert set(timing.seconds) == set(timing.first) == set(MEASURES)
        for measure in MEASURES:
            assert len(timing.seconds[measure]) == PACE.rounds
            assert timing.least(measure) > 0


@pytest.mark.variant
def test_who_disagrees_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TOLERANCE", 1e-12)
    with Team(["ours", "flax_nnx"]) as team:
        _, flax = compete(Workload("Elman", 2, 5, 3, 4), team, PACE)
    assert flax.problem.startswith("disagrees with ours by")
    assert not flax.seconds


def test_a_process_that_ended_is_said_and_begins_anew() -> None:
    with Process("ours") as process:
        process.ask("about")
        process._begin().kill()
        with pytest.raises(RuntimeError, match="lstm_lab: its process ended, exit -9"):
            process.ask("about")
        assert process.ask("about")["name"] == "lstm_lab"


def test_a_framework_says_what_it_does_not_serve() -> None:
    refusal = contender("equinox_scan").refusal
    assert refusal(SMALL)
    assert refusal(Workload("Elman", 2, 5, 3, 4))
    assert not refusal(Workload("GRU", 2, 5, 3, 4, layers=2))


def test_absent_frameworks_are_named_with_the_reason() -> None:
    assert modules()[0] == "ours"
    assert {"flax_nnx", "keras_jax", "pytorch", "equinox_scan", "jax_cudnn"} <= set(modules())
    versions, absent = present(["ours", "jax_cudnn"])
    assert versions.keys() == {"ours"}
    assert absent == {"jax.experimental.rnn": "it needs an NVIDIA GPU"}


def test_one_that_is_not_installed_says_how_to_add_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = contender("flax_nnx")
    assert kind.version() == flax.__version__
    monkeypatch.setattr(kind, "package", "no-such-thing")
    with pytest.raises(ImportError, match="no-such-thing is not installed: `make peers`"):
        kind.version()
