"""Beam search: the likeliest continuation among those that look likely all the way.

Of `width` texts each is continued by every symbol, and the likeliest `width` of all those are kept, with a snapshot
of the state each of them has reached: going on from another text is taking over its carry, and nothing is read
again. A beam of 1 takes the likeliest symbol each time; one as wide as there are texts finds the likeliest text.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial

from lstm_lab.errors import NonFiniteError, UsageError
from lstm_lab.text.sampling import Apply

Carry = Any


def beam_search(
    apply: Apply, carry: Carry, prompt: np.ndarray, length: int, width: int
) -> tuple[np.ndarray, float]:
    """Continue a prompt.

    Args:
        apply: the model, see `text.sampling.generate`.
        carry: the state before the prompt, of one row.
        prompt: ids, int [T], T at least 1.
        length: symbols to find.
        width: texts that are kept.

    Returns:
        ids, int32 [length], and their log-probability, in nats.

    Raises:
        UsageError: the prompt is empty, or a size is none.
        NonFiniteError: the model's logits are NaN.
    """
    prompt = np.asarray(prompt)
    if prompt.ndim != 1 or not prompt.size:
        raise UsageError(
            f"prompt: got ids of shape {prompt.shape}, wanted [T] with at least one symbol: "
            "start from a newline if there is nothing to continue"
        )
    for name, value in (("length", length), ("beam", width)):
        if value < 1:
            raise UsageError(f"{name}: {value}: give at least 1")
    model = apply if isinstance(apply, Partial) else Partial(apply)
    ids, score = _search(
        model, carry, jnp.asarray(prompt, jnp.int32)[None], length=length, width=width
    )
    if not np.isfinite(score):
        raise NonFiniteError(
            "generate: the logits are not finite: the model has diverged, take an earlier checkpoint",
            step=0,
            tensor="logits",
        )
    return np.asarray(ids), float(score)


@partial(jax.jit, static_argnames=("length", "width"))
def _search(
    model: Apply, carry: Carry, prompt: Array, *, length: int, width: int
) -> tuple[Array, Array]:
    """The best ids [length], and their log-probability."""

    def everywhere(leaf: Array) -> Array:
        return jnp.broadcast_to(leaf, (width, *leaf.shape[1:]))

    carry, logits = model(prompt, carry)
    carry, logits = jax.tree.map(everywhere, (carry, logits[:, -1]))
    # All begin alike: but for the first they would be counted several times.
    scores = jnp.where(jnp.arange(width) == 0, 0.0, -jnp.inf)

    def step(
        state: tuple[Carry, Array, Array], _: None
    ) -> tuple[tuple[Carry, Array, Array], tuple[Array, Array]]:
        carry, logits, scores = state
        total = scores[:, None] + jax.nn.log_softmax(logits.astype(jnp.float32))
        scores, chosen = jax.lax.top_k(total.ravel(), width)
        parent, ids = jnp.divmod(chosen.astype(jnp.int32), jnp.int32(logits.shape[-1]))
        carry = jax.tree.map(lambda leaf: leaf[parent], carry)
        carry, after = model(ids[:, None], carry)
        return (carry, after[:, -1], scores), (parent, ids)

    (_, _, scores), (parents, ids) = jax.lax.scan(
        step, (carry, logits, scores), None, length=length
    )

    def back(row: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
        parent, ids = at
        return parent[row], ids[row]

    _, best = jax.lax.scan(back, jnp.int32(0), (parents, ids), reverse=True)
    return best, scores[0]
