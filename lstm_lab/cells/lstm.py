"""Long short-term memory.

    i_t = σ(W_i x_t + U_i h_{t-1} + b_i)          what to write
    f_t = σ(W_f x_t + U_f h_{t-1} + b_f)          what to keep
    g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)       what could be written
    o_t = σ(W_o x_t + U_o h_{t-1} + b_o)          what to show
    c_t = f_t ∘ c_{t-1} + i_t ∘ g_t               the cell state: additive, so an error signal survives
    h_t = o_t ∘ tanh(c_t),      y_t = h_t

S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), section 4; the
forget gate from F. Gers, J. Schmidhuber and F. Cummins, "Learning to forget" (2000), section 3. Without
peepholes, as in `torch.nn.LSTM` and Keras. The four blocks stand in the order i f g o.

How long c keeps a thing is set by b_i and b_f before anything is learned: `ForgetBias` puts b_f at a
constant, `Chrono` draws each unit its own time scale.

Differs from torch in its single bias, drawn as zero outside b_f and b_i.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, squash
from lstm_lab.cells.initial import ForgetBias, GateBiases, Uniform, Weights, unlike_torch


class LSTMParams(NamedTuple):
    """Weights of an LSTM, blocks i f g o: `W [D, 4H]`, `U [H, 4H]`, `b [4H]`."""

    W: Array
    U: Array
    b: Array


class LSTMCarry(NamedTuple):
    """The hidden state `h [..., H]` and the cell state `c [..., H]`."""

    h: Array
    c: Array


@dataclass(frozen=True)
class LSTM(Cell):
    """A long short-term memory cell with forget gate.

    Attributes:
        biases: how b_i and b_f are drawn.
        recurrent: how each gate's U is drawn.
        input: how each gate's W is drawn.
    """

    biases: GateBiases = ForgetBias()
    recurrent: Weights = Uniform()
    input: Weights = Uniform()

    def init(self, key: Array, d_in: int, d_hidden: int) -> LSTMParams:
        check_sizes(d_in, d_hidden)
        key_w, key_u, key_b = jax.random.split(key, 3)
        b_i, b_f = self.biases.draw(key_b, d_hidden)
        zero = jnp.zeros(d_hidden, jnp.float32)
        return LSTMParams(
            W=self.input.draw(key_w, d_in, d_hidden, gates=4),
            U=self.recurrent.draw(key_u, d_hidden, d_hidden, gates=4),
            b=jnp.concatenate([b_i, b_f, zero, zero]),
        )

    def carry(self, params: LSTMParams, batch: int) -> LSTMCarry:
        zero = jnp.zeros((batch, params.U.shape[0]), params.U.dtype)
        return LSTMCarry(zero, zero)

    def project(self, params: LSTMParams, x: Array) -> Array:
        return x @ params.W + params.b

    def recur(self, params: LSTMParams, carry: LSTMCarry) -> Array:
        return carry.h @ params.U

    def gates(
        self, params: LSTMParams, carry: LSTMCarry, z: Array, r: Array
    ) -> tuple[LSTMCarry, Array]:
        i, f, g, o = squash(z + r, ("sigmoid", "sigmoid", "tanh", "sigmoid"))
        c = f * carry.c + i * g
        h = o * jnp.tanh(c)
        return LSTMCarry(h, c), h

    @property
    def label(self) -> str:
        return f"LSTM {self.biases.label} {unlike_torch(self.recurrent, self.input)}".rstrip()
