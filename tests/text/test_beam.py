"""A beam finds what going through all texts finds, and carries each text's own state."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from lstm_lab.errors import NonFiniteError, UsageError
from lstm_lab.text.beam import beam_search

V = 4
# The odds of the next symbol depend on the two before it: the carry is the one before last.
ODDS = jax.nn.log_softmax(2 * jax.random.normal(jax.random.key(3), (V, V, V)))


def model(tokens: Array, carry: Array) -> tuple[Array, Array]:
    before = jnp.concatenate([carry[:, None], tokens[:, :-1]], axis=1)
    return tokens[:, -1], ODDS[before, tokens]


def likelihood(prompt: list[int], text: tuple[int, ...]) -> float:
    read = [0, *prompt, *text]
    places = range(len(prompt) + 1, len(read))
    return float(sum(ODDS[read[i - 2], read[i - 1], read[i]] for i in places))


@pytest.mark.parametrize("prompt", [[1], [2, 0, 3]])
def test_a_beam_as_wide_as_there_are_texts_finds_the_likeliest(prompt: list[int]) -> None:
    length = 3
    texts = list(itertools.product(range(V), repeat=length))
    scores = [likelihood(prompt, text) for text in texts]
    ids, score = beam_search(model, jnp.zeros(1, jnp.int32), np.array(prompt), length, V**length)
    assert tuple(ids.tolist()) == texts[int(np.argmax(scores))]
    assert score == pytest.approx(max(scores), rel=1e-5)


def test_a_beam_of_one_takes_the_likeliest_symbol_each_time() -> None:
    before, last, wanted = 0, 1, []
    for _ in range(8):
        before, last = last, int(jnp.argmax(ODDS[before, last]))
        wanted.append(last)
    carry, prompt = jnp.zeros(1, jnp.int32), np.array([1])
    ids, narrow = beam_search(model, carry, prompt, 8, 1)
    assert ids.tolist() == wanted
    assert beam_search(model, carry, prompt, 8, V**2)[1] >= narrow


def test_what_cannot_be_searched_is_refused() -> None:
    carry = jnp.zeros(1, jnp.int32)
    with pytest.raises(UsageError, match="at least one symbol"):
        beam_search(model, carry, np.array([], int), 3, 2)
    with pytest.raises(UsageError, match="beam: 0: give at least 1"):
        beam_search(model, carry, np.array([1]), 3, 0)

    def diverged(tokens: Array, carry: Array) -> tuple[Array, Array]:
        return carry, jnp.full((*tokens.shape, V), jnp.nan)

    with pytest.raises(NonFiniteError, match="diverged"):
        beam_search(diverged, carry, np.array([1]), 3, 2)
