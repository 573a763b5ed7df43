"""Simple recurrent unit: a leaky average of the projected input, and a highway around it.

    f_t = σ(W_f x_t + b_f)                            what to keep
    r_t = σ(W_r x_t + b_r)                            what to show of the state, the rest being input
    c_t = f_t ∘ c_{t-1} + (1 - f_t) ∘ (W_c x_t)       the internal state
    y_t = r_t ∘ g(c_t) + (1 - r_t) ∘ (W_x x_t),       g tanh or the identity

T. Lei, Y. Zhang, S. I. Wang, H. Dai and Y. Artzi, "Simple recurrent units for highly parallelizable
recurrence" (2018), in the form of its first version, T. Lei and Y. Zhang, "Training RNNs as fast as CNNs"
(2017), section 2. The published version adds v_f ∘ c_{t-1} and v_r ∘ c_{t-1} to the gates; v_f makes the
recurrence non-linear, and without both any schedule that serves linear cells runs it. Its g is the
identity.

Differs from the paper in the highway, which there is x_t itself and so needs D = H: here it is always
projected, at D·H parameters more, as the authors' code does when the sizes differ. The 2018 version's
factor on the highway term is left out.

Weights are uniform with variance 1/D, as in section 3.2 of the 2018 version; biases are zero. The paper's
W is W_c here. Blocks stand in the order f r c x; c and x have no bias.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import LinearCell, check_sizes


class SRUParams(NamedTuple):
    """Weights of a simple recurrent unit, blocks f r c x: `W [D, 4H]`; blocks f r: `b [2H]`."""

    W: Array
    b: Array


class SRUCarry(NamedTuple):
    """The internal state `c [..., H]`."""

    c: Array


@dataclass(frozen=True)
class SRU(LinearCell):
    """A simple recurrent unit whose gates see the input alone.

    Attributes:
        activation: g, what the state passes through on its way out.
    """

    activation: Literal["tanh", "identity"] = "tanh"

    def init(self, key: Array, d_in: int, d_hidden: int) -> SRUParams:
        check_sizes(d_in, d_hidden)
        # U(-s, s) has variance s²/3.
        bound = (3 / d_in) ** 0.5
        shape = (d_in, 4 * d_hidden)
        W = jax.random.uniform(key, shape, jnp.float32, -bound, bound)
        return SRUParams(W, jnp.zeros(2 * d_hidden, jnp.float32))

    def carry(self, params: SRUParams, batch: int) -> SRUCarry:
        return SRUCarry(jnp.zeros((batch, params.b.shape[0] // 2), params.W.dtype))

    def project(self, params: SRUParams, x: Array) -> Array:
        return x @ params.W + jnp.pad(params.b, (0, params.b.shape[0]))

    def coefficients(self, params: SRUParams, z: Array) -> tuple[SRUCarry, SRUCarry]:
        del params
        f, _, c, _ = jnp.split(z, 4, axis=-1)
        f = jax.nn.sigmoid(f)
        return SRUCarry(f), SRUCarry((1 - f) * c)

    def emit(self, params: SRUParams, carry: SRUCarry, z: Array) -> Array:
        del params
        _, r, _, x = jnp.split(z, 4, axis=-1)
        r = jax.nn.sigmoid(r)
        c = jnp.tanh(carry.c) if self.activation == "tanh" else carry.c
        return r * c + (1 - r) * x

    @property
    def label(self) -> str:
        return "SRU" if self.activation == "tanh" else f"SRU {self.activation}"
