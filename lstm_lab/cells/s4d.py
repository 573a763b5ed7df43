"""The diagonal state space model: every channel keeps a few damped oscillations of its input's past.

    u_t = W x_t                                                  one number per channel
    s'(τ) = A s(τ) + B u(τ),     A = -exp(A_log) + i A_im,  B = 1        N complex states per channel
    Ā = exp(Δ A),   B̄ = (Ā - 1) / A,   Δ = exp(log Δ)            exact if u stands still for a step of length Δ
    s_t = Ā ∘ s_{t-1} + B̄ u_t
    y_t = 2 Re(Σ_n C_n s_tn) + D u_t                             real: each state stands for a conjugate pair

A. Gu, A. Gupta, K. Goel and C. Ré, "On the parameterization and initialization of diagonal state space
models" (2022): the model with zero-order hold, B held at one since only its product with C shows, and the
real part of A negative whatever is learned. The paper calls the state x. Nothing sees the input but
through B̄, so the recurrence is linear and constant and any schedule that serves linear cells runs it.

Initialisation: the real part of A is -1/2, the imaginary part that of S4D-Lin, `LinFrequencies`, or of
S4D-Inv, `InvFrequencies`. Δ is log-uniform on [0.001, 0.1] over the channels, C complex normal of variance
1, D normal of variance 1, all as in the authors' code. A channel's states fade by e in 2/Δ steps: 20 to
2,000. So long a memory adds up rounding errors: to some 1e-4 in single precision, under any schedule.

Differs from the paper in W, there part of the block around the model, here a matrix without bias drawn with
variance one over the number of inputs, so that D features become H channels. Nothing else of that block is
here, neither activation nor mixing of channels after it: units meet in the layer above. The authors' code has
32 conjugate pairs per channel. Complex numbers are pairs of real arrays, as in `lru`.
"""

from dataclasses import dataclass
from math import log
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import LinearCell, check_sizes
from lstm_lab.cells.initial import Frequencies, LinFrequencies
from lstm_lab.errors import UsageError

# The authors' code.
SHORTEST, LONGEST = 0.001, 0.1


class S4DParams(NamedTuple):
    """Weights: `W [D, H]`; `log_dt`, `D [H]`; `A_log`, that of -Re A, `A_im`, `C_re`, `C_im [N, H]`."""

    W: Array
    log_dt: Array
    A_log: Array
    A_im: Array
    C_re: Array
    C_im: Array
    D: Array


class S4DPrepared(NamedTuple):
    """What the steps read: `W [D, H]`, the discrete `A` and `B` and `C [N, H]` in two parts, `D [H]`."""

    W: Array
    A_re: Array
    A_im: Array
    B_re: Array
    B_im: Array
    C_re: Array
    C_im: Array
    D: Array


class S4DCarry(NamedTuple):
    """The complex states' real and imaginary part, each `[..., N, H]`."""

    re: Array
    im: Array


@dataclass(frozen=True)
class S4D(LinearCell):
    """A diagonal state space model for each of H channels.

    Attributes:
        state: N, complex states per channel, each one of a conjugate pair.
        frequencies: the imaginary part of A.

    Raises:
        UsageError: `state` is below 1.
    """

    state: int = 8
    frequencies: Frequencies = LinFrequencies()

    def __post_init__(self) -> None:
        if self.state < 1:
            raise UsageError(f"state: {self.state}: give at least 1 state per channel")

    def init(self, key: Array, d_in: int, d_hidden: int) -> S4DParams:
        check_sizes(d_in, d_hidden)
        key_w, key_dt, key_c, key_d = jax.random.split(key, 4)
        N = self.state
        C = jax.random.normal(key_c, (2, N, d_hidden), jnp.float32) * 0.5**0.5
        return S4DParams(
            W=jax.random.normal(key_w, (d_in, d_hidden), jnp.float32) * d_in**-0.5,
            log_dt=jax.random.uniform(
                key_dt, (d_hidden,), jnp.float32, log(SHORTEST), log(LONGEST)
            ),
            A_log=jnp.full((N, d_hidden), log(0.5), jnp.float32),
            A_im=jnp.tile(self.frequencies.of(N)[:, None], d_hidden),
            C_re=C[0],
            C_im=C[1],
            D=jax.random.normal(key_d, (d_hidden,), jnp.float32),
        )

    def prepare(self, params: S4DParams, key: Array | None = None) -> S4DPrepared:
        del key
        dt = jnp.exp(params.log_dt)
        decay, frequency = jnp.exp(params.A_log), params.A_im
        modulus, phase = jnp.exp(-dt * decay), dt * frequency
        A_re, A_im = modulus * jnp.cos(phase), modulus * jnp.sin(phase)
        # Re Ā - 1 without cancelling, which a short step would.
        lost = jnp.expm1(-dt * decay) * jnp.cos(phase) - 2 * jnp.sin(phase / 2) ** 2
        size = decay**2 + frequency**2
        return S4DPrepared(
            W=params.W,
            A_re=A_re,
            A_im=A_im,
            B_re=(A_im * frequency - lost * decay) / size,
            B_im=-(A_im * decay + lost * frequency) / size,
            C_re=params.C_re,
            C_im=params.C_im,
            D=params.D,
        )

    def carry(self, params: S4DParams | S4DPrepared, batch: int) -> S4DCarry:
        zero = jnp.zeros((batch, *params.C_re.shape), params.C_re.dtype)
        return S4DCarry(zero, zero)

    def project(self, params: S4DPrepared, x: Array) -> Array:
        return x @ params.W

    def coefficients(self, params: S4DPrepared, z: Array) -> tuple[S4DCarry, S4DCarry]:
        u = z[..., None, :]
        return S4DCarry(params.A_re, params.A_im), S4DCarry(params.B_re * u, params.B_im * u)

    def emit(self, params: S4DPrepared, carry: S4DCarry, z: Array) -> Array:
        # Re(C s) = Re C Re s - Im C Im s
        real = params.C_re * carry.re - params.C_im * carry.im
        return 2 * jnp.sum(real, axis=-2) + params.D * z

    def times(self, a: S4DCarry, h: S4DCarry) -> S4DCarry:
        return S4DCarry(a.re * h.re - a.im * h.im, a.re * h.im + a.im * h.re)

    def one(self, a: S4DCarry) -> S4DCarry:
        return S4DCarry(jnp.ones_like(a.re), jnp.zeros_like(a.im))

    @property
    def label(self) -> str:
        name = f"S4D-{self.frequencies.label}"
        return name if self.state == 8 else f"{name} state {self.state}"
