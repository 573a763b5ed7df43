"""Dynamic evaluation predicts before it learns, and follows the published rule."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.errors import UsageError
from lstm_lab.model import Model
from lstm_lab.probe.dynamic_evaluation import DynamicEvaluation
from lstm_lab.tasks.base import Batch
from lstm_lab.tasks.text import Text
from lstm_lab.train import Network
from lstm_lab.trial import Trial

PROBE = DynamicEvaluation(symbols=60, window=5, learning_rate=1e-2, decay=0.3, batches=2)
SEEDS, WINDOWS = 2, 12


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    path: Path = tmp_path_factory.mktemp("text") / "corpus.txt"
    path.write_text("abcdefgh " * 60)
    task = Text(corpus=str(path), length=4, validation=0.2)
    return Network(Trial(model=Model(Elman(), embedding=3), task=task, d_hidden=4))


@pytest.fixture(scope="module")
def params(network: Network) -> Any:
    seeds = jax.random.split(jax.random.key(0), SEEDS)
    return jax.tree.map(np.asarray, jax.vmap(network.init)(seeds))


@pytest.fixture(scope="module")
def data(network: Network) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    loaded = network.task.load()
    return {**loaded, "validation": rng.integers(0, network.task.d_in, 70).astype(np.int32)}


def test_no_symbol_is_learned_from_before_it_is_predicted(
    network: Network, params: Any, data: dict[str, np.ndarray]
) -> None:
    """Other symbols from position p on change nothing of what was predicted before, and something after."""
    losses = PROBE.losses(network, params, data)
    assert losses.shape == (SEEDS, 2, WINDOWS)
    for window in (1, 7):
        # The last that window k predicts is symbol 5 (k + 1): change all that follow it.
        other = {**data, "validation": data["validation"].copy()}
        other["validation"][5 * (window + 1) + 1 :] = 0
        changed = PROBE.losses(network, params, other)
        np.testing.assert_array_equal(changed[:, :, : window + 1], losses[:, :, : window + 1])
        assert (changed[:, :, window + 1] != losses[:, :, window + 1]).all()
    # What is learned from the first window is all that tells the second readings apart.
    np.testing.assert_allclose(losses[:, 0, 0], losses[:, 1, 0], rtol=1e-6)
    assert (np.abs(losses[:, 0, 1:] - losses[:, 1, 1:]) > 1e-4).all()


def test_the_losses_are_those_of_the_published_rule(
    network: Network, params: Any, data: dict[str, np.ndarray]
) -> None:
    """Window by window in NumPy, gradients from JAX."""
    start = jax.tree.map(lambda leaf: leaf[1], params)
    task, W = network.task, PROBE.window

    def loss(params: Any, ids: jax.Array, carry: Any) -> tuple[Any, Any]:
        batch = Batch(ids[:, :-1], ids[:, 1:], jnp.ones(ids[:, 1:].shape, bool))
        after, outputs = network.apply(params, batch.x, carry=carry)
        return task.loss(outputs, batch).mean(), after

    slope = jax.jit(jax.value_and_grad(loss, has_aux=True))
    train = data["train"]
    rng, squares = np.random.default_rng(0), []
    for starts in rng.integers(0, len(train) - W, (PROBE.batches, 100)):
        ids = train[starts[:, None] + np.arange(W + 1)]
        gradient = slope(start, ids, network.initial_carry(start, 100))[1]
        squares.append([np.asarray(leaf, np.float64) ** 2 for leaf in jax.tree.leaves(gradient)])
    rms = [np.sqrt(np.mean(leaf, axis=0)) for leaf in zip(*squares, strict=True)]
    mean = np.concatenate([leaf.ravel() for leaf in rms]).mean()
    theta_0, structure = jax.tree.flatten(start)
    theta, carry = list(theta_0), network.initial_carry(start, 1)
    losses = []
    for k in range(WINDOWS):
        ids = data["validation"][None, k * W : (k + 1) * W + 1]
        own = jax.tree.unflatten(structure, [np.asarray(leaf, np.float32) for leaf in theta])
        (value, carry), gradient = slope(own, ids, carry)
        losses.append(float(value))
        theta = [
            t
            - PROBE.learning_rate * g / (m + PROBE.epsilon)
            + np.minimum(PROBE.decay * m / mean, 1) * (t_0 - t)
            for t, t_0, g, m in zip(theta, theta_0, jax.tree.leaves(gradient), rms, strict=True)
        ]
    np.testing.assert_allclose(PROBE.losses(network, params, data)[1, 1], losses, rtol=1e-3)


def test_a_text_that_repeats_itself_is_learned_and_static_is_a_plain_reading(
    network: Network, params: Any, data: dict[str, np.ndarray]
) -> None:
    data = {**data, "validation": network.task.load()["validation"]}
    result = replace(PROBE, learning_rate=3e-3, decay=1e-3).measure(network, params, data)
    assert (result["symbols"], result["window"]) == (60, 5)
    ids = jnp.asarray(data["validation"][:61])
    for seed in range(SEEDS):
        own = jax.tree.map(lambda leaf, seed=seed: leaf[seed], params)
        _, outputs = network.apply(own, ids[None, :-1])
        batch = Batch(ids[None, :-1], ids[None, 1:], jnp.ones((1, 60), bool))
        wanted = float(network.task.loss(outputs, batch)[0])
        assert result["static"][seed] == pytest.approx(wanted, rel=1e-5)
        assert result["dynamic"][seed] < result["static"][seed] - 1e-3


def test_a_short_text_is_read_as_far_as_it_goes(
    network: Network, params: Any, data: dict[str, np.ndarray]
) -> None:
    data = {**data, "validation": data["validation"][:4]}
    result = PROBE.measure(network, params, data)
    assert (result["symbols"], result["window"]) == (3, 3)


@pytest.mark.parametrize("name", ["symbols", "window", "learning_rate", "decay", "epsilon"])
def test_numbers_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=rf"dynamic_evaluation\.{name}: 0: give"):
        replace(PROBE, **{name: 0})
