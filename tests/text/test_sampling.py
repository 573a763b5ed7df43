"""Sampling draws from exactly the set and the odds it was asked for, whatever the chunk."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jax import Array
from jax.tree_util import Partial

from lstm_lab.errors import NonFiniteError, UsageError
from lstm_lab.text.sampling import Sampling, generate, penalise, sample, warp

V = 7
LOGITS = st.lists(st.floats(-50, 50, width=32), min_size=V, max_size=V)
TEMPERATURES = [0.0, 5e-324, 1e-30, 1e-3, 1.0, 1e30, 1e300]


def kept(logits: Array) -> set[int]:
    """Return the symbols that may be drawn."""
    return set(np.flatnonzero(np.isfinite(np.asarray(logits))).tolist())


@given(LOGITS, st.sampled_from([0.5, 1.0, 2.0]))
def test_temperature_divides_the_logits(logits: list[float], temperature: float) -> None:
    got = jax.nn.softmax(warp(jnp.array(logits, jnp.float32), Sampling(temperature)))
    scaled = np.array(logits, np.float64) / temperature
    want = np.exp(scaled - scaled.max())
    np.testing.assert_allclose(got, want / want.sum(), atol=1e-5)


@given(LOGITS, st.integers(1, V))
def test_top_k_keeps_the_k_likeliest_and_the_lower_id_of_equals(
    logits: list[float], k: int
) -> None:
    rounded = np.round(np.array(logits, np.float32) / 20)  # many ties
    want = sorted(range(V), key=lambda i: (-rounded[i], i))[:k]
    assert kept(warp(jnp.array(rounded), Sampling(1.0, top_k=k))) == set(want)


@given(LOGITS, st.floats(0.01, 0.99))
def test_top_p_keeps_the_fewest_that_reach_p(logits: list[float], p: float) -> None:
    array = np.array(logits, np.float64)
    probabilities = np.exp(array - array.max()) / np.exp(array - array.max()).sum()
    order = np.argsort(-np.array(logits, np.float32), kind="stable")
    reached = np.cumsum(probabilities[order])
    assume(np.abs(reached - p).min() > 1e-5)  # within rounding of p, either set is right
    want = order[: int(np.searchsorted(reached, p)) + 1]
    got = warp(jnp.array(logits, jnp.float32), Sampling(1.0, top_p=p))
    assert kept(got) == set(want.tolist())


def test_top_p_is_taken_of_what_top_k_left() -> None:
    logits = jnp.log(jnp.array([0.4, 0.3, 0.2, 0.1], jnp.float32))
    assert kept(warp(logits, Sampling(1.0, top_p=0.55))) == {0, 1}
    # Of the two that top k leaves the first has 4/7, which reaches 0.55 alone.
    assert kept(warp(logits, Sampling(1.0, top_k=2, top_p=0.55))) == {0}


@pytest.mark.parametrize("top_p", [1e-30, 1e-300])
def test_a_tiny_top_p_keeps_the_likeliest(top_p: float) -> None:
    assert kept(warp(jnp.array([0.0, 2.0, 1.0]), Sampling(1.0, top_p=top_p))) == {1}


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(
    "row",
    [[0.0] * V, [3e38, -3e38, 0, 1, 2, 3, 4], [-math.inf, 1e-30, 0, -math.inf, -1, -2, -3]],
)
def test_no_temperature_gives_nan(row: list[float], dtype: jnp.dtype, temperature: float) -> None:
    logits = jnp.array(row, jnp.float32).astype(dtype)
    for sampling in (Sampling(temperature), Sampling(temperature, top_k=3, top_p=0.9)):
        warped = np.asarray(warp(logits, sampling))
        assert not np.isnan(warped).any()
        assert warped.max() == 0
        assert np.isfinite(row[int(sample(jax.random.key(0), logits, sampling))])


@given(LOGITS)
def test_temperature_zero_is_the_argmax(logits: list[float]) -> None:
    array = jnp.array(logits, jnp.float32)
    best = int(np.argmax(np.array(logits, np.float32)))
    draws = {int(sample(jax.random.key(seed), array, Sampling(0.0))) for seed in range(3)}
    assert draws == {best}
    assert kept(warp(array, Sampling(0.0))) == {best}


def test_draws_have_the_warped_odds() -> None:
    p = np.array([0.5, 0.25, 0.125, 0.125], np.float32)
    logits = jnp.broadcast_to(jnp.log(jnp.array(p)), (20_000, 4))
    for sampling, odds in ((Sampling(1.0), p), (Sampling(1.0, top_k=2), [2 / 3, 1 / 3, 0, 0])):
        ids = np.asarray(sample(jax.random.key(0), logits, sampling))
        # 5 standard deviations of a frequency over 20,000 draws are at most 0.018.
        np.testing.assert_allclose(np.bincount(ids, minlength=4) / 20_000, odds, atol=0.018)


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        (Sampling(-1.0), "temperature: got -1.0"),
        (Sampling(float("nan")), "temperature: got nan"),
        (Sampling(float("inf")), "temperature: got inf"),
        (Sampling(top_k=0), "top_k: got 0"),
        (Sampling(top_k=V + 1), f"top_k: got {V + 1}, wanted 1 to {V}"),
        (Sampling(min_p=1.5), "min_p: got 1.5, wanted more than 0"),
        (Sampling(typical=0.0), "typical: got 0.0"),
        (Sampling(repetition=0.0), "repetition: got 0.0, wanted a finite number above 0"),
        (Sampling(repetition=float("nan")), "repetition: got nan"),
        (Sampling(top_p=0.0), "top_p: got 0.0"),
        (Sampling(top_p=1.1), "top_p: got 1.1"),
        (Sampling(top_p=float("nan")), "top_p: got nan"),
    ],
)
def test_settings_that_choose_nothing_are_refused(sampling: Sampling, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sampling.validate(V)


def test_sensible_settings_pass() -> None:
    for t, k, p in itertools.product(TEMPERATURES, (None, 1, V), (None, 1e-9, 1.0)):
        Sampling(t, k, p).validate(V)


def summing(weights: Array, tokens: Array, carry: Array) -> tuple[Array, Array]:
    """A toy model: the carry [B] sums the symbols, and the logits are a row of weights by it."""
    sums = carry[:, None] + jnp.cumsum(tokens, axis=1)
    return sums[:, -1], weights[sums % V]


def toy(seed: int = 0) -> Partial:
    """Return the toy model with random weights [V,V]."""
    return Partial(summing, jax.random.normal(jax.random.key(seed), (V, V)))


def run(length: int, chunk: int, sampling: Sampling = Sampling(), seed: int = 0) -> np.ndarray:
    """Return the whole generated text, int [2,length]."""
    prompt = np.array([[1, 2, 3], [4, 5, 6]])
    carry = jnp.zeros(2, jnp.int32)
    chunks = list(generate(toy(), carry, prompt, length, sampling, jax.random.key(seed), chunk))
    assert [c.shape[1] for c in chunks[:-1]] == [chunk] * (len(chunks) - 1)
    return np.concatenate(chunks, axis=1)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.0), Sampling(1.5, 3, 0.9)])
def test_the_text_does_not_depend_on_the_chunk(sampling: Sampling) -> None:
    whole = run(23, 64, sampling)
    assert whole.shape == (2, 23)
    for chunk in (1, 5):
        np.testing.assert_array_equal(run(23, chunk, sampling), whole)
    np.testing.assert_array_equal(run(9, 5, sampling), whole[:, :9])
    assert (run(23, 64, sampling, seed=1) != whole).any() == (sampling.temperature > 0)


def test_generation_carries_the_state_and_never_rereads() -> None:
    """The same as feeding the model its whole history anew for every symbol, taking the argmax."""
    history = np.array([[1, 2, 3], [4, 5, 6]])
    weights = np.asarray(toy().args[0])
    for _ in range(10):
        best = np.argmax(weights[history.sum(axis=1) % V], axis=-1)
        history = np.append(history, best[:, None], axis=1)
    np.testing.assert_array_equal(run(10, 5, Sampling(0.0)), history[:, 3:])


def test_parameters_in_a_partial_are_arguments_of_the_compiled_function() -> None:
    traced = []

    def spy(weights: Array, tokens: Array, carry: Array) -> tuple[Array, Array]:
        traced.append(weights)
        return summing(weights, tokens, carry)

    prompt, carry = np.zeros((1, 2), int), jnp.zeros(1, jnp.int32)
    for scale in (1.0, 2.0, 3.0):
        model = Partial(spy, jnp.full((V, V), scale))
        list(generate(model, carry, prompt, 4, Sampling(), jax.random.key(0)))
        if scale == 1.0:
            first = len(traced)
    assert len(traced) == first  # new values, no new trace
    assert all(isinstance(weights, jax.core.Tracer) for weights in traced)


def test_the_prompt_is_read_in_one_call_and_symbols_one_at_a_time() -> None:
    seen = []

    def spy(tokens: Array, carry: Array) -> tuple[Array, Array]:
        seen.append(tokens.shape)
        return carry, jnp.zeros((*tokens.shape, V))

    prompt = np.zeros((1, 50), int)
    list(generate(spy, jnp.zeros(1), prompt, 40, Sampling(), jax.random.key(0), 8))
    assert seen[0] == (1, 50)
    assert set(seen[1:]) == {(1, 1)}
    # Traced, not run, so a handful of times however many symbols are drawn.
    assert len(seen) <= 4


@pytest.mark.parametrize(
    ("prompt", "length", "chunk", "message"),
    [
        (np.zeros((1, 0), int), 5, 4, "start from a newline"),
        (np.zeros((0, 3), int), 5, 4, "wanted .B,T. with at least one symbol"),
        (np.zeros(3, int), 5, 4, "shape .3,., wanted .B,T."),
        (np.zeros((1, 3), int), 0, 4, "length: got 0"),
        (np.zeros((1, 3), int), -1, 4, "length: got -1"),
        (np.zeros((1, 3), int), 5, 0, "chunk: got 0"),
    ],
)
def test_bad_requests_are_refused_at_the_call(
    prompt: np.ndarray, length: int, chunk: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        generate(
            toy(), jnp.zeros(1, jnp.int32), prompt, length, Sampling(), jax.random.key(0), chunk
        )


def test_top_k_is_checked_against_the_models_vocabulary() -> None:
    prompt = np.zeros((1, 1), int)
    with pytest.raises(UsageError, match=f"wanted 1 to {V}"):
        generate(toy(), jnp.zeros(1, jnp.int32), prompt, 1, Sampling(top_k=8), jax.random.key(0))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_model_is_reported_with_the_symbol(bad: float) -> None:
    def diverges(tokens: Array, carry: Array) -> tuple[Array, Array]:
        count = carry + jnp.float32(tokens.shape[1])
        logits = jnp.where(count > 6, jnp.float32(bad), jnp.float32(0))
        return count, jnp.broadcast_to(logits, (*tokens.shape, V))

    prompt = np.zeros((1, 3), int)
    drawn = generate(diverges, jnp.float32(0), prompt, 9, Sampling(), jax.random.key(0), chunk=3)
    assert next(drawn).shape == (1, 3)
    with pytest.raises(NonFiniteError, match="symbol 4 ") as caught:
        next(drawn)
    assert (caught.value.step, caught.value.tensor) == (4, "logits")


@given(LOGITS, st.floats(0.01, 1.0))
def test_min_p_keeps_what_is_likely_beside_the_likeliest(logits: list[float], p: float) -> None:
    ratios = np.exp(np.array(logits, np.float64) - max(logits))
    assume(np.abs(ratios - p)[ratios < 1].min(initial=1) > 1e-5)
    got = warp(jnp.array(logits, jnp.float32), Sampling(1.0, min_p=p))
    assert kept(got) == set(np.flatnonzero(ratios >= p).tolist())


@given(LOGITS, st.floats(0.01, 0.99))
def test_typical_keeps_the_fewest_of_average_surprise_that_reach_it(
    logits: list[float], share: float
) -> None:
    array = np.array(logits, np.float64)
    p = np.exp(array - array.max()) / np.exp(array - array.max()).sum()
    surprise = np.log(np.exp(array - array.max()).sum()) - (array - array.max())
    distance = np.abs(surprise - np.sum(p * surprise))
    order = np.argsort(distance, kind="stable")
    reached = np.cumsum(p[order])
    # Within rounding, either order and either set is right.
    assume(np.diff(distance[order]).min() > 1e-3)
    assume(np.abs(reached - share).min() > 1e-5)
    want = order[: int(np.searchsorted(reached, share)) + 1]
    got = warp(jnp.array(logits, jnp.float32), Sampling(1.0, typical=share))
    assert kept(got) == set(want.tolist())
    assert float(got.max()) == 0


def test_what_was_read_or_drawn_is_reduced_on_either_side_of_zero() -> None:
    logits = jnp.array([[2.0, -2.0, 1.0]])
    seen = jnp.array([[True, True, False]])
    assert penalise(logits, seen, 2.0).tolist() == [[1.0, -4.0, 1.0]]
    assert penalise(logits, seen, 1.0) is logits


def test_repetition_leads_through_all_symbols_before_one_comes_again() -> None:
    def model(tokens: Array, carry: Array) -> tuple[Array, Array]:
        return carry, jnp.broadcast_to(jnp.linspace(1.0, 2.0, V), (*tokens.shape, V))

    def drawn(repetition: float) -> list[int]:
        sampling = Sampling(0.0, repetition=repetition)
        pieces = generate(
            model, jnp.zeros(2), np.array([[0], [3]]), V - 1, sampling, jax.random.key(0), chunk=4
        )
        return np.concatenate(list(pieces), axis=1)[1].tolist()

    assert drawn(1.0) == [V - 1] * (V - 1)
    # The prompt's symbol, 3, is the last choice.
    assert sorted(drawn(10.0)) == sorted(set(range(V)) - {3})
