"""The LSTM with a matrix for a memory: mLSTM, the other half of xLSTM.

    q_t = W_q x_t,   k_t = W_k x_t / √H,   v_t = W_v x_t,   o_t = σ(W_o x_t + b_o)
    i_t = exp(w_i x_t + b_i),   f_t = σ(w_f x_t + b_f)                    one number each
    C_t = f_t C_{t-1} + i_t k_t v_tᵀ                                      the memory, key by value
    n_t = f_t n_{t-1} + i_t k_t                                           the normaliser
    h_t = o_t ∘ C_tᵀ q_t / max(|n_t · q_t|, 1),      y_t = h_t

M. Beck et al., "xLSTM: extended long short-term memory" (2024), section 2.3. No gate looks back, so there is
nothing to multiply in the loop but the memory itself. As in sLSTM the exponential is kept in range by a
stabiliser, m_t = max(log f_t + m_{t-1}, log i_t): C and n are held divided by exp(m), and the 1 above
becomes exp(-m). The start is m = 0 with an empty memory, which only sets that scale.

One head here. The paper writes C value by key. Weights are drawn as by `torch.nn.Linear`; biases are
zero but b_f, which starts at `forget_bias`: the paper's authors start it between 3 and 6 over the heads.
Blocks stand in the order q k v o of H columns, then i f of one.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, uniform

# A memory fainter than exp(-80) reads as zero either way, and exp(80) is still a float32.
FAINTEST = -80.0


class MLSTMParams(NamedTuple):
    """Weights, blocks q k v o of H columns and i f of one: `W [D, 4H + 2]`; blocks o i f: `b [H + 2]`."""

    W: Array
    b: Array


class MLSTMCarry(NamedTuple):
    """The memory `C [..., H, H]`, keys by values, the normaliser `n [..., H]`, the stabiliser `m [..., 1]`."""

    C: Array
    n: Array
    m: Array


@dataclass(frozen=True)
class MLSTM(Cell):
    """A gated matrix memory with one head.

    Attributes:
        forget_bias: initial b_f.
    """

    forget_bias: float = 3.0

    def init(self, key: Array, d_in: int, d_hidden: int) -> MLSTMParams:
        check_sizes(d_in, d_hidden)
        W = uniform(key, (d_in, 4 * d_hidden + 2), d_in)
        b = jnp.zeros(d_hidden + 2, jnp.float32).at[-1].set(self.forget_bias)
        return MLSTMParams(W, b)

    def carry(self, params: MLSTMParams, batch: int) -> MLSTMCarry:
        H, dtype = params.b.shape[0] - 2, params.W.dtype
        return MLSTMCarry(
            jnp.zeros((batch, H, H), dtype),
            jnp.zeros((batch, H), dtype),
            jnp.zeros((batch, 1), dtype),
        )

    def project(self, params: MLSTMParams, x: Array) -> Array:
        return x @ params.W + jnp.pad(params.b, (params.W.shape[1] - params.b.shape[0], 0))

    def recur(self, params: MLSTMParams, carry: MLSTMCarry) -> Array:
        del params
        return carry.n[..., :0]

    def gates(
        self, params: MLSTMParams, carry: MLSTMCarry, z: Array, r: Array
    ) -> tuple[MLSTMCarry, Array]:
        del params, r
        H = carry.n.shape[-1]
        q, k, v, o, log_i, f = jnp.split(z, (H, 2 * H, 3 * H, 4 * H, 4 * H + 1), axis=-1)
        k = k * H**-0.5
        log_f = jax.nn.log_sigmoid(f)
        m = jnp.maximum(log_f + carry.m, log_i)
        i, kept = jnp.exp(log_i - m), jnp.exp(log_f + carry.m - m)
        C = kept[..., None] * carry.C + (i * k)[..., :, None] * v[..., None, :]
        n = kept * carry.n + i * k
        found = jnp.einsum("...kv,...k->...v", C, q)
        weight = jnp.abs(jnp.sum(n * q, axis=-1, keepdims=True))
        h = jax.nn.sigmoid(o) * found / jnp.maximum(weight, jnp.exp(-jnp.maximum(m, FAINTEST)))
        return MLSTMCarry(C, n, m), h

    @property
    def label(self) -> str:
        return "mLSTM"
