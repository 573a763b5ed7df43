"""The linear recurrent unit: a complex number per unit, turned and shrunk by a constant at every step.

    λ = exp(-exp(ν_log) + i exp(θ_log)),      γ = exp(γ_log)
    h_t = λ ∘ h_{t-1} + γ ∘ (B x_t)                   complex: λ, h and B
    y_t = Re(C h_t) + D x_t                           real, though C is complex

A. Orvieto et al., "Resurrecting recurrent neural networks for long sequences" (2023), section 3.2 for the
complex diagonal, 3.3 for λ (|λ| < 1 whatever is learned), 3.4 for γ and for the small phase, appendix A
for the whole; the paper calls the state x and the input u. λ does not see the input: what a unit forgets
is learned, but is the same at every step.

Initialisation: λ on a `Ring`, and γ = √(1 - |λ|²), so white noise gives every unit a state of the same
variance. The default ring is that of appendix A: the whole disc, all phases. For long dependencies the
paper moves r_min and r_max towards 1, and for its longest task takes max_phase = π/10. B is drawn with
variance 1/(2 D) and C with 1/H, for the real and the imaginary part alike. ν_log and γ_log follow from
1 - |λ|², so neither cancels.

Differs from the paper in D: there, inputs and outputs are equally many and D is a diagonal of standard
normals; here D is a matrix drawn with variance 1/D, one over the number of inputs. As many complex states
as outputs. Complex numbers are pairs of real arrays, so parameters and carries keep to one dtype.

`prepare` computes λ, γ ∘ B and the stacked C once per call. The product with C is in `emit`: once for all
T under `Associative`, in the loop under `Sequential`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import LinearCell, check_sizes
from lstm_lab.cells.initial import Ring


class LRUParams(NamedTuple):
    """Weights of an LRU: `nu_log`, `theta_log`, `gamma_log [H]`; `B [D, H]` and `C [H, H]` in two parts; `D [D, H]`."""

    nu_log: Array
    theta_log: Array
    gamma_log: Array
    B_re: Array
    B_im: Array
    C_re: Array
    C_im: Array
    D: Array


class LRUPrepared(NamedTuple):
    """What the steps read: λ `[H]` in two parts, `W [D, 3H]` with blocks Re γB, Im γB, D, and `C [2H, H]`."""

    lambda_re: Array
    lambda_im: Array
    W: Array
    C: Array


class LRUCarry(NamedTuple):
    """The complex state's real and imaginary part, each `[..., H]`."""

    re: Array
    im: Array


@dataclass(frozen=True)
class LRU(LinearCell):
    """A linear recurrent unit.

    Attributes:
        ring: where λ is drawn.
    """

    ring: Ring = Ring()

    def init(self, key: Array, d_in: int, d_hidden: int) -> LRUParams:
        check_sizes(d_in, d_hidden)
        key_ring, key_b, key_c, key_d = jax.random.split(key, 4)
        lost, phase = self.ring.draw(key_ring, d_hidden)
        B = jax.random.normal(key_b, (2, d_in, d_hidden), jnp.float32) * (2 * d_in) ** -0.5
        C = jax.random.normal(key_c, (2, d_hidden, d_hidden), jnp.float32) * d_hidden**-0.5
        return LRUParams(
            nu_log=jnp.log(-jnp.log1p(-lost) / 2),
            theta_log=jnp.log(phase),
            gamma_log=jnp.log(lost) / 2,
            B_re=B[0],
            B_im=B[1],
            C_re=C[0],
            C_im=C[1],
            D=jax.random.normal(key_d, (d_in, d_hidden), jnp.float32) * d_in**-0.5,
        )

    def prepare(self, params: LRUParams, key: Array | None = None) -> LRUPrepared:
        del key
        modulus, phase = jnp.exp(-jnp.exp(params.nu_log)), jnp.exp(params.theta_log)
        gamma = jnp.exp(params.gamma_log)
        return LRUPrepared(
            lambda_re=modulus * jnp.cos(phase),
            lambda_im=modulus * jnp.sin(phase),
            W=jnp.concatenate([gamma * params.B_re, gamma * params.B_im, params.D], axis=1),
            # Re(C h) = Re C Re h - Im C Im h
            C=jnp.concatenate([params.C_re, -params.C_im]),
        )

    def carry(self, params: LRUParams | LRUPrepared, batch: int) -> LRUCarry:
        # Prepared or not, the first field has one number per unit.
        zero = jnp.zeros((batch, *params[0].shape), params[0].dtype)
        return LRUCarry(zero, zero)

    def project(self, params: LRUPrepared, x: Array) -> Array:
        return x @ params.W

    def coefficients(self, params: LRUPrepared, z: Array) -> tuple[LRUCarry, LRUCarry]:
        re, im, _ = jnp.split(z, 3, axis=-1)
        return LRUCarry(params.lambda_re, params.lambda_im), LRUCarry(re, im)

    def emit(self, params: LRUPrepared, carry: LRUCarry, z: Array) -> Array:
        past = jnp.concatenate([carry.re, carry.im], axis=-1) @ params.C
        return past + z[..., 2 * params.C.shape[1] :]

    def times(self, a: LRUCarry, h: LRUCarry) -> LRUCarry:
        return LRUCarry(a.re * h.re - a.im * h.im, a.re * h.im + a.im * h.re)

    def one(self, a: LRUCarry) -> LRUCarry:
        return LRUCarry(jnp.ones_like(a.re), jnp.zeros_like(a.im))

    @property
    def label(self) -> str:
        return f"LRU {self.ring.label}".rstrip()
