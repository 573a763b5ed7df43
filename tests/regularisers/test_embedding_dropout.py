"""Embedding dropout: whole words, for a whole call, and their mean is kept."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import Array

from lstm_lab.cells.elman import Elman
from lstm_lab.errors import UsageError
from lstm_lab.modules import Recurrent, SequenceModel

V, RATE = 200, 0.3
# Every word twice, in two rows.
TOKENS = jnp.stack([jnp.arange(V), jnp.arange(V)[::-1]])


def model(rate: float, embed: Any = None) -> SequenceModel:
    embed = nnx.Embed(V, 2, rngs=nnx.Rngs(0)) if embed is None else embed
    body = Recurrent(Elman("linear"), 2, 3, rngs=nnx.Rngs(1))
    return SequenceModel(embed, body, 4, embedding_dropout=rate, rngs=nnx.Rngs(2))


GRAPH, PARAMS = nnx.split(model(RATE))


@jax.jit
def read(params: Any, x: Array, key: Array | None) -> Array:
    return nnx.merge(GRAPH, params)(x, key=key)[1]


def test_a_word_is_forgotten_wherever_it_stands() -> None:
    gradient = jax.jit(jax.grad(lambda params, key: read(params, TOKENS, key).sum()))
    d = np.asarray(gradient(PARAMS, jax.random.key(0))["embed"]["embedding"][...])
    gone = (d == 0).all(axis=1)
    assert np.array_equal(gone, (d == 0).any(axis=1))
    assert abs(gone.mean() - RATE) < 5 * (RATE * (1 - RATE) / V) ** 0.5


def test_tokens_and_their_one_hot_vectors_forget_the_same_words() -> None:
    key = jax.random.key(0)
    tokens, one_hot = (read(PARAMS, x, key) for x in (TOKENS, jax.nn.one_hot(TOKENS, V)))
    np.testing.assert_allclose(tokens, one_hot, rtol=1e-4, atol=1e-5)


def test_the_mean_over_many_draws_is_what_evaluation_computes() -> None:
    keys, x = jax.random.split(jax.random.key(1), 2000), TOKENS[:, :4]
    drawn = np.asarray(jax.vmap(lambda key: read(PARAMS, x, key))(keys))
    error = drawn.std(axis=0) / len(keys) ** 0.5
    assert (error > 0).all()
    assert (np.abs(drawn.mean(axis=0) - read(PARAMS, x, None)) < 5 * error).all()


def test_without_a_key_or_a_rate_nothing_is_forgotten() -> None:
    wanted = read(PARAMS, TOKENS, None)
    np.testing.assert_array_equal(model(0.0)(TOKENS, key=jax.random.key(0))[1], wanted)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: model(1.0), "1.0: give a fraction"),
        (lambda: model(0.5, embed=V), "no embedding: give an nnx.Embed"),
    ],
)
def test_what_it_cannot_do_is_refused(build: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build()
