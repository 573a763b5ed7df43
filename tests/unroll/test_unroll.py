"""`unroll` against a plain loop, and what it refuses."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import Array

from lstm_lab.cells.elman import Elman, ElmanCarry, ElmanParams
from lstm_lab.cells.lstm import LSTM, LSTMCarry
from lstm_lab.errors import UsageError
from lstm_lab.unroll import unroll
from tests import oracles

B, T, D, H = 3, 5, 2, 4
CELL = LSTM()
PARAMS = CELL.init(jax.random.key(0), D, H)
X = jnp.asarray(np.random.default_rng(0).normal(size=(B, T, D)), jnp.float32)
CARRY = LSTMCarry(*jnp.asarray(np.random.default_rng(1).normal(size=(2, B, H)), jnp.float32))


@partial(jax.jit, static_argnames="reverse")
def read(carry: Any, lengths: Array, reset: Array, reverse: bool) -> Any:
    return unroll(CELL, PARAMS, X, carry=carry, lengths=lengths, reset=reset, reverse=reverse)


@given(
    lengths=st.lists(st.integers(0, T), min_size=B, max_size=B),
    resets=st.lists(st.lists(st.booleans(), min_size=T, max_size=T), min_size=B, max_size=B),
    reverse=st.booleans(),
)
def test_any_lengths_resets_and_direction_read_like_the_plain_loop(
    lengths: list[int], resets: list[list[bool]], reverse: bool
) -> None:
    # A border lies between two steps that both happen: padding holds none.
    valid = np.arange(T) < np.array(lengths)[:, None]
    reset = np.array(resets) & valid
    final, y = read(CARRY, jnp.array(lengths), jnp.array(reset), reverse)
    params = jax.tree.map(np.asarray, PARAMS)
    wanted, wanted_y = oracles.unroll(
        oracles.lstm,
        CELL,
        params,
        tuple(np.zeros((2, B, H))),
        np.asarray(X),
        carry=tuple(map(np.asarray, CARRY)),
        lengths=np.array(lengths),
        reset=reset,
        reverse=reverse,
    )
    for got, oracle in zip((*final, y), (*wanted, wanted_y), strict=True):
        np.testing.assert_allclose(got, oracle, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint8])
def test_lengths_are_another_way_to_say_mask(dtype: Any) -> None:
    lengths = jnp.array([T, 2, 0], dtype)
    mask = jnp.array(np.arange(T) < np.array([T, 2, 0])[:, None])
    by_lengths, by_mask = (
        unroll(CELL, PARAMS, X, lengths=lengths),
        unroll(CELL, PARAMS, X, mask=mask),
    )
    jax.tree.map(np.testing.assert_array_equal, by_lengths, by_mask)


def test_a_masked_step_in_the_middle_is_as_if_it_had_not_been() -> None:
    mask = jnp.ones((B, T), bool).at[:, 2].set(False)
    final, y = unroll(CELL, PARAMS, X, mask=mask)
    without, y_without = unroll(CELL, PARAMS, jnp.delete(X, 2, axis=1))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-7), final, without)
    np.testing.assert_allclose(np.delete(y, 2, axis=1), y_without, rtol=1e-6, atol=1e-7)
    assert not y[:, 2].any()


def test_reverse_is_forward_over_flipped_time() -> None:
    final, y = unroll(CELL, PARAMS, X, reverse=True)
    flipped, y_flipped = unroll(CELL, PARAMS, X[:, ::-1])
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), final, flipped)
    np.testing.assert_allclose(y, y_flipped[:, ::-1], rtol=1e-6)


@dataclass(frozen=True)
class Noisy(Elman):
    """Draws its biases anew in every call that has a key."""

    def prepare(self, params: ElmanParams, key: Array | None = None) -> ElmanParams:
        return params if key is None else params._replace(b=jax.random.normal(key, params.b.shape))


def test_prepare_draws_once_per_call_from_the_key() -> None:
    params, x = Noisy().init(jax.random.key(0), D, H), jnp.zeros((1, T, D))
    key = jax.random.key(1)
    # The other half of the key is for noise on the input.
    drawn = params._replace(b=jax.random.normal(jax.random.split(key)[0], (H,)))
    noisy = unroll(Noisy(), params, x, key=key)
    jax.tree.map(np.testing.assert_array_equal, noisy, unroll(Elman(), drawn, x))
    assert not unroll(Noisy(), params, x)[1].any()


@dataclass(frozen=True)
class Disturbed(Noisy):
    """Reads noise in place of its input."""

    def disturb(self, params: ElmanParams, x: Array, key: Array | None = None) -> Array:
        return x if key is None else jax.random.normal(key, x.shape)


def test_noise_on_the_input_is_drawn_from_the_key_s_other_half() -> None:
    params, x = Noisy().init(jax.random.key(0), D, H), jnp.zeros((2, T, D))
    key = jax.random.key(1)
    drawn = jax.random.normal(jax.random.split(key)[1], x.shape)
    disturbed = unroll(Disturbed(), params, x, key=key)
    jax.tree.map(np.testing.assert_array_equal, disturbed, unroll(Noisy(), params, drawn, key=key))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[0]}, r"x: shape \(5, 2\)"),
        ({"x": X[:, :0]}, r"x: shape \(3, 0, 2\)"),
        ({"mask": jnp.ones((B, T), bool), "lengths": jnp.full(B, T)}, "both given"),
        ({"lengths": jnp.full(B + 1, T)}, r"lengths: shape \(4,\): .*\(3,\)"),
        ({"mask": jnp.ones((T, B), bool)}, r"mask: shape \(5, 3\): .*\(3, 5\)"),
        ({"reset": jnp.ones(T, bool)}, r"reset: shape \(5,\): .*\(3, 5\)"),
        ({"carry": ElmanCarry(CARRY.h)}, "carry: shapes"),
        ({"carry": jax.tree.map(lambda c: c[:1], CARRY)}, "carry: shapes"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(change: dict[str, Any], message: str) -> None:
    arguments = {"x": X, **change}
    with pytest.raises(UsageError, match=message) as refusal:
        unroll(CELL, PARAMS, arguments.pop("x"), **arguments)
    assert "\n" not in str(refusal.value)
