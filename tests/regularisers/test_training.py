"""Regularisers in a trial: noise in training alone, a penalty in the gradient alone, fields like any others."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.cells.initial import ForgetBias
from lstm_lab.cells.lstm import LSTM
from lstm_lab.config import from_json, to_json
from lstm_lab.errors import UsageError
from lstm_lab.experiment import Experiment
from lstm_lab.fit import fit
from lstm_lab.model import Model
from lstm_lab.optimizer import Optimizer
from lstm_lab.overrides import override
from lstm_lab.program import Program
from lstm_lab.regularisers.activity import Activity
from lstm_lab.regularisers.variational_dropout import VariationalDropout
from lstm_lab.regularisers.weight_drop import WeightDrop
from lstm_lab.regularisers.zoneout import Zoneout
from lstm_lab.rundir import read_metrics
from lstm_lab.size import count
from lstm_lab.tasks.future_tag import FutureTag
from lstm_lab.train import Network, Progress, TrainState, train_step
from lstm_lab.trial import Evaluation, Trial

DROPOUT = VariationalDropout(WeightDrop(LSTM()), 0.3, 0.3, 0.3)
NOISY = Model(cell=DROPOUT, embedding=3, embedding_dropout=0.3)
EVERYTHING = Trial(
    model=replace(NOISY, cell=replace(DROPOUT, cell=WeightDrop(Zoneout(LSTM())))),
    task=FutureTag(length=8),
    d_hidden=4,
    penalty=Activity(activation=2.0, temporal=1.0),
    steps=2,
    batch=4,
    seeds=2,
    evaluate=Evaluation(every=1, batch=4, batches=1),
)
PLAIN = replace(
    EVERYTHING,
    model=Model(cell=Elman("linear")),
    optimizer=Optimizer("sgd", learning_rate=0.5, clip=0, momentum=0),
)


def first_step(trial: Trial) -> tuple[TrainState, TrainState, Progress]:
    """The state before and after one step of seed 0, and what the step reports."""
    program = Program(trial)

    @jax.jit
    def run() -> tuple[TrainState, TrainState, Progress]:
        state = program._start(jnp.uint32(0))
        return state, *train_step(program.network, program.optimizer, (), state)

    return run()


def test_a_network_with_everything_trains(tmp_path: Path) -> None:
    result = fit(EVERYTHING, tmp_path)
    assert (result["status"], result["steps"]) == ("finished", [2, 2])
    rows = list(read_metrics(tmp_path / "metrics.jsonl"))
    assert len(rows) == 8
    assert all(np.isfinite(row["loss"]) for row in rows)


def test_evaluation_has_no_noise() -> None:
    plain = Network(replace(EVERYTHING, model=Model(cell=LSTM(), embedding=3)))
    noisy = Network(replace(EVERYTHING, model=NOISY))

    @jax.jit
    def read() -> tuple[Any, ...]:
        params, inside = (network.init(jax.random.key(0)) for network in (noisy, plain))
        x = EVERYTHING.task.sample((), jax.random.key(1), jnp.int32(0), 4).x
        drawn = noisy.apply(params, x, key=jax.random.key(2))
        return plain.apply(inside, x)[1], noisy.apply(params, x)[1], drawn[1]

    wanted, silent, drawn = read()
    np.testing.assert_allclose(silent, wanted, rtol=1e-5, atol=1e-6)
    assert np.abs(drawn - wanted).max() > 1e-2


def test_a_penalty_is_in_the_gradient_and_not_in_the_loss() -> None:
    penalty, rate = Activity(5.0, 2.0), PLAIN.optimizer.learning_rate
    network, task = Network(PLAIN), PLAIN.task
    (start, plain, without), (_, fined, with_) = (
        first_step(replace(PLAIN, penalty=price)) for price in (Activity(), penalty)
    )
    np.testing.assert_allclose(with_.loss, without.loss, rtol=1e-6)

    @jax.jit
    @jax.grad
    def price(params: Any) -> jax.Array:
        batch = task.sample((), jax.random.split(start.key)[0], start.step, PLAIN.batch)
        y = network.read(params, batch.x)[0].y
        return 5 * jnp.mean(y**2) + 2 * jnp.mean(jnp.diff(y, axis=1) ** 2)

    moved = jax.tree.map(lambda a, b: (a - b) / rate, plain.params, fined.params)
    jax.tree.map(
        lambda m, g: np.testing.assert_allclose(m, g, rtol=1e-3, atol=1e-5),
        moved,
        price(start.params),
    )
    assert any(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(moved))


def test_counts_are_those_of_the_model_without() -> None:
    plain = replace(NOISY, cell=LSTM(), embedding_dropout=0.0)
    assert count(NOISY, EVERYTHING.task, 5) == count(plain, EVERYTHING.task, 5)


def test_a_trial_with_everything_is_read_back_from_its_picture() -> None:
    back = from_json(json.loads(json.dumps(to_json(EVERYTHING))))
    assert back == EVERYTHING
    assert (back.id, hash(back.model)) == (EVERYTHING.id, hash(EVERYTHING.model))


def test_every_rate_is_a_field_of_the_command_line() -> None:
    experiment = Experiment(models=(EVERYTHING.model,), tasks=(EVERYTHING.task,))
    words = {
        "--model.cell.input": "0.125",
        "--model.cell.cell.rate": "0.25",
        "--model.cell.cell.cell.hidden": "0.375",
        "--model.cell.cell.cell.cell.biases.value": "2.0",
        "--model.embedding-dropout": "0.5",
        "--penalty.temporal": "3.0",
    }
    changed = override(experiment, [word for pair in words.items() for word in pair])
    (trial,) = changed.trials()
    inside = Zoneout(LSTM(ForgetBias(2.0)), hidden=0.375)
    cell = VariationalDropout(WeightDrop(inside, 0.25), 0.125, 0.3, 0.3)
    assert trial.model == replace(NOISY, cell=cell, embedding_dropout=0.5)
    assert trial.penalty == Activity(temporal=3.0)


def test_labels_tell_what_is_added() -> None:
    assert EVERYTHING.model.label == (
        "LSTM forget bias 1, zoneout 0.05 0.5, weight drop 0.5, "
        "variational dropout input 0.3 state 0.3 output 0.3, "
        "embedding 3, embedding dropout 0.3"
    )


@pytest.mark.parametrize(
    ("rate", "embedding", "message"),
    [(0.5, 0, "no embedding to drop from"), (1.0, 3, "1.0: give a fraction")],
)
def test_embedding_dropout_without_sense_is_refused(
    rate: float, embedding: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Model(embedding=embedding, embedding_dropout=rate)
