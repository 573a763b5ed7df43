"""One answer per sequence: from which steps, read which way, and never from padding."""

from dataclasses import replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_lab.cells.gru import GRU
from lstm_lab.errors import UsageError
from lstm_lab.model import Model
from lstm_lab.modules import SequenceModel
from lstm_lab.modules.pooling import pooled
from lstm_lab.tasks.future_tag import FutureTag
from lstm_lab.tasks.recall import Recall

B, T, H = 3, 6, 4
LENGTHS = np.array([6, 0, 3], np.int32)
MASK = jnp.asarray(np.arange(T) < LENGTHS[:, None])
X = jnp.asarray(np.random.default_rng(1).normal(size=(B, T, 8)), jnp.float32)
TASK = Recall(lag=T - 1, symbols=7)


def network(**settings: Any) -> SequenceModel:
    return Model(GRU(), **settings).build(TASK, H, jax.random.key(0))


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_a_pool_is_over_the_steps_read_alone(pool: Literal["mean", "max"]) -> None:
    # All below zero, so that a padded zero would be the maximum; and padding that is no number.
    y = -1 - jnp.abs(jnp.asarray(np.random.default_rng(0).normal(size=(B, T, H)), jnp.float32))
    y = jnp.where(MASK[..., None], y, jnp.float32(jnp.nan))
    got = pooled(pool, y, MASK)
    over = np.mean if pool == "mean" else np.max
    np.testing.assert_allclose(got[0], over(np.asarray(y[0]), axis=0), rtol=1e-6)
    np.testing.assert_allclose(got[2], over(np.asarray(y[2, :3]), axis=0), rtol=1e-6)
    assert not got[1].any()
    np.testing.assert_array_equal(pooled(pool, y[:1], None), got[:1])


@pytest.mark.parametrize(
    "settings",
    [{"pool": "mean"}, {"reverse": True}, {"bidirectional": "concat", "pool": "max"}],
    ids=str,
)
def test_padding_changes_no_answer(settings: dict[str, Any]) -> None:
    model = network(**settings)
    read = jax.jit(lambda x, lengths: model(x, lengths=lengths)[1])
    padded = read(X, LENGTHS)
    other = read(jnp.where(MASK[..., None], X, jnp.float32(jnp.nan)), LENGTHS)
    np.testing.assert_array_equal(padded, other)
    alone = model(X[2:, :3])[1]
    np.testing.assert_allclose(padded[2:], alone, rtol=1e-5, atol=1e-6)


def test_pooling_has_a_gradient_that_padding_does_not_reach() -> None:
    graph, params = nnx.split(network(pool="max"), nnx.Param)

    def total(params: Any, x: Any) -> Any:
        return jnp.sum(nnx.merge(graph, params)(x, lengths=LENGTHS)[1] ** 2)

    gradient = jax.jit(jax.grad(total))
    found = gradient(params, X)
    again = gradient(params, jnp.where(MASK[..., None], X, jnp.float32(jnp.nan)))
    for leaf, other in zip(jax.tree.leaves(found), jax.tree.leaves(again), strict=True):
        assert np.isfinite(leaf).all()
        np.testing.assert_array_equal(leaf, other)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(found))


def test_reading_backward_is_reading_the_sequence_turned_around() -> None:
    _, forward = network()(X)
    _, backward = network(reverse=True)(X[:, ::-1])
    np.testing.assert_allclose(backward, forward, rtol=1e-5, atol=1e-6)
    assert not np.allclose(network(reverse=True)(X)[1], forward, atol=1e-3)


def test_a_model_says_how_it_reads() -> None:
    assert Model(GRU(), reverse=True).label == "GRU, backward"
    assert Model(GRU(), bidirectional="concat", pool="mean").label == "GRU, both ways, mean pool"


def test_what_cannot_be_read_so_is_refused() -> None:
    with pytest.raises(UsageError, match=r"model.reverse: True: bidirectional='sum' reads both"):
        Model(reverse=True, bidirectional="sum")
    with pytest.raises(UsageError, match="pool: 'max': there is an output per step"):
        replace(Model(), pool="max").build(FutureTag(), H, jax.random.key(0))
