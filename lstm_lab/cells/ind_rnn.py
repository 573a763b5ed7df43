"""The independently recurrent network: each unit remembers itself alone.

    h_t = φ(W x_t + u ∘ h_{t-1} + b),      y_t = h_t,      φ = ReLU or tanh

S. Li, W. Li, C. Cook, C. Zhu and Y. Gao, "Independently recurrent neural network (IndRNN): building a
longer and deeper RNN" (2018), section 3. A vector u `[H]` stands where an Elman network has a matrix, so
units meet only in the layer above: the paper stacks two or more. With T steps between cause and error,
the gradient of unit j shrinks or grows as u_j to the T: one number per unit decides how far it remembers.

Initialisation: u from U(0, 1) for ReLU, the default of the authors' PyTorch cell: half-lives from below
one step to about 0.7 H. For tanh from U(-1, 1), where a negative weight remembers as well as a positive
one; the authors' code is symmetric too, with a bound that depends on T. W from U(-1/√H, 1/√H), as `Elman`
here, and b zero, so that the two differ in the recurrence alone; the authors' adding problem draws W from
a Gaussian of standard deviation 0.001 instead.

Differs from the paper in that nothing holds u in bounds while training. The paper keeps |u| at most
γ to the 1/T, and its code clips u so before each update, with γ = 2 for the adding problem. That needs T,
which a cell does not know; the bound falls to 1 as T grows, and the draws here start below 1.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, uniform


class IndRNNParams(NamedTuple):
    """Weights of an independently recurrent network: `W [D, H]`, `u [H]`, `b [H]`."""

    W: Array
    u: Array
    b: Array


class IndRNNCarry(NamedTuple):
    """The hidden state `h [..., H]`."""

    h: Array


@dataclass(frozen=True)
class IndRNN(Cell):
    """A recurrent cell whose units do not see each other.

    Attributes:
        activation: φ; it also sets the range u is drawn from.
    """

    activation: Literal["relu", "tanh"] = "relu"

    def init(self, key: Array, d_in: int, d_hidden: int) -> IndRNNParams:
        check_sizes(d_in, d_hidden)
        key_w, key_u = jax.random.split(key)
        lowest = 0.0 if self.activation == "relu" else -1.0
        return IndRNNParams(
            W=uniform(key_w, (d_in, d_hidden), d_hidden),
            u=jax.random.uniform(key_u, (d_hidden,), jnp.float32, lowest, 1.0),
            b=jnp.zeros(d_hidden, jnp.float32),
        )

    def carry(self, params: IndRNNParams, batch: int) -> IndRNNCarry:
        return IndRNNCarry(jnp.zeros((batch, params.u.shape[0]), params.u.dtype))

    def project(self, params: IndRNNParams, x: Array) -> Array:
        return x @ params.W + params.b

    def recur(self, params: IndRNNParams, carry: IndRNNCarry) -> Array:
        # The product with a diagonal matrix, which nobody need write out.
        return params.u * carry.h

    def gates(
        self, params: IndRNNParams, carry: IndRNNCarry, z: Array, r: Array
    ) -> tuple[IndRNNCarry, Array]:
        a = z + r
        h = jax.nn.relu(a) if self.activation == "relu" else jnp.tanh(a)
        return IndRNNCarry(h), h

    @property
    def label(self) -> str:
        return "IndRNN" if self.activation == "relu" else f"IndRNN {self.activation}"
