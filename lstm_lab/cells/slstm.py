"""The LSTM with exponential gates: sLSTM, the scalar-memory half of xLSTM.

    g_t = tanh(ĝ_t),   o_t = σ(ô_t),   i_t = exp(î_t),   f_t = σ(f̂_t) or exp(f̂_t)
    c_t = f_t c_{t-1} + i_t g_t                                   the cell state
    n_t = f_t n_{t-1} + i_t                                       how much has been written: the normaliser
    h_t = o_t c_t / n_t,      y_t = h_t

where every pre-activation is W x_t + U h_{t-1} + b. M. Beck et al., "xLSTM: extended long short-term memory"
(2024), section 2.2. An exponential input gate lets a late, strong input outweigh all before it: the memory
can revise what it stored. Exponentials overflow, so the state is kept divided by exp(m_t), with the
stabiliser of the same section,

    m_t = max(log f_t + m_{t-1}, î_t),   i'_t = exp(î_t - m_t),   f'_t = exp(log f_t + m_{t-1} - m_t),

which leaves h as it is. Where n = 0 nothing is kept, so m_t = î_t: the first step shows o_1 g_1 whatever
the size of its gates.

Blocks stand in the order i f g o (the paper calls g z). Differs from the paper in one full recurrent
matrix where it has a block per head, and in drawing weights as torch does; b_f starts at `forget_bias`.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, squash, uniform


class SLSTMParams(NamedTuple):
    """Weights, blocks i f g o: `W [D, 4H]`, `U [H, 4H]`, `b [4H]`."""

    W: Array
    U: Array
    b: Array


class SLSTMCarry(NamedTuple):
    """Hidden state `h`, cell state `c`, normaliser `n` and stabiliser `m`, each `[..., H]`."""

    h: Array
    c: Array
    n: Array
    m: Array


@dataclass(frozen=True)
class SLSTM(Cell):
    """An LSTM with exponential gates and a normalised cell state.

    Attributes:
        forget: the forget gate's squashing.
        forget_bias: initial b_f.
    """

    forget: Literal["sigmoid", "exp"] = "sigmoid"
    forget_bias: float = 1.0

    def init(self, key: Array, d_in: int, d_hidden: int) -> SLSTMParams:
        check_sizes(d_in, d_hidden)
        key_w, key_u = jax.random.split(key)
        zero = jnp.zeros(d_hidden, jnp.float32)
        return SLSTMParams(
            W=uniform(key_w, (d_in, 4 * d_hidden), d_hidden),
            U=uniform(key_u, (d_hidden, 4 * d_hidden), d_hidden),
            b=jnp.concatenate([zero, zero + self.forget_bias, zero, zero]),
        )

    def carry(self, params: SLSTMParams, batch: int) -> SLSTMCarry:
        zero = jnp.zeros((batch, params.U.shape[0]), params.U.dtype)
        return SLSTMCarry(zero, zero, zero, zero)

    def project(self, params: SLSTMParams, x: Array) -> Array:
        return x @ params.W + params.b

    def recur(self, params: SLSTMParams, carry: SLSTMCarry) -> Array:
        return carry.h @ params.U

    def gates(
        self, params: SLSTMParams, carry: SLSTMCarry, z: Array, r: Array
    ) -> tuple[SLSTMCarry, Array]:
        H = params.U.shape[0]
        log_i, f, rest = jnp.split(z + r, (H, 2 * H), axis=-1)
        g, o = squash(rest, ("tanh", "sigmoid"))
        log_f = f if self.forget == "exp" else jax.nn.log_sigmoid(f)
        fresh = carry.n == 0
        m = jnp.where(fresh, log_i, jnp.maximum(log_f + carry.m, log_i))
        # What is masked must not overflow either: its derivative would be 0 · ∞.
        fade = jnp.where(fresh, jnp.zeros_like(m), log_f + carry.m - m)
        kept = jnp.where(fresh, jnp.zeros_like(m), jnp.exp(fade))
        i = jnp.exp(log_i - m)
        c = kept * carry.c + i * g
        n = kept * carry.n + i
        h = o * c / n
        return SLSTMCarry(h, c, n, m), h

    @property
    def label(self) -> str:
        return "sLSTM" if self.forget == "sigmoid" else "sLSTM exponential forget gate"
