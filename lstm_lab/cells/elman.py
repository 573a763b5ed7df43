"""The plain recurrent network.

    h_t = φ(W x_t + U h_{t-1} + b),      y_t = h_t,      φ = tanh, ReLU or the identity

J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990), figure 2, in the form of
`torch.nn.RNN`. Three initialisations of U, which decide how far it remembers:

- `default`: U(-1/√H, 1/√H), torch's; its spectral radius is about 0.58, so signals fade within steps;
- `orthogonal`: every singular value is 1 (Saxe, McClelland and Ganguli 2014, section 3);
- `identity`: with ReLU, the IRNN of Q. V. Le, N. Jaitly and G. E. Hinton, "A simple way to initialize
  recurrent networks of rectified linear units" (2015), section 2: U the identity, b zero, W drawn from
  a Gaussian of standard deviation 0.001.

Differs from torch in its single bias, drawn as zero. `linear` (φ the identity) is a linear system
with a full transition matrix: what an LSTM becomes when nothing squashes and nothing gates.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, orthogonal, uniform

# Le, Jaitly and Hinton 2015, section 2.
IRNN_INPUT_STD = 0.001


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
        initialisation: of the recurrent matrix U.
    """

    activation: Literal["tanh", "relu", "linear"] = "tanh"
    initialisation: Literal["default", "orthogonal", "identity"] = "default"

    def init(self, key: Array, d_in: int, d_hidden: int) -> ElmanParams:
        check_sizes(d_in, d_hidden)
        key_w, key_u = jax.random.split(key)
        W = uniform(key_w, (d_in, d_hidden), d_hidden)
        match self.initialisation:
            case "default":
                U = uniform(key_u, (d_hidden, d_hidden), d_hidden)
            case "orthogonal":
                U = orthogonal(key_u, (d_hidden, d_hidden))
            case "identity":
                U = jnp.eye(d_hidden, dtype=jnp.float32)
                W = IRNN_INPUT_STD * jax.random.normal(key_w, (d_in, d_hidden), jnp.float32)
        return ElmanParams(W, U, jnp.zeros(d_hidden, jnp.float32))

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
                h = jnp.tanh(a)
            case "relu":
                h = jax.nn.relu(a)
            case "linear":
                h = a
        return ElmanCarry(h), h

    @property
    def label(self) -> str:
        if self.activation == "relu" and self.initialisation == "identity":
            return "IRNN"
        parts = [
            "" if self.activation == "tanh" else self.activation,
            "" if self.initialisation == "default" else self.initialisation,
        ]
        return " ".join(["Elman", *filter(None, parts)])
