"""Drawing text from a model's logits: how one symbol is chosen, and how a long text is generated.

`warp` reshapes the distribution, in this order, each step with the probabilities that the last has left::

    repetition   logit / theta where positive, logit * theta where negative, of every symbol read or drawn
    temperature  logits / tau      tau < 1 sharpens, tau > 1 flattens; 0 is the argmax
    top k        the k likeliest symbols
    top p        the fewest likeliest symbols that together reach probability p
    min p        the symbols at least min_p times as likely as the likeliest
    typical      the fewest symbols whose surprise is nearest the entropy, that together reach probability typical

Of equal logits the lower id is the likelier. Sources: repetition, Keskar, McCann, Varshney, Xiong and Socher (2019),
"CTRL", arXiv:1909.05858, section 4.1, which divides by theta whatever the sign: that would make a symbol with a
negative logit likelier, so it is multiplied here, as is usual. Top p ("nucleus"), Holtzman, Buys, Du, Forbes and Choi
(2020), "The curious case of neural text degeneration", ICLR, section 3.1. Min p, Nguyen, Baker, Neo, Roush, Kirsch and
Shwartz-Ziv (2024), "Turning up the heat", arXiv:2407.01082. Typical, Meister, Pimentel, Wiher and Cotterell (2023),
"Locally typical sampling", TACL 11.

`generate` reads the prompt in one call and then carries the state from symbol to symbol, so a text
of N symbols costs N steps. It never goes over the history again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial

from lstm_lab.errors import NonFiniteError, UsageError

Carry = Any
Apply = Callable[[Array, Carry], tuple[Carry, Array]]
"""(tokens int32 [B,T], carry) -> (carry, logits float [B,T,V]), traceable by JAX."""


@dataclass(frozen=True)
class Sampling:
    """How to choose the next symbol.

    Attributes:
        temperature: divides the logits; 0 always takes the likeliest symbol.
        top_k: how many of the likeliest symbols may be drawn; None for all.
        top_p: probability, in (0, 1], that the symbols that may be drawn must reach; None for 1.
        min_p: how likely, in (0, 1], a symbol must be beside the likeliest to be drawn; None for all.
        typical: probability, in (0, 1], that the symbols nearest the entropy must reach; None for 1.
        repetition: by how much the logits of symbols that were there before are reduced; 1 for not at all.
    """

    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical: float | None = None
    repetition: float = 1.0

    def validate(self, size: int | None = None) -> None:
        """Refuse settings that choose no symbol.

        Args:
            size: symbols V of the vocabulary, the most that `top_k` may ask for; None if unknown.

        Raises:
            UsageError: a setting is out of range.
        """
        if not 0 <= self.temperature < float("inf"):
            raise UsageError(
                f"temperature: got {self.temperature!r}, wanted a finite number of at least 0: "
                "try 0.8, or 0 for the likeliest symbol"
            )
        if self.top_k is not None and not 1 <= self.top_k <= (size or self.top_k):
            most = f"1 to {size}, the vocabulary" if size else "1 or more"
            raise UsageError(f"top_k: got {self.top_k!r}, wanted {most}: leave it out for all")
        for name in ("top_p", "min_p", "typical"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise UsageError(
                    f"{name}: got {value!r}, wanted more than 0 and at most 1: leave it out for all"
                )
        if not 0 < self.repetition < float("inf"):
            raise UsageError(
                f"repetition: got {self.repetition!r}, wanted a finite number above 0: try 1.2, or 1 for none"
            )


def warp(logits: Array, sampling: Sampling) -> Array:
    """Reshape a distribution before drawing from it.

    Args:
        logits: float [..., V], finite or -inf, at least one of them finite.
        sampling: how.

    Returns:
        Logits, float32 [..., V], the largest 0 and those of excluded symbols -inf; never NaN.
    """
    logits = logits.astype(jnp.float32)
    # The largest is made 0 first, so that a tiny temperature gives 0 and -inf, not inf - inf.
    logits = logits - logits.max(axis=-1, keepdims=True)
    top_k = sampling.top_k
    if sampling.temperature == 0:
        top_k = 1
    else:
        # XLA multiplies by the reciprocal, and one below float32's range is 0: -inf * 0 is NaN.
        tiny = float(np.finfo(np.float32).tiny)
        temperature = min(max(sampling.temperature, tiny), 1 / tiny)
        logits = logits / jnp.float32(temperature)
    order = jnp.argsort(logits, axis=-1, descending=True, stable=True)
    if top_k is not None:
        logits = jnp.where(jnp.argsort(order, axis=-1) < top_k, logits, -jnp.inf)
    if sampling.top_p is not None and sampling.top_p < 1:
        logits = _reaching(sampling.top_p, logits, order)
    if sampling.min_p is not None:
        # The largest logit is 0, so this is a ratio of probabilities; the likeliest stays even where log rounds up.
        logits = jnp.where(logits >= min(np.log(sampling.min_p), 0.0), logits, -jnp.inf)
    if sampling.typical is not None and sampling.typical < 1:
        surprise = -jax.nn.log_softmax(logits)
        p = jnp.exp(-surprise)
        entropy = jnp.sum(jnp.where(p > 0, p * surprise, 0.0), axis=-1, keepdims=True)
        nearest = jnp.argsort(jnp.abs(surprise - entropy), axis=-1, stable=True)
        logits = _reaching(sampling.typical, logits, nearest)
        # The likeliest may have gone.
        logits = logits - logits.max(axis=-1, keepdims=True)
    return logits


def _reaching(share: float, logits: Array, order: Array) -> Array:
    """Keep the fewest symbols that, taken in an order, together reach a probability; the first always."""
    p = jnp.take_along_axis(jax.nn.softmax(logits), order, axis=-1)
    before = jnp.cumsum(p, axis=-1) - p
    kept = (before < jnp.float32(share)).at[..., 0].set(True)
    rank = jnp.argsort(order, axis=-1)
    return jnp.where(jnp.take_along_axis(kept, rank, axis=-1), logits, -jnp.inf)


def penalise(logits: Array, seen: Array, repetition: float) -> Array:
    """Make symbols that were there before less likely.

    Args:
        logits: float [..., V].
        seen: which symbols were, bool [..., V].
        repetition: theta, above 0; below 1 they become likelier.

    Returns:
        Logits [..., V].
    """
    if repetition == 1:
        return logits
    theta = jnp.asarray(repetition, logits.dtype)
    return jnp.where(seen, jnp.where(logits > 0, logits / theta, logits * theta), logits)


def sample(key: Array, logits: Array, sampling: Sampling) -> Array:
    """Draw one symbol.

    Args:
        key: random key; not used at temperature 0.
        logits: float [..., V].
        sampling: how.

    Returns:
        ids, int32 [...].
    """
    if sampling.temperature == 0:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    return jax.random.categorical(key, warp(logits, sampling)).astype(jnp.int32)


def generate(
    apply: Apply,
    carry: Carry,
    prompt: np.ndarray,
    length: int,
    sampling: Sampling,
    key: Array,
    chunk: int = 64,
) -> Iterator[np.ndarray]:
    """Continue a prompt, handing out symbols as they are drawn.

    The text depends on the key alone: symbol i is drawn with `fold_in(key, i)`, whatever the chunk.

    Args:
        apply: the model. Hold its parameters in a `jax.tree_util.Partial`, so that they are
            arguments of the compiled function rather than constants in it.
        carry: the state before the prompt.
        prompt: ids, int [B,T], T at least 1.
        length: symbols to draw.
        sampling: how to choose each.
        key: random key.
        chunk: symbols drawn per compiled call; the last call may hand out fewer.

    Returns:
        An iterator over ids, int32 [B,t], t at most `chunk`, `length` altogether.

    Raises:
        UsageError: the prompt is empty, or a size or a sampling setting is out of range.
        NonFiniteError: while iterating, when the model's logits are NaN or +inf.
    """
    prompt = np.asarray(prompt)
    if prompt.ndim != 2 or 0 in prompt.shape:
        raise UsageError(
            f"prompt: got ids of shape {prompt.shape}, wanted [B,T] with at least one symbol: "
            "start from a newline if there is nothing to continue"
        )
    for name, value in (("length", length), ("chunk", chunk)):
        if value < 1:
            raise UsageError(
                f"{name}: got {value!r}, wanted at least 1: ask for one symbol or more"
            )
    sampling.validate()
    # A Partial is a tree whose arguments are traced; around another it would hide them.
    model = apply if isinstance(apply, Partial) else Partial(apply)
    carry, logits = _read(model, jnp.asarray(prompt, jnp.int32), carry)
    sampling.validate(logits.shape[-1])
    seen = np.zeros(logits.shape, bool)
    np.put_along_axis(seen, prompt, True, axis=-1)
    state = carry, logits, jnp.asarray(seen)
    return _draw_all(model, state, length, sampling, key, min(chunk, length))


State = tuple[Carry, Array, Array]
"""The carry, the logits [B,V] of the next symbol, and which symbols were there before, bool [B,V]."""


def _draw_all(
    model: Apply,
    state: State,
    length: int,
    sampling: Sampling,
    key: Array,
    chunk: int,
) -> Iterator[np.ndarray]:
    """Yield chunks; separate from `generate`, whose errors are raised at the call."""
    for start in range(0, length, chunk):
        state, ids, sound = _draw(
            model, state, key, jnp.int32(start), sampling=sampling, chunk=chunk
        )
        wanted = min(chunk, length - start)
        if not (usable := np.asarray(sound)[:wanted]).all():
            step = start + int(np.argmin(usable))
            raise NonFiniteError(
                f"generate: the logits for symbol {step} are not finite: "
                "the model has diverged, take an earlier checkpoint",
                step=step,
                tensor="logits",
            )
        yield np.asarray(ids)[:, :wanted]


@jax.jit
def _read(model: Apply, prompt: Array, carry: Carry) -> tuple[Carry, Array]:
    """Return the carry and the logits [B,V] after a prompt [B,T]."""
    carry, logits = model(prompt, carry)
    return carry, logits[:, -1]


@partial(jax.jit, static_argnames=("sampling", "chunk"))
def _draw(
    model: Apply, state: State, key: Array, start: Array, *, sampling: Sampling, chunk: int
) -> tuple[State, Array, Array]:
    """Draw a chunk: the state after it, ids [B,chunk], and which steps had sound logits."""

    def step(state: State, i: Array) -> tuple[State, tuple[Array, Array]]:
        carry, logits, seen = state
        # -inf is a symbol ruled out; NaN, +inf and a row of -inf are a model that has diverged.
        sound = jnp.isfinite(logits.max(axis=-1)).all()
        reduced = penalise(logits, seen, sampling.repetition)
        ids = sample(jax.random.fold_in(key, i), reduced, sampling)
        carry, after = model(ids[:, None], carry)
        return (carry, after[:, -1], seen | jax.nn.one_hot(ids, seen.shape[-1], dtype=bool)), (
            ids,
            sound,
        )

    state, (ids, sound) = jax.lax.scan(step, state, start + jnp.arange(chunk, dtype=jnp.int32))
    return state, ids.T, sound
