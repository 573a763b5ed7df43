"""Linear attention that corrects what it stored: the delta rule.

    q_t = φ(W_q x_t),   k_t = φ(W_k x_t),   v_t = W_v x_t,   β_t = σ(w_β x_t + b_β)
    S_t = S_{t-1} + β_t k_t (v_t - S_{t-1}ᵀ k_t)ᵀ                 write the error of what the key recalls
    y_t = S_tᵀ q_t,      φ(a) = (elu(a) + 1) / Σ (elu(a) + 1)

I. Schlag, K. Irie and J. Schmidhuber, "Linear transformers are secretly fast weight programmers" (2021),
section 4.2: where linear attention can only add, an old value under the same key is here replaced, by the
fraction β. The rule is that of B. Widrow and M. Hoff (1960). Keys and queries sum to one, as in the paper's
sum normalisation, so the state stays bounded; the paper's own φ, DPFP, is not here.

The error needs the state, so two products with it stand in the loop, inside `gates`: right, but not for a
schedule of linear cells, though S is linear in S. One head, as many features in a key as in a value.
Weights are drawn as by `torch.nn.Linear`, b_β as zero; blocks stand in the order q k v β.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, uniform


class DeltaNetParams(NamedTuple):
    """Weights, blocks q k v of H columns and β of one: `W [D, 3H + 1]`; the bias of β: `b [1]`."""

    W: Array
    b: Array


class DeltaNetCarry(NamedTuple):
    """The memory `S [..., H, H]`, keys by values."""

    S: Array


@dataclass(frozen=True)
class DeltaNet(Cell):
    """A fast weight memory written by the delta rule."""

    def init(self, key: Array, d_in: int, d_hidden: int) -> DeltaNetParams:
        check_sizes(d_in, d_hidden)
        W = uniform(key, (d_in, 3 * d_hidden + 1), d_in)
        return DeltaNetParams(W, jnp.zeros(1, jnp.float32))

    def carry(self, params: DeltaNetParams, batch: int) -> DeltaNetCarry:
        H = params.W.shape[1] // 3
        return DeltaNetCarry(jnp.zeros((batch, H, H), params.W.dtype))

    def project(self, params: DeltaNetParams, x: Array) -> Array:
        return x @ params.W + jnp.pad(params.b, (params.W.shape[1] - 1, 0))

    def recur(self, params: DeltaNetParams, carry: DeltaNetCarry) -> Array:
        del params
        return carry.S[..., 0, :0]

    def gates(
        self, params: DeltaNetParams, carry: DeltaNetCarry, z: Array, r: Array
    ) -> tuple[DeltaNetCarry, Array]:
        del params, r
        H = carry.S.shape[-1]
        q, k, v, b = jnp.split(z, (H, 2 * H, 3 * H), axis=-1)
        q, k, beta = simplex(q), simplex(k), jax.nn.sigmoid(b)
        error = v - jnp.einsum("...kv,...k->...v", carry.S, k)
        S = carry.S + k[..., :, None] * (beta * error)[..., None, :]
        return DeltaNetCarry(S), jnp.einsum("...kv,...k->...v", S, q)

    @property
    def label(self) -> str:
        return "DeltaNet"


def simplex(a: Array) -> Array:
    """Positive features that sum to one."""
    positive = jax.nn.elu(a) + 1
    return positive / jnp.sum(positive, axis=-1, keepdims=True)
