"""The LSTM with layer normalisation: each step's pre-activations are put on one scale.

    a_t = LN(W x_t; α_x) + LN(U h_{t-1}; α_h) + b           all four blocks, i f g o
    c_t = σ(f_t) ∘ c_{t-1} + σ(i_t) ∘ tanh(g_t)             i_t, f_t, g_t, o_t the blocks of a_t
    h_t = σ(o_t) ∘ tanh(LN(c_t; α_c) + β_c),      y_t = h_t
    LN(a; α) = α ∘ (a - mean(a)) / √(var(a) + ε)            mean and variance over the units of one row

J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization" (2016), the equations of the LSTM in the
supplementary material. Statistics are those of one row at one step, so nothing is shared between the rows of
a batch or kept from one step to the next, and padding changes nothing. The two products are normalised
apart, each over all 4H pre-activations at once and not gate by gate; c itself is left as it is, only what is
shown of it is normalised. So the network does not change when W, U or x_t is multiplied by a positive number.

Differs from the paper in the biases: there LN has one of its own, β, and the gates have b; the β of the two
products and b only ever occur as a sum, which is b here. ε is that of the authors' code. Gains start at one
and biases at zero, as in the paper, but b_f at `forget_bias`; weights are drawn as by `lstm.LSTM`, so that
the two cells differ in normalisation alone. With one unit, c is normalised to zero and y_t = σ(o_t) tanh(β_c).

LN(W x_t) needs no carry and is formed outside the loop; LN(U h_{t-1}) is formed in `gates`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, squash, uniform

# The authors' code, layers.py.
EPSILON = 1e-5


class LayerNormLSTMParams(NamedTuple):
    """Weights, blocks i f g o: `W [D, 4H]`, `U [H, 4H]`, `b [4H]`; the gains of both products,
    `alpha_x [4H]` and `alpha_h [4H]`; gain and bias of the cell state, `alpha_c [H]` and `beta_c [H]`."""

    W: Array
    U: Array
    b: Array
    alpha_x: Array
    alpha_h: Array
    alpha_c: Array
    beta_c: Array


class LayerNormLSTMCarry(NamedTuple):
    """The hidden state `h [..., H]` and the cell state `c [..., H]`."""

    h: Array
    c: Array


@dataclass(frozen=True)
class LayerNormLSTM(Cell):
    """A long short-term memory cell with layer normalisation.

    Attributes:
        forget_bias: initial b_f.
    """

    forget_bias: float = 1.0

    def init(self, key: Array, d_in: int, d_hidden: int) -> LayerNormLSTMParams:
        check_sizes(d_in, d_hidden)
        key_w, key_u = jax.random.split(key)
        b = jnp.zeros(4 * d_hidden, jnp.float32)
        one = jnp.ones(4 * d_hidden, jnp.float32)
        return LayerNormLSTMParams(
            W=uniform(key_w, (d_in, 4 * d_hidden), d_hidden),
            U=uniform(key_u, (d_hidden, 4 * d_hidden), d_hidden),
            b=b.at[d_hidden : 2 * d_hidden].set(self.forget_bias),
            alpha_x=one,
            alpha_h=one,
            alpha_c=one[:d_hidden],
            beta_c=jnp.zeros(d_hidden, jnp.float32),
        )

    def carry(self, params: LayerNormLSTMParams, batch: int) -> LayerNormLSTMCarry:
        zero = jnp.zeros((batch, params.U.shape[0]), params.U.dtype)
        return LayerNormLSTMCarry(zero, zero)

    def project(self, params: LayerNormLSTMParams, x: Array) -> Array:
        return params.alpha_x * normalised(x @ params.W) + params.b

    def recur(self, params: LayerNormLSTMParams, carry: LayerNormLSTMCarry) -> Array:
        return carry.h @ params.U

    def gates(
        self, params: LayerNormLSTMParams, carry: LayerNormLSTMCarry, z: Array, r: Array
    ) -> tuple[LayerNormLSTMCarry, Array]:
        a = z + params.alpha_h * normalised(r)
        i, f, g, o = squash(a, ("sigmoid", "sigmoid", "tanh", "sigmoid"))
        c = f * carry.c + i * g
        h = o * jnp.tanh(params.alpha_c * normalised(c) + params.beta_c)
        return LayerNormLSTMCarry(h, c), h

    @property
    def label(self) -> str:
        changed = "" if self.forget_bias == 1 else f" forget bias {self.forget_bias:g}"
        return f"LSTM layer norm{changed}"


def normalised(a: Array) -> Array:
    """Shift and scale each row to mean zero and variance one, up to ε."""
    centred = a - jnp.mean(a, axis=-1, keepdims=True)
    variance = jnp.mean(centred**2, axis=-1, keepdims=True)
    return centred / jnp.sqrt(variance + EPSILON)
