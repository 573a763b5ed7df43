"""Update gate recurrent network.

    c_t = tanh(W_c x_t + U_c h_{t-1} + b_c)             what an Elman network would do
    g_t = σ(W_g x_t + U_g h_{t-1} + b_g)                how much of the past to keep instead
    h_t = g_t ∘ h_{t-1} + (1 - g_t) ∘ c_t,      y_t = h_t

J. Collins, J. Sohl-Dickstein and D. Sussillo, "Capacity and trainability in recurrent neural networks"
(2017), where it is one of two new cells: an Elman network with one gate, or a GRU without its reset.
Nothing is gated ahead of the product, so one product per step serves both blocks, in the order c g.

The paper adds a constant b_fg to the gate's pre-activation. A constant and a trained bias are one bias,
so here b_g is drawn as that constant: `forget_bias`, 1 unless told, which is the default of
TensorFlow's `UGRNNCell` and puts g at σ(1) = 0.73. The functions are the same; only weight decay, were
it to reach biases, would tell the two apart. b_c is drawn as zero, the weights as in torch's GRU.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, squash, uniform


class UGRNNParams(NamedTuple):
    """Weights of a UGRNN, blocks c g: `W [D, 2H]`, `U [H, 2H]`, `b [2H]`."""

    W: Array
    U: Array
    b: Array


class UGRNNCarry(NamedTuple):
    """The hidden state `h [..., H]`."""

    h: Array


@dataclass(frozen=True)
class UGRNN(Cell):
    """An Elman network with one gate between the old state and the new.

    Attributes:
        forget_bias: initial b_g, the paper's b_fg; the larger, the longer the state is kept.
    """

    forget_bias: float = 1.0

    def init(self, key: Array, d_in: int, d_hidden: int) -> UGRNNParams:
        check_sizes(d_in, d_hidden)
        key_w, key_u = jax.random.split(key)
        zero = jnp.zeros(d_hidden, jnp.float32)
        return UGRNNParams(
            W=uniform(key_w, (d_in, 2 * d_hidden), d_hidden),
            U=uniform(key_u, (d_hidden, 2 * d_hidden), d_hidden),
            b=jnp.concatenate([zero, zero + self.forget_bias]),
        )

    def carry(self, params: UGRNNParams, batch: int) -> UGRNNCarry:
        return UGRNNCarry(jnp.zeros((batch, params.U.shape[0]), params.U.dtype))

    def project(self, params: UGRNNParams, x: Array) -> Array:
        return x @ params.W + params.b

    def recur(self, params: UGRNNParams, carry: UGRNNCarry) -> Array:
        return carry.h @ params.U

    def gates(
        self, params: UGRNNParams, carry: UGRNNCarry, z: Array, r: Array
    ) -> tuple[UGRNNCarry, Array]:
        c, g = squash(z + r, ("tanh", "sigmoid"))
        h = g * carry.h + (1 - g) * c
        return UGRNNCarry(h), h

    @property
    def label(self) -> str:
        return f"UGRNN forget bias {self.forget_bias:g}"
