"""Minimal gated unit.

    f_t = σ(W_f x_t + U_f h_{t-1} + b_f)                      the only gate: how much of the past to replace
    n_t = tanh(W_n x_t + U_n (f_t ∘ h_{t-1}) + b_n)           what replaces it, seeing as much of the past
    h_t = (1 - f_t) ∘ h_{t-1} + f_t ∘ n_t,      y_t = h_t

G.-B. Zhou, J. Wu, C.-L. Zhang and Z.-H. Zhou, "Minimal gated unit for recurrent neural networks",
International Journal of Automation and Computing 13 (2016), table 1: a GRU that resets before the
product, with its update and reset gates made one. The paper writes the candidate as h with a tilde and
joins W and U into one matrix. The two blocks stand in the order f n.

Mind the direction: the paper calls f the forget gate, yet f = 1 forgets, the opposite of an LSTM's.
And since one gate does both, a unit that keeps its past (f near 0) also hides it from the candidate.

The gate acts before the product, so a second one stands in the loop, as in the GRU that resets before.
`flax.linen.MGUCell` gates after the product and swaps f and 1 - f in the last line (google/flax issue
4608), which is another cell. Weights are drawn as in torch's GRU and biases as zero: f starts near 1/2.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, squash, uniform


class MGUParams(NamedTuple):
    """Weights of an MGU, blocks f n: `W [D, 2H]`, `U [H, 2H]`, `b [2H]`."""

    W: Array
    U: Array
    b: Array


class MGUCarry(NamedTuple):
    """The hidden state `h [..., H]`."""

    h: Array


@dataclass(frozen=True)
class MGU(Cell):
    """A minimal gated unit: one gate both resets and updates."""

    def init(self, key: Array, d_in: int, d_hidden: int) -> MGUParams:
        check_sizes(d_in, d_hidden)
        key_w, key_u = jax.random.split(key)
        return MGUParams(
            W=uniform(key_w, (d_in, 2 * d_hidden), d_hidden),
            U=uniform(key_u, (d_hidden, 2 * d_hidden), d_hidden),
            b=jnp.zeros(2 * d_hidden, jnp.float32),
        )

    def carry(self, params: MGUParams, batch: int) -> MGUCarry:
        return MGUCarry(jnp.zeros((batch, params.U.shape[0]), params.U.dtype))

    def project(self, params: MGUParams, x: Array) -> Array:
        return x @ params.W + params.b

    def recur(self, params: MGUParams, carry: MGUCarry) -> Array:
        return carry.h @ params.U[:, : params.U.shape[0]]

    def gates(
        self, params: MGUParams, carry: MGUCarry, z: Array, r: Array
    ) -> tuple[MGUCarry, Array]:
        H = params.U.shape[0]
        z_f, z_n = jnp.split(z, (H,), axis=-1)
        (f,) = squash(z_f + r, ("sigmoid",))
        # The candidate waits for the gate, so this product cannot join the one in `recur`.
        n = jnp.tanh(z_n + (f * carry.h) @ params.U[:, H:])
        h = (1 - f) * carry.h + f * n
        return MGUCarry(h), h
