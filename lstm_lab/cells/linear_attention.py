"""Causal attention without the softmax, which makes it a recurrent network with a matrix for a state.

    q_t = φ(W_q x_t),   k_t = φ(W_k x_t),   v_t = W_v x_t,      φ(a) = elu(a) + 1
    S_t = S_{t-1} + k_t v_tᵀ                                      all that was ever stored, key by value
    s_t = s_{t-1} + k_t                                           how much was stored under each key
    y_t = S_tᵀ q_t / (s_t · q_t)

A. Katharopoulos, A. Vyas, N. Pappas and F. Fleuret, "Transformers are RNNs: fast autoregressive transformers
with linear attention" (2020), section 3.4, equations 16 to 20; φ is equation 7. Nothing is ever forgotten:
the state only grows, and what a query finds is a mean of all values weighed by how well their keys fit.

One head, with as many features in a key as in a value. The paper calls s z, a letter that here means the
input projection. Weights are drawn as by `torch.nn.Linear`, without biases; blocks stand in the order q k v.
The state is H² numbers per sequence, and `Associative` keeps it for every step: T H² per row.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import LinearCell, check_sizes, uniform


class LinearAttentionParams(NamedTuple):
    """Weights, blocks q k v: `W [D, 3H]`."""

    W: Array


class LinearAttentionCarry(NamedTuple):
    """The memory `S [..., H, H]`, keys by values, and its normaliser `s [..., H]`."""

    S: Array
    s: Array


@dataclass(frozen=True)
class LinearAttention(LinearCell):
    """Causal linear attention with one head."""

    def init(self, key: Array, d_in: int, d_hidden: int) -> LinearAttentionParams:
        check_sizes(d_in, d_hidden)
        return LinearAttentionParams(uniform(key, (d_in, 3 * d_hidden), d_in))

    def carry(self, params: LinearAttentionParams, batch: int) -> LinearAttentionCarry:
        H, dtype = params.W.shape[1] // 3, params.W.dtype
        return LinearAttentionCarry(jnp.zeros((batch, H, H), dtype), jnp.zeros((batch, H), dtype))

    def project(self, params: LinearAttentionParams, x: Array) -> Array:
        return x @ params.W

    def coefficients(
        self, params: LinearAttentionParams, z: Array
    ) -> tuple[LinearAttentionCarry, LinearAttentionCarry]:
        del params
        _, k, v = jnp.split(z, 3, axis=-1)
        k = jax.nn.elu(k) + 1
        b = LinearAttentionCarry(k[..., :, None] * v[..., None, :], k)
        return jax.tree.map(jnp.ones_like, b), b

    def emit(self, params: LinearAttentionParams, carry: LinearAttentionCarry, z: Array) -> Array:
        del params
        q = jax.nn.elu(jnp.split(z, 3, axis=-1)[0]) + 1
        found = jnp.einsum("...kv,...k->...v", carry.S, q)
        stored = jnp.einsum("...k,...k->...", carry.s, q)[..., None]
        # Before the first step that counts nothing is stored, and 0 / 0 would reach the gradient.
        return found / jnp.where(stored == 0, jnp.ones_like(stored), stored)

    @property
    def label(self) -> str:
        return "linear attention"
