"""The minimal LSTM: forget and input gates that do not look back and share one unit of weight.

    f_t = σ(W_f x_t + b_f)                            how strongly to keep
    i_t = σ(W_i x_t + b_i)                            how strongly to write
    n_t = W_n x_t + b_n                               what could be written
    f'_t = f_t / (f_t + i_t),      i'_t = i_t / (f_t + i_t)
    h_t = f'_t ∘ h_{t-1} + i'_t ∘ n_t,      y_t = h_t

L. Feng, F. Tung, M. O. Ahmed, Y. Bengio and H. Hajimirsadeghi, "Were RNNs all we needed?" (2024),
section 3.2. The paper writes the candidate n as h with a tilde. Output gate and cell state are gone, and
because f' and i' sum to one, h stays on the scale of n however long the sequence. No gate needs the
carry, so the recurrence is linear and any schedule that serves linear cells runs it.

`positive` is the form of the paper's appendix B, as in `min_gru.py`: the candidate is g(W_n x + b_n), so h
stays positive, and h starts at g(0) = 1/2. The scan itself runs in linear space.

f' is taken as σ(log f - log i), the same number: in single precision both gates may round to zero, and
0 / 0 is none. Differs from the paper in nothing else. Weights are drawn as by `torch.nn.Linear`, biases
as zero. Blocks stand in the order f i n.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import LinearCell, check_sizes, positive, uniform


class MinLSTMParams(NamedTuple):
    """Weights of a minimal LSTM, blocks f i n: `W [D, 3H]`, `b [3H]`."""

    W: Array
    b: Array


class MinLSTMCarry(NamedTuple):
    """The hidden state `h [..., H]`."""

    h: Array


@dataclass(frozen=True)
class MinLSTM(LinearCell):
    """An LSTM whose gates see the input alone and sum to one.

    Attributes:
        positive: keep the state positive, as the paper's log-space form does.
    """

    positive: bool = False

    def init(self, key: Array, d_in: int, d_hidden: int) -> MinLSTMParams:
        check_sizes(d_in, d_hidden)
        # torch.nn.Linear's bound goes by the fan-in, which here is D.
        W = uniform(key, (d_in, 3 * d_hidden), d_in)
        return MinLSTMParams(W, jnp.zeros(3 * d_hidden, jnp.float32))

    def carry(self, params: MinLSTMParams, batch: int) -> MinLSTMCarry:
        shape = (batch, params.b.shape[0] // 3)
        return MinLSTMCarry(jnp.full(shape, 0.5 if self.positive else 0.0, params.W.dtype))

    def project(self, params: MinLSTMParams, x: Array) -> Array:
        return x @ params.W + params.b

    def coefficients(self, params: MinLSTMParams, z: Array) -> tuple[MinLSTMCarry, MinLSTMCarry]:
        del params
        f, i, n = jnp.split(z, 3, axis=-1)
        f = jax.nn.sigmoid(jax.nn.log_sigmoid(f) - jax.nn.log_sigmoid(i))
        n = positive(n) if self.positive else n
        return MinLSTMCarry(f), MinLSTMCarry((1 - f) * n)

    @property
    def label(self) -> str:
        return "minLSTM positive" if self.positive else "minLSTM"
