"""Drawing text from a model's logits: how one symbol is chosen, and how a long text is generated.

`warp` reshapes the distribution, in this order::

    temperature tau   logits / tau             tau < 1 sharpens, tau > 1 flattens; 0 is the argmax
    top k             the k likeliest symbols
    top p             the fewest likeliest symbols that together reach probability p

Top p ("nucleus") is Holtzman, Buys, Du, Forbes and Choi (2020), "The curious case of neural text
degeneration", ICLR, section 3.1; its probabilities are those left by temperature and top k. Of
equal logits the lower id is the likelier.

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
    """

    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None

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
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError(
                f"top_p: got {self.top_p!r}, wanted more than 0 and at most 1: leave it out for all"
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
    rank = jnp.argsort(order, axis=-1)
    if top_k is not None:
        logits = jnp.where(rank < top_k, logits, -jnp.inf)
    if sampling.top_p is not None and sampling.top_p < 1:
        p = jnp.take_along_axis(jax.nn.softmax(logits), order, axis=-1)
        before = jnp.cumsum(p, axis=-1) - p
        # The likeliest stays however small top_p is.
        kept = (before < jnp.float32(sampling.top_p)).at[..., 0].set(True)
        logits = jnp.where(jnp.take_along_axis(kept, rank, axis=-1), logits, -jnp.inf)
    return logits


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
    return _draw_all(model, carry, logits, length, sampling, key, min(chunk, length))


def _draw_all(
    model: Apply,
    carry: Carry,
    logits: Array,
    length: int,
    sampling: Sampling,
    key: Array,
    chunk: int,
) -> Iterator[np.ndarray]:
    """Yield chunks; separate from `generate`, whose errors are raised at the call."""
    for start in range(0, length, chunk):
        carry, logits, ids, sound = _draw(
            model, carry, logits, key, jnp.int32(start), sampling=sampling, chunk=chunk
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
    model: Apply,
    carry: Carry,
    logits: Array,
    key: Array,
    start: Array,
    *,
    sampling: Sampling,
    chunk: int,
) -> tuple[Carry, Array, Array, Array]:
    """Draw a chunk: carry, logits [B,V], ids [B,chunk], and which steps had sound logits."""

    def step(
        state: tuple[Carry, Array], i: Array
    ) -> tuple[tuple[Carry, Array], tuple[Array, Array]]:
        carry, logits = state
        # -inf is a symbol ruled out; NaN, +inf and a row of -inf are a model that has diverged.
        sound = jnp.isfinite(logits.max(axis=-1)).all()
        ids = sample(jax.random.fold_in(key, i), logits, sampling)
        carry, after = model(ids[:, None], carry)
        return (carry, after[:, -1]), (ids, sound)

    (carry, logits), (ids, sound) = jax.lax.scan(
        step, (carry, logits), start + jnp.arange(chunk, dtype=jnp.int32)
    )
    return carry, logits, ids.T, sound
