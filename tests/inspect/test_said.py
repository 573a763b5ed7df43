"""Surprise is the task's loss, and influence the derivative that a small change would show."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.inspect import said as module
from lstm_lab.inspect.said import reach, say
from lstm_lab.layers.attention import CausalAttention
from lstm_lab.model import Model
from lstm_lab.tasks.base import Batch
from lstm_lab.train import Network
from tests.inspect.known import drawn, text

LAGS = 6
MODELS = [
    Model(cell=Elman(), layers=2, embedding=3),
    Model(cell=CausalAttention(heads=1, context=8)),
]


@pytest.fixture(autouse=True)
def few_lags(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a short text has several blocks."""
    monkeypatch.setattr(module, "LAGS", LAGS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.label)
def test_surprise_is_the_loss_and_the_likeliest_are_the_likeliest(
    model: Model, tmp_path: Path
) -> None:
    task = text(tmp_path)
    network, params = drawn(task, model)
    ids = task.load()["train"][: 2 * LAGS + 3]
    said = say(network, params, ids)
    x = jnp.asarray(ids)[None]
    _, outputs = network.apply(params, x[:, :-1])
    batch = Batch(x=x[:, :-1], y=x[:, 1:], mask=jnp.ones((1, len(ids) - 1), bool))
    assert np.isnan(said.bits[0])
    np.testing.assert_allclose(said.bits[1:].mean(), task.metrics(outputs, batch)["bits"], 1e-5)
    odds = np.asarray(jax.nn.softmax(outputs[0]))
    np.testing.assert_allclose(said.probability[:-1], -np.sort(-odds)[:, :5], rtol=1e-4)
    np.testing.assert_array_equal(said.top[:-1, 0], odds.argmax(axis=1))


def test_influence_is_what_a_small_change_of_an_input_does(tmp_path: Path) -> None:
    """Of the one-hot vectors, entry by entry, within a block and over its border; in double precision elsewhere."""
    task = text(tmp_path)
    network, params = drawn(task, Model(cell=GRU()))
    ids = task.load()["train"][: LAGS + 4]
    influence = say(network, params, ids).influence
    for t, lag in ((2, 1), (LAGS + 1, 0), (LAGS + 1, LAGS - 1), (len(ids) - 1, 2)):
        wanted = np.linalg.norm(finite_difference(network, params, ids, t, t - lag))
        np.testing.assert_allclose(influence[t, lag], wanted, rtol=2e-2, atol=1e-4)
    assert influence[LAGS + 1, LAGS - 1] > 1e-3
    assert (influence[2, 3:] == 0).all()


def finite_difference(network: Network, params: Any, ids: np.ndarray, t: int, s: int) -> np.ndarray:
    """The change of what follows step t, or of the likeliest after the last, by each entry of the input at step s."""
    V, size = network.task.d_in, 1e-2
    steps = np.concatenate([np.eye(V), -np.eye(V)]) * size
    x = np.repeat(np.eye(V)[ids][None], 2 * V, axis=0)
    x[:, s] += steps
    _, outputs = network.apply(params, jnp.asarray(x, jnp.float32))
    log_p = np.asarray(jax.nn.log_softmax(outputs[:, t]), np.float64)
    following = ids[t + 1] if t + 1 < len(ids) else log_p.mean(axis=0).argmax()
    up, down = np.split(log_p[:, following], 2)
    return (up - down) / (2 * size)


def test_the_reach_is_of_the_median_position() -> None:
    influence = np.array([[1.0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]])
    assert [reach(influence, share) for share in (0.5, 0.9)] == [2, 4]
