"""How parameters are drawn, as values: a cell holds one where its paper leaves a choice.

`Uniform`, `Normal`, `Orthogonal` and `Identity` draw a matrix; one that stands for several gates, such as
an LSTM's U `[H, 4H]`, is drawn gate by gate. `ForgetBias` and `Chrono` set the biases that say how long a
gated cell keeps things before it has learned anything. `Ring` draws the complex poles of a linear cell,
`LinFrequencies` and `InvFrequencies` set those of a state space model, and `Henaff` and `Cayley` draw the
angles of a rotation.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import pi
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import uniform
from lstm_lab.errors import UsageError


class Initialiser(ABC):
    """How some parameters are drawn. Subclasses are frozen dataclasses whose every field has a default."""

    @property
    @abstractmethod
    def label(self) -> str:
        """A short name for tables and figures."""


class Weights(Initialiser):
    """How a weight matrix is drawn."""

    @abstractmethod
    def draw(self, key: Array, rows: int, d_hidden: int, gates: int = 1) -> Array:
        """Draw the matrices of several gates beside each other.

        Args:
            key: PRNG key.
            rows: what the matrices read: D, or H.
            d_hidden: units of the cell, H.
            gates: how many matrices.

        Returns:
            float32 `[rows, gates * H]`.
        """


@dataclass(frozen=True)
class Uniform(Weights):
    """U(-1/√H, 1/√H), torch's: a square matrix gets a spectral radius of about 0.58."""

    def draw(self, key: Array, rows: int, d_hidden: int, gates: int = 1) -> Array:
        return uniform(key, (rows, gates * d_hidden), d_hidden)

    @property
    def label(self) -> str:
        return "uniform"


@dataclass(frozen=True)
class Normal(Weights):
    """A Gaussian of mean zero.

    Attributes:
        std: its standard deviation.

    Raises:
        UsageError: `std` is not above 0.
    """

    std: float = 0.1

    def __post_init__(self) -> None:
        if self.std <= 0:
            raise UsageError(f"std: {self.std:g}: give a standard deviation above 0")

    def draw(self, key: Array, rows: int, d_hidden: int, gates: int = 1) -> Array:
        return self.std * jax.random.normal(key, (rows, gates * d_hidden), jnp.float32)

    @property
    def label(self) -> str:
        return f"normal {self.std:g}"


@dataclass(frozen=True)
class Orthogonal(Weights):
    """A random matrix whose every singular value is `gain`, so that it scales a vector's norm and no more.

    A. M. Saxe, J. L. McClelland and S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks" (2014), section 3.

    Attributes:
        gain: the singular value.
    """

    gain: float = 1.0

    def draw(self, key: Array, rows: int, d_hidden: int, gates: int = 1) -> Array:
        one = jax.nn.initializers.orthogonal(self.gain)
        keys = jax.random.split(key, gates) if gates > 1 else [key]
        return jnp.concatenate([one(k, (rows, d_hidden), jnp.float32) for k in keys], axis=1)

    @property
    def label(self) -> str:
        return "orthogonal" if self.gain == 1 else f"orthogonal {self.gain:g}"


@dataclass(frozen=True)
class Identity(Weights):
    """The identity times a scale: what a unit holds, it starts by keeping.

    Q. V. Le, N. Jaitly and G. E. Hinton, "A simple way to initialize recurrent networks of rectified linear
    units" (2015), section 2; the paper scales it by 0.01 where long memory is not wanted.

    Attributes:
        scale: the value on the diagonal.
    """

    scale: float = 1.0

    def draw(self, key: Array, rows: int, d_hidden: int, gates: int = 1) -> Array:
        del key
        return jnp.tile(self.scale * jnp.eye(rows, d_hidden, dtype=jnp.float32), gates)

    @property
    def label(self) -> str:
        return "identity" if self.scale == 1 else f"identity {self.scale:g}"


class GateBiases(Initialiser):
    """How long a gated cell keeps things before anything is learned, as biases of two of its gates."""

    @abstractmethod
    def draw(self, key: Array, d_hidden: int) -> tuple[Array, Array]:
        """Draw the bias of the gate that writes and of the gate that keeps, each float32 `[H]`."""


@dataclass(frozen=True)
class ForgetBias(GateBiases):
    """One constant for every unit's keeping gate, zero for the writing one.

    1 after R. Jozefowicz, W. Zaremba and I. Sutskever, "An empirical exploration of recurrent network
    architectures" (2015), section 5: σ(1) = 0.73, a half-life of two steps.

    Attributes:
        value: of the bias.
    """

    value: float = 1.0

    def draw(self, key: Array, d_hidden: int) -> tuple[Array, Array]:
        del key
        zero = jnp.zeros(d_hidden, jnp.float32)
        return zero, zero + self.value

    @property
    def label(self) -> str:
        return f"forget bias {self.value:g}"


@dataclass(frozen=True)
class Chrono(GateBiases):
    """Each unit its own time scale, for dependencies up to `longest` steps.

    C. Tallec and Y. Ollivier, "Can recurrent neural networks warp time?" (2018), section 2.3: the keeping
    bias is log U(1, T - 1) and the writing one its negative.

    Attributes:
        longest: T, the longest dependency in steps.

    Raises:
        UsageError: `longest` is below 3.
    """

    longest: int = 100

    def __post_init__(self) -> None:
        if self.longest < 3:
            raise UsageError(
                f"chrono: {self.longest}: give the longest dependency in steps, at least 3"
            )

    def draw(self, key: Array, d_hidden: int) -> tuple[Array, Array]:
        keep = jnp.log(jax.random.uniform(key, (d_hidden,), jnp.float32, 1.0, self.longest - 1.0))
        return -keep, keep

    @property
    def label(self) -> str:
        return f"chrono {self.longest}"


class Poles(NamedTuple):
    """Complex numbers in the unit disc: `lost` = 1 - |λ|² and `phase` in radians per step, each `[H]`."""

    lost: Array
    phase: Array


@dataclass(frozen=True)
class Ring(Initialiser):
    """Complex poles λ drawn uniformly by area on a ring r_min ≤ |λ| ≤ r_max, phases up to `max_phase`.

    A. Orvieto et al., "Resurrecting recurrent neural networks for long sequences" (2023), the lemma of
    section 3.2.2. 1 - |λ|² is what is drawn, uniform as |λ|² is, and kept one float32 rounding step away
    from 0 and 1, so that logarithms of it and of |λ| neither cancel nor overflow.

    Attributes:
        r_min: the least |λ| drawn.
        r_max: the greatest |λ| drawn, at most 1.
        max_phase: the greatest phase of λ drawn, in radians per step.

    Raises:
        UsageError: the radii are no ring within the unit disc, or the phase is not in (0, 2π].
    """

    r_min: float = 0.0
    r_max: float = 1.0
    max_phase: float = 6.28

    def __post_init__(self) -> None:
        if not 0 <= self.r_min < self.r_max <= 1:
            raise UsageError(
                f"r-min, r-max: {self.r_min:g}, {self.r_max:g}: give 0 <= r_min < r_max <= 1"
            )
        if not 0 < self.max_phase <= 2 * pi:
            raise UsageError(
                f"max-phase: {self.max_phase:g}: give radians per step, above 0 and at most 2 pi"
            )

    def draw(self, key: Array, d_hidden: int) -> Poles:
        """Draw one pole for each of H units."""
        key_r, key_phase = jax.random.split(key)
        eps = float(jnp.finfo(jnp.float32).eps)
        lost = jax.random.uniform(
            key_r, (d_hidden,), jnp.float32, 1 - self.r_max**2, 1 - self.r_min**2
        )
        # From just above zero, whose logarithm is no number to learn from.
        turn = jax.random.uniform(key_phase, (d_hidden,), jnp.float32, eps, 1.0)
        return Poles(jnp.clip(lost, eps, 1 - eps), self.max_phase * turn)

    @property
    def label(self) -> str:
        """What differs from the whole disc and all phases, for tables and figures."""
        whole = (self.r_min, self.r_max) == (0, 1)
        parts = [
            "" if whole else f"ring {self.r_min:g} to {self.r_max:g}",
            "" if self.max_phase == 6.28 else f"phase {self.max_phase:.3g}",
        ]
        return " ".join(filter(None, parts))


class Angles(Initialiser):
    """How far a rotation turns each pair of units."""

    @abstractmethod
    def draw(self, key: Array, pairs: int) -> Array:
        """Draw an angle for each pair, in radians, float32 `[pairs]`."""


@dataclass(frozen=True)
class Henaff(Angles):
    """Uniform on [-π, π].

    M. Henaff, A. Szlam and Y. LeCun, "Recurrent orthogonal networks and long-memory tasks" (2016).
    """

    def draw(self, key: Array, pairs: int) -> Array:
        return jax.random.uniform(key, (pairs,), jnp.float32, -pi, pi)

    @property
    def label(self) -> str:
        return "henaff"


@dataclass(frozen=True)
class Cayley(Angles):
    """-tan(s/2) with s uniform on [0, π/2]: small turns.

    K. Helfrich, D. Willmott and Q. Ye, "Orthogonal recurrent neural networks with scaled Cayley
    transform" (2018).
    """

    def draw(self, key: Array, pairs: int) -> Array:
        return -jnp.tan(jax.random.uniform(key, (pairs,), jnp.float32, 0, pi / 2) / 2)

    @property
    def label(self) -> str:
        return "cayley"


class Frequencies(Initialiser):
    """The imaginary parts of a state space model's poles; A. Gu, A. Gupta, K. Goel and C. Ré, "On the
    parameterization and initialization of diagonal state space models" (2022)."""

    @abstractmethod
    def of(self, states: int) -> Array:
        """Give N frequencies, in radians per unit of time, float32 `[N]`."""


@dataclass(frozen=True)
class LinFrequencies(Frequencies):
    """S4D-Lin: π n, in equal steps."""

    def of(self, states: int) -> Array:
        return pi * jnp.arange(states, dtype=jnp.float32)

    @property
    def label(self) -> str:
        return "Lin"


@dataclass(frozen=True)
class InvFrequencies(Frequencies):
    """S4D-Inv: (2N / π) (2N / (2n + 1) - 1) for N states, crowded towards the low end."""

    def of(self, states: int) -> Array:
        n, N = jnp.arange(states, dtype=jnp.float32), 2 * states
        return N / pi * (N / (2 * n + 1) - 1)

    @property
    def label(self) -> str:
        return "Inv"


def unlike_torch(recurrent: Weights, input: Weights) -> str:
    """Say how a cell's matrices are drawn, for its label: nothing where they are drawn as in torch."""
    parts = [
        "" if recurrent == Uniform() else recurrent.label,
        "" if input == Uniform() else f"input {input.label}",
    ]
    return " ".join(filter(None, parts))
