"""Long short-term memory as first published: no forget gate, and squashings of its own.

    i_t = σ(W_i x_t + U_i h_{t-1} + b_i)                what to write
    g_t = 4 σ(W_g x_t + U_g h_{t-1} + b_g) - 2          what could be written, in [-2, 2]
    o_t = σ(W_o x_t + U_o h_{t-1} + b_o)                what to show
    c_t = c_{t-1} + i_t ∘ g_t                           the constant error carousel: nothing is ever forgotten
    h_t = o_t ∘ (2 σ(c_t) - 1),      y_t = h_t          in [-1, 1]

S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), section 4, with the
squashings of all its experiments but 2a and 2b (section 5.7). The paper writes s for c, net for the
pre-activations and y for all activations. Since 4 σ(a) - 2 = 2 tanh(a / 2), this is `lstm.LSTM` with its
forget gate at one, W_g, U_g and b_g halved and a cell state half as large.

Differs from the paper in the gradient: the paper cuts every error that leaves a memory cell through its net
inputs, so that it lives on within c alone; here it is whole, as for every cell. A block holds one memory
cell; the paper's larger blocks share their gates. Only memory cells feed back: in most of the paper's
experiments the gate units do too. Input reaches the cells in its own step, not in the next.

Weights are drawn from U(-0.1, 0.1), as in sections 5.4 to 5.6. Without a forget gate c drifts as long as the
input gate is open, so section 4 starts that gate with a negative bias: -3 in the first block of section 5.4
and -6 in the second. Here all cells start at `input_bias`. A negative `output_bias`, -1 to -4 block by block
in section 5.1, keeps cells from being used as biases before they remember anything; later sections draw it
like a weight, and it is zero here, as b_g is. Blocks stand in the order i g o.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes

# Sections 5.4 to 5.6.
BOUND = 0.1


class LSTM1997Params(NamedTuple):
    """Weights, blocks i g o: `W [D, 3H]`, `U [H, 3H]`, `b [3H]`."""

    W: Array
    U: Array
    b: Array


class LSTM1997Carry(NamedTuple):
    """The hidden state `h [..., H]` and the cell state `c [..., H]`."""

    h: Array
    c: Array


@dataclass(frozen=True)
class LSTM1997(Cell):
    """A long short-term memory cell without forget gate.

    Attributes:
        input_bias: initial b_i.
        output_bias: initial b_o.
    """

    input_bias: float = -3.0
    output_bias: float = 0.0

    def init(self, key: Array, d_in: int, d_hidden: int) -> LSTM1997Params:
        check_sizes(d_in, d_hidden)
        key_w, key_u = jax.random.split(key)
        zero = jnp.zeros(d_hidden, jnp.float32)
        return LSTM1997Params(
            W=jax.random.uniform(key_w, (d_in, 3 * d_hidden), jnp.float32, -BOUND, BOUND),
            U=jax.random.uniform(key_u, (d_hidden, 3 * d_hidden), jnp.float32, -BOUND, BOUND),
            b=jnp.concatenate([zero + self.input_bias, zero, zero + self.output_bias]),
        )

    def carry(self, params: LSTM1997Params, batch: int) -> LSTM1997Carry:
        zero = jnp.zeros((batch, params.U.shape[0]), params.U.dtype)
        return LSTM1997Carry(zero, zero)

    def project(self, params: LSTM1997Params, x: Array) -> Array:
        return x @ params.W + params.b

    def recur(self, params: LSTM1997Params, carry: LSTM1997Carry) -> Array:
        return carry.h @ params.U

    def gates(
        self, params: LSTM1997Params, carry: LSTM1997Carry, z: Array, r: Array
    ) -> tuple[LSTM1997Carry, Array]:
        del params
        # All three are logistic up to scale, and σ(a) = (1 + tanh(a / 2)) / 2.
        i, g, o = jnp.split(jnp.tanh((z + r) / 2), 3, axis=-1)
        i, g, o = (1 + i) / 2, 2 * g, (1 + o) / 2
        c = carry.c + i * g
        h = o * jnp.tanh(c / 2)
        return LSTM1997Carry(h, c), h

    @property
    def label(self) -> str:
        changed = [
            f"{field.name.replace('_', ' ')} {getattr(self, field.name):g}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return " ".join(["LSTM 1997", *changed])
