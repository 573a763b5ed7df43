"""Numbers that take several values: one program, and for each value the trial it would have been alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from lstm_lab import compiled
from lstm_lab.cells.initial import ForgetBias
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cli import execute
from lstm_lab.config import from_json, to_json
from lstm_lab.errors import Interrupted, NonFiniteError, UsageError
from lstm_lab.experiment import Experiment
from lstm_lab.fit import fit, fit_together
from lstm_lab.model import Model
from lstm_lab.optimizer import Optimizer
from lstm_lab.overrides import override
from lstm_lab.program import Program, program_key
from lstm_lab.regularisers.activity import Activity
from lstm_lab.regularisers.zoneout import Zoneout
from lstm_lab.report.load import read
from lstm_lab.sweep import Sweep
from lstm_lab.tasks.future_tag import FutureTag
from lstm_lab.tasks.recall import Recall
from lstm_lab.trial import Evaluation, Trial
from tests.test_fit import StopAt, final, rows

TINY = Trial(
    task=Recall(lag=4),
    d_hidden=4,
    optimizer=Optimizer("adamw", learning_rate=0.01, weight_decay=0.1),
    steps=20,
    batch=4,
    seeds=2,
    evaluate=Evaluation(every=5, batch=8, batches=1),
)


def with_bias(value: float) -> Model:
    return Model(LSTM(biases=ForgetBias(value)))


TRIALS = [
    TINY,
    replace(TINY, optimizer=replace(TINY.optimizer, learning_rate=0.03, clip=0.1)),
    replace(TINY, optimizer=replace(TINY.optimizer, weight_decay=0.0), model=with_bias(3.0)),
]


def in_directories(trials: list[Trial], parent: Path) -> dict[Path | str, Trial]:
    return {parent / trial.id: trial for trial in trials}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parent = tmp_path_factory.mktemp("alone")
    for directory, trial in in_directories(TRIALS, parent).items():
        fit(trial, directory)
    return parent


def assert_as_alone(parent: Path, alone: Path, trials: list[Trial]) -> None:
    for trial in trials:
        mine, other = parent / trial.id, alone / trial.id
        assert rows(mine) == rows(other)
        assert final(trial, mine) == final(trial, other)
        results: list[dict[str, Any]] = [
            json.loads((directory / "result.json").read_text()) for directory in (mine, other)
        ]
        for result in results:
            del result["seconds"]
        assert results[0] == results[1]


def test_trials_in_one_program_are_to_the_bit_what_each_is_alone(
    alone: Path, tmp_path: Path
) -> None:
    before = len(compiled._programs)
    outcomes = fit_together(in_directories(TRIALS, tmp_path))
    # One program to begin, one to train and one to examine, for all values together.
    assert len(compiled._programs) == before + 3
    assert [outcome["trial"] for outcome in outcomes if isinstance(outcome, dict)] == [
        trial.id for trial in TRIALS
    ]
    assert_as_alone(tmp_path, alone, TRIALS)
    final_losses = {tuple(outcome["final"]["loss"]) for outcome in outcomes}  # type: ignore[index]
    assert len(final_losses) == len(TRIALS)


@pytest.mark.variant
def test_an_interrupted_sweep_goes_on_from_wherever_each_trial_stands(
    alone: Path, tmp_path: Path
) -> None:
    directories = in_directories(TRIALS, tmp_path)
    first = next(iter(directories))
    for step, trials in ((5, {first: TRIALS[0]}), (10, directories)):
        watcher = StopAt(step)
        with pytest.raises(Interrupted, match=f"at step {step}"):
            fit_together(trials, stop=watcher.stop, watcher=watcher)
    # Those behind run first: they have come to 10 when the signal comes, the first still stands at 5.
    steps = [final(trial, Path(path))[0] for path, trial in directories.items()]
    assert steps == [5, 10, 10]
    fit_together(directories)
    assert_as_alone(tmp_path, alone, TRIALS)


def test_a_trial_that_diverges_leaves_the_others_running(tmp_path: Path) -> None:
    calm = replace(TINY, optimizer=Optimizer("sgd", learning_rate=0.1, clip=0, momentum=0.9))
    wild = replace(calm, optimizer=replace(calm.optimizer, learning_rate=3e38))
    result, error = fit_together(in_directories([calm, wild], tmp_path))
    assert isinstance(result, dict)
    assert result["status"] == "finished"
    assert isinstance(error, NonFiniteError)
    assert json.loads((tmp_path / wild.id / "failure.json").read_text())["trial"] == wild.id
    assert not (tmp_path / wild.id / "result.json").exists()


def test_one_program_serves_numbers_and_no_other_difference() -> None:
    assert len({program_key(trial) for trial in TRIALS}) == 1
    others = [
        replace(TINY, batch=8),
        replace(TINY, optimizer=replace(TINY.optimizer, clip=0)),
        replace(TINY, optimizer=replace(TINY.optimizer, warmup=2)),
        replace(TINY, model=Model(input_noise=0.1)),
        replace(TINY, penalty=Activity(temporal=1.0)),
        replace(TINY, model=Model(Zoneout(LSTM()))),
        replace(TINY, model=Model(Zoneout(LSTM(), hidden=0.5))),
        replace(TINY, task=Recall(lag=5)),
    ]
    assert len({program_key(trial) for trial in [TINY, *others]}) == 1 + len(others)
    with pytest.raises(UsageError, match="more than numbers"):
        Program(TINY, others[0])


def test_noise_dropout_and_penalties_are_numbers_too() -> None:
    names = ("dropout", "embedding_dropout", "input_noise", "input_dropout", "output_dropout")

    def noisy(scale: float, *changed: str) -> Trial:
        rates = {name: scale if name in changed else 0.1 for name in names}
        prices = {name: scale if name in changed else 1.0 for name in ("activation", "temporal")}
        model = Model(LSTM(), layers=2, embedding=3, **rates)  # type: ignore[arg-type]
        return replace(TINY, task=FutureTag(length=8), model=model, penalty=Activity(**prices))

    trials = [noisy(0.1), *(noisy(0.4, name) for name in (*names, "activation", "temporal"))]
    apart = np.concatenate([losses(trial) for trial in trials])
    np.testing.assert_array_equal(losses(*trials), apart)
    assert len(np.unique(apart[:, -1])) == len(apart)


def losses(*trials: Trial, in_turn: bool = True) -> np.ndarray:
    """Of five steps of every run, `[R, 5]`."""
    program = Program(*trials)
    program.axis._in_turn = in_turn
    everyone = np.ones(program.runs, bool)
    found: np.ndarray = program.axis.take(program.advance(program.init(), everyone, 5)[1].loss)
    return found


def test_an_experiment_makes_a_trial_of_every_combination() -> None:
    experiment = Experiment(
        sweeps=(
            Sweep("model.cell.biases.value", (0.0, 1.0)),
            Sweep("optimizer.learning_rate", (1e-3, 1e-2)),
            Sweep("task.lag", (5, 6)),
        )
    )
    experiment.validate()
    trials = list(experiment.trials())
    assert len({trial.id for trial in trials}) == 8
    assert len({program_key(trial) for trial in trials}) == 2
    # A label tells a bias and a lag by itself, the learning rate it is given.
    assert [(trial.model.label, trial.task.label) for trial in trials[:3]] == [
        ("LSTM forget bias 0, learning rate 0.001", "Recall lag 5"),
        ("LSTM forget bias 0, learning rate 0.001", "Recall lag 6"),
        ("LSTM forget bias 0, learning rate 0.01", "Recall lag 5"),
    ]
    assert [type(trial.task.lag) for trial in trials[:1]] == [int]  # type: ignore[attr-defined]
    assert from_json(json.loads(json.dumps(to_json(experiment)))) == experiment


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("optimizer.lr 1", "Optimizer has no lr: it has .*learning_rate"),
        ("optimizer.method 1", "optimizer.method: is no number"),
        ("model.residual 1", "model.residual: is no number"),
        ("model.cell.biases 1", "model.cell.biases: is no number"),
        ("seeds 1 2", "begin with model, task, optimizer, penalty"),
        ("model.cell.gamma 1", "LSTM has no gamma"),
        ("task.lag 2.5", "give whole numbers"),
        ("task.lag 0", "Recall.lag: got 0"),
        ("optimizer.clip -1", "optimizer.clip: -1.0"),
        ("optimizer.learning-rate nan", "learning_rate: nan"),
        ("optimizer.clip 1 1", "each once"),
        ("optimizer.clip", "give one value or more"),
        ("optimizer.clip one", "one: give numbers"),
    ],
)
def test_a_sweep_over_what_is_no_number_is_refused(words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        override(Experiment(), ["--sweep", *words.split()]).validate()
    assert "\n" not in str(caught.value)


@pytest.mark.variant
def test_a_sweep_from_the_command_line_can_be_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LSTM_LAB_CPU_DEVICES", "2")
    path = tmp_path / "swept.py"
    path.write_text(
        "from lstm_lab.experiment import Experiment\n"
        "from lstm_lab.size import Hidden\n"
        "from lstm_lab.tasks.recall import Recall\n"
        "experiment = Experiment(size=Hidden(4), tasks=(Recall(lag=4),))\n"
    )
    rates = ("--sweep", "optimizer.learning-rate", "1e-3", "1e-2")
    assert execute(["run", str(path), "--smoke", *rates, "--out", str(tmp_path / "runs")]) == 0
    (run,) = read(tmp_path / "runs")
    assert [result["model"] for result in run.results] == [
        "LSTM forget bias 1, learning rate 0.001",
        "LSTM forget bias 1, learning rate 0.01",
    ]
    assert "--sweep optimizer.learning-rate 1e-3 1e-2" in run.command


def test_settings_given_as_arguments_are_those_of_the_optimiser() -> None:
    gradient, params = (np.array(leaf, np.float32) for leaf in ([3.0, -4.0], [1.0, 2.0]))
    own = Optimizer("adamw", learning_rate=0.02, clip=0.5, weight_decay=0.3, warmup=2)
    other = replace(own, learning_rate=1.0, clip=7.0, weight_decay=0.0)

    def updates(optimizer: Optimizer, rates: Any) -> jax.Array:
        chain = optimizer.chain(10, rates)
        with jax.numpy_dtype_promotion("standard"):
            return chain.update(gradient, chain.init(params), params)[0]

    given = jax.jit(lambda rates: updates(other, rates))(own.rates)
    np.testing.assert_allclose(given, updates(own, None), rtol=1e-6)


@pytest.mark.variant
def test_trials_side_by_side_on_an_accelerator_are_what_each_is_alone() -> None:
    apart = np.concatenate([losses(trial, in_turn=False) for trial in TRIALS])
    np.testing.assert_allclose(losses(*TRIALS, in_turn=False), apart, rtol=1e-5)
