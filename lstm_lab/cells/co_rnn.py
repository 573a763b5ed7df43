"""The coupled oscillatory network: each unit is a driven, damped oscillator.

    v_t = v_{t-1} + Δt (tanh(W y_{t-1} + W_v v_{t-1} + V x_t + b) - γ y_{t-1} - ε v_{t-1})      velocity
    y_t = y_{t-1} + Δt v_t                                                                   position

T. K. Rusch and S. Mishra, "Coupled oscillatory recurrent neural network (coRNN): an accurate and
(gradient) stable architecture for learning long time dependencies" (2021), section 2, equation 3: steps of
length Δt through y'' = tanh(W y + W_v y' + V x + b) - γ y - ε y'. The paper calls the velocity z, a
letter that here means the input projection, its matrix a calligraphic W, and the input u.

The paper lets the damping act on the new velocity or on the old one. This is the old one, the explicit
form, as in the authors' code. The position does take the new velocity, which is what keeps an undamped
oscillator from gaining energy. Left to itself (tanh at zero) the step is a 2 x 2 matrix of determinant
1 - Δt ε and trace 2 - Δt ε - Δt² γ, so it dies out only if Δt² γ + 2 Δt ε < 4, and settings
beyond that are refused. γ and ε are positive in the paper; zero, which takes a term away, is allowed.

The paper tunes Δt, γ and ε for each task. The defaults are those of the authors' code for sequential
MNIST (784 steps): without weights a position halves in 25 steps. Their adding problem has 0.06, 66 and 15.

Initialisation: all three matrices from U(-1/√(D + 2H), 1/√(D + 2H)), the draw of the single
`torch.nn.Linear` that holds them in the authors' code. Differs from it in b, which is drawn as zero.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, uniform
from lstm_lab.errors import UsageError


class CoRNNParams(NamedTuple):
    """Weights of coupled oscillators: `V [D, H]`, `W [H, H]`, `W_v [H, H]`, `b [H]`."""

    V: Array
    W: Array
    W_v: Array
    b: Array


class CoRNNCarry(NamedTuple):
    """The position `y [..., H]` and the velocity `v [..., H]`."""

    y: Array
    v: Array


@dataclass(frozen=True)
class CoRNN(Cell):
    """A network of coupled oscillators.

    Attributes:
        dt: Δt, the time one step takes, above 0.
        gamma: γ, the square of the oscillators' own frequency, 0 or more.
        epsilon: ε, their damping, 0 or more.

    Raises:
        UsageError: a field is out of range, or an oscillator left to itself would not stay bounded.
    """

    dt: float = 0.042
    gamma: float = 2.7
    epsilon: float = 4.7

    def __post_init__(self) -> None:
        if not 0 < self.dt < float("inf"):
            raise UsageError(f"dt: {self.dt}: give a time above 0")
        for name in ("gamma", "epsilon"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"{name}: {getattr(self, name)}: give 0 or more")
        stiffness = self.dt**2 * self.gamma + 2 * self.dt * self.epsilon
        if stiffness >= 4:
            raise UsageError(
                f"dt: {self.dt}: with gamma={self.gamma} and epsilon={self.epsilon} the oscillators "
                f"blow up: dt² gamma + 2 dt epsilon is {stiffness:g} and must be below 4; take a smaller dt"
            )

    def init(self, key: Array, d_in: int, d_hidden: int) -> CoRNNParams:
        check_sizes(d_in, d_hidden)
        key_x, key_y, key_v = jax.random.split(key, 3)
        fan_in = d_in + 2 * d_hidden
        return CoRNNParams(
            V=uniform(key_x, (d_in, d_hidden), fan_in),
            W=uniform(key_y, (d_hidden, d_hidden), fan_in),
            W_v=uniform(key_v, (d_hidden, d_hidden), fan_in),
            b=jnp.zeros(d_hidden, jnp.float32),
        )

    def carry(self, params: CoRNNParams, batch: int) -> CoRNNCarry:
        zero = jnp.zeros((batch, params.W.shape[0]), params.W.dtype)
        return CoRNNCarry(zero, zero)

    def project(self, params: CoRNNParams, x: Array) -> Array:
        return x @ params.V + params.b

    def recur(self, params: CoRNNParams, carry: CoRNNCarry) -> Array:
        return carry.y @ params.W + carry.v @ params.W_v

    def gates(
        self, params: CoRNNParams, carry: CoRNNCarry, z: Array, r: Array
    ) -> tuple[CoRNNCarry, Array]:
        force = jnp.tanh(z + r) - self.gamma * carry.y - self.epsilon * carry.v
        v = carry.v + self.dt * force
        y = carry.y + self.dt * v
        return CoRNNCarry(y, v), y

    @property
    def label(self) -> str:
        changed = [
            f"{field.name} {getattr(self, field.name):g}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return " ".join(["coRNN", *changed])
