"""Long expressive memory: two states, each with a clock of its own that the network sets at every step.

    Δ_t = Δ σ(V_1 x_t + W_1 y_{t-1} + b_1)                           how much time passes for z
    Δ̄_t = Δ σ(V_2 x_t + W_2 y_{t-1} + b_2)                           how much time passes for y
    z_t = (1 - Δ_t) ∘ z_{t-1} + Δ_t ∘ tanh(V_z x_t + W_z y_{t-1} + b_z)
    y_t = (1 - Δ̄_t) ∘ y_{t-1} + Δ̄_t ∘ tanh(V_y x_t + W_y z_t + b_y)      the output; it reads the new z

T. K. Rusch, S. Mishra, N. B. Erichson and M. W. Mahoney, "Long expressive memory for sequence modeling"
(2022), section 2: steps through a system of differential equations with many time scales, which are learned.
The paper calls the input u and the greatest time step Δt. At Δ = 1 both states are mixtures, as in a gated
network, and bounded by 1; smaller steps let states move, and errors fade, more slowly. The paper tunes Δ for
each task; the default is that of the authors' code.

W_y z_t waits for the new z, so a second product stands in the loop, inside `gates`. Blocks stand in the order
1 2 z y. Weights are uniform within 1/√H, as in the authors' code. Differs from it in its single bias, drawn
as zero.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, squash, uniform
from lstm_lab.errors import UsageError


class LEMParams(NamedTuple):
    """Weights, blocks 1 2 z y: `V [D, 4H]`, `b [4H]`; blocks 1 2 z: `W [H, 3H]`; and `W_y [H, H]`."""

    V: Array
    W: Array
    W_y: Array
    b: Array


class LEMCarry(NamedTuple):
    """The states `y` and `z`, each `[..., H]`."""

    y: Array
    z: Array


@dataclass(frozen=True)
class LEM(Cell):
    """A long expressive memory cell.

    Attributes:
        dt: Δ, the most time that passes in one step, above 0 and at most 1.

    Raises:
        UsageError: `dt` is out of range.
    """

    dt: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.dt <= 1:
            raise UsageError(f"dt: {self.dt}: give a time above 0 and at most 1")

    def init(self, key: Array, d_in: int, d_hidden: int) -> LEMParams:
        check_sizes(d_in, d_hidden)
        key_x, key_y, key_z = jax.random.split(key, 3)
        return LEMParams(
            V=uniform(key_x, (d_in, 4 * d_hidden), d_hidden),
            W=uniform(key_y, (d_hidden, 3 * d_hidden), d_hidden),
            W_y=uniform(key_z, (d_hidden, d_hidden), d_hidden),
            b=jnp.zeros(4 * d_hidden, jnp.float32),
        )

    def carry(self, params: LEMParams, batch: int) -> LEMCarry:
        zero = jnp.zeros((batch, params.W.shape[0]), params.W.dtype)
        return LEMCarry(zero, zero)

    def project(self, params: LEMParams, x: Array) -> Array:
        return x @ params.V + params.b

    def recur(self, params: LEMParams, carry: LEMCarry) -> Array:
        return carry.y @ params.W

    def gates(
        self, params: LEMParams, carry: LEMCarry, z: Array, r: Array
    ) -> tuple[LEMCarry, Array]:
        H = params.W.shape[0]
        z_first, z_last = jnp.split(z, (3 * H,), axis=-1)
        dt_z, dt_y, new_z = squash(z_first + r, ("sigmoid", "sigmoid", "tanh"))
        dt_z, dt_y = self.dt * dt_z, self.dt * dt_y
        slow = (1 - dt_z) * carry.z + dt_z * new_z
        new_y = jnp.tanh(z_last + slow @ params.W_y)
        y = (1 - dt_y) * carry.y + dt_y * new_y
        return LEMCarry(y, slow), y

    @property
    def label(self) -> str:
        return "LEM" if self.dt == 1 else f"LEM dt {self.dt:g}"
