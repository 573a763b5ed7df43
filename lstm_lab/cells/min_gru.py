"""The minimal gated recurrent unit: a GRU whose gates do not look back.

    u_t = σ(W_u x_t + b_u)                            how much of the past to replace
    n_t = W_n x_t + b_n                               what could be written
    h_t = (1 - u_t) ∘ h_{t-1} + u_t ∘ n_t,      y_t = h_t

L. Feng, F. Tung, M. O. Ahmed, Y. Bengio and H. Hajimirsadeghi, "Were RNNs all we needed?" (2024),
section 3.1. The paper calls the gate z, a letter that here means the input projection, and the
candidate h with a tilde. Neither needs the carry, so the recurrence is linear and any schedule that
serves linear cells runs it.

`positive` is the form of the paper's appendix B, made for a parallel scan in log space: the candidate
is g(W_n x + b_n) with g(v) = v + 1/2 from zero up and σ(v) below, so h stays positive, and h starts at
g(0) = 1/2. Here the scan itself runs in linear space: with 0 < a < 1 and b > 0 it cannot overflow.

Differs from the paper in nothing else. Blocks stand in the order u n.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import LinearCell, check_sizes, positive, uniform


class MinGRUParams(NamedTuple):
    """Weights of a minimal GRU, blocks u n: `W [D, 2H]`, `b [2H]`."""

    W: Array
    b: Array


class MinGRUCarry(NamedTuple):
    """The hidden state `h [..., H]`."""

    h: Array


@dataclass(frozen=True)
class MinGRU(LinearCell):
    """A GRU whose gates see the input alone.

    Attributes:
        positive: keep the state positive, as the paper's log-space form does.
    """

    positive: bool = False

    def init(self, key: Array, d_in: int, d_hidden: int) -> MinGRUParams:
        check_sizes(d_in, d_hidden)
        # torch.nn.Linear's bound, which the paper's code leaves as it is.
        W = uniform(key, (d_in, 2 * d_hidden), d_in)
        return MinGRUParams(W, jnp.zeros(2 * d_hidden, jnp.float32))

    def carry(self, params: MinGRUParams, batch: int) -> MinGRUCarry:
        shape = (batch, params.b.shape[0] // 2)
        return MinGRUCarry(jnp.full(shape, 0.5 if self.positive else 0.0, params.W.dtype))

    def project(self, params: MinGRUParams, x: Array) -> Array:
        return x @ params.W + params.b

    def coefficients(self, params: MinGRUParams, z: Array) -> tuple[MinGRUCarry, MinGRUCarry]:
        del params
        u, n = jnp.split(z, 2, axis=-1)
        u = jax.nn.sigmoid(u)
        n = positive(n) if self.positive else n
        return MinGRUCarry(1 - u), MinGRUCarry(u * n)

    @property
    def label(self) -> str:
        return "minGRU positive" if self.positive else "minGRU"
