"""The plain recurrent network.

    h_t = φ(W x_t + U h_{t-1} + b),      y_t = h_t,      φ = tanh, ReLU or the identity

J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990), figure 2, in the form of
`torch.nn.RNN`. How U is drawn decides how far it remembers:

- `Uniform()`, torch's, has a spectral radius of about 0.58, so signals fade within steps;
- `Orthogonal()` keeps every norm where φ is linear;
- `Identity()` with ReLU and `input=Normal(0.001)` is the IRNN of Q. V. Le, N. Jaitly and G. E. Hinton, "A
  simple way to initialize recurrent networks of rectified linear units" (2015), section 2.

Differs from torch in its single bias, drawn as zero. `linear` (φ the identity) is a linear system
with a full transition matrix: what an LSTM becomes when nothing squashes and nothing gates.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, squash
from lstm_lab.cells.initial import Identity, Normal, Uniform, Weights, unlike_torch


class ElmanParams(NamedTuple):
    """Weights of an Elman network: `W [D, H]`, `U [H, H]`, `b [H]`."""

    W: Array
    U: Array
    b: Array


class ElmanCarry(NamedTuple):
    """The hidden state `h [..., H]`."""

    h: Array


@dataclass(frozen=True)
class Elman(Cell):
    """A plain recurrent cell.

    Attributes:
        activation: φ.
        recurrent: how U is drawn.
        input: how W is drawn.
    """

    activation: Literal["tanh", "relu", "linear"] = "tanh"
    recurrent: Weights = Uniform()
    input: Weights = Uniform()

    def init(self, key: Array, d_in: int, d_hidden: int) -> ElmanParams:
        check_sizes(d_in, d_hidden)
        key_w, key_u = jax.random.split(key)
        return ElmanParams(
            W=self.input.draw(key_w, d_in, d_hidden),
            U=self.recurrent.draw(key_u, d_hidden, d_hidden),
            b=jnp.zeros(d_hidden, jnp.float32),
        )

    def carry(self, params: ElmanParams, batch: int) -> ElmanCarry:
        return ElmanCarry(jnp.zeros((batch, params.U.shape[0]), params.U.dtype))

    def project(self, params: ElmanParams, x: Array) -> Array:
        return x @ params.W + params.b

    def recur(self, params: ElmanParams, carry: ElmanCarry) -> Array:
        return carry.h @ params.U

    def gates(
        self, params: ElmanParams, carry: ElmanCarry, z: Array, r: Array
    ) -> tuple[ElmanCarry, Array]:
        a = z + r
        match self.activation:
            case "tanh":
                (h,) = squash(a, ("tanh",))
            case "relu":
                h = jax.nn.relu(a)
            case "linear":
                h = a
        return ElmanCarry(h), h

    @property
    def label(self) -> str:
        if self == type(self)("relu", Identity(), Normal(0.001)):
            return "IRNN"
        activation = "" if self.activation == "tanh" else self.activation
        drawn = unlike_torch(self.recurrent, self.input)
        return " ".join(["Elman", *filter(None, (activation, drawn))])
