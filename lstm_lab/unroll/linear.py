"""A linear recurrence solved for all steps at once, as it is or damped.

    δ_t = A_t δ_{t-1} + r_t,      δ_0 = 0

with A_t a matrix or a diagonal. Two steps in a row are one of the same kind, (A, r) after (A', r') being
(A A', A r' + r), so `lax.associative_scan` forms all T prefixes in about 2 log2 T rounds (G. E. Blelloch,
"Prefix sums and their applications" 1990, section 1.4.1), about 2 T products in all: n³ work each with
matrices, n with diagonals.

Damped, δ minimises

    Σ_t |δ_t - A_t δ_{t-1} - r_t|² + λ |δ_t|²

which is the step of Levenberg and Marquardt. It is also the posterior mean of a Gaussian chain with unit
noise whose states were observed to be zero with variance 1/λ, and so what a Kalman smoother computes
(X. Gonzalez, A. Warrington, J. Smith and S. Linderman, "Towards scalable and stable parallelization of
nonlinear RNNs" 2024, who call it ELK). For a diagonal A every unit is a chain of its own and the smoother
(S. Särkkä and Á. García-Fernández, "Temporal parallelization of Bayesian smoothers" 2021) is three prefixes:

    p_t = P_t / (1 + λ P_t),     P_t = a_t² p_{t-1} + 1            the filter's variance: a ratio of linear forms
    m_t = (a_t m_{t-1} + r_t) / (1 + λ P_t)                        the filter's mean
    δ_t = m_t + G_t (δ_{t+1} - a_{t+1} m_t - r_{t+1}),     G_t = a_{t+1} p_t / P_{t+1}

A ratio of linear forms in p_{t-1} is a 2 x 2 matrix acting on (numerator, denominator), so the variances are
prefixes of a matrix product; its entries are positive, so nothing cancels.
"""

from typing import Any

import jax.numpy as jnp
from jax import Array, lax


def prefixes(A: Array, r: Array, *, reverse: bool = False) -> Array:
    """Solve δ_t = A_t δ_{t-1} + r_t for all steps.

    Args:
        A: matrices `[T, B, n, n]` or diagonals `[T, B, n]`; the first one read is of no effect.
        r: what enters each step, `[T, B, n]`.
        reverse: read from the last step to the first.

    Returns:
        δ, `[T, B, n]`.
    """
    if A.ndim == r.ndim:
        return lax.associative_scan(_after_diagonal, (A, r), reverse=reverse)[1]
    return lax.associative_scan(_after, (A, r[..., None]), reverse=reverse)[1][..., 0]


def damped_prefixes(a: Array, r: Array, damping: float) -> Array:
    """Minimise Σ |δ_t - a_t δ_{t-1} - r_t|² + λ |δ_t|², unit by unit.

    Args:
        a: diagonals `[T, B, n]`; the first one is of no effect.
        r: what enters each step, `[T, B, n]`.
        damping: λ, at least 0; at 0 the result is that of `prefixes`.

    Returns:
        δ, `[T, B, n]`.
    """
    squared = a**2
    # (a² p + 1) / (λ a² p + λ + 1), as rows of coefficients.
    upper = jnp.stack([squared, jnp.ones_like(a)], axis=-1)
    step = jnp.stack([upper, damping * upper + jnp.array([0, 1], a.dtype)], axis=-2)
    product = lax.associative_scan(_after_scaled, step)
    # From p_0 = 0, which is 0 over 1.
    p = product[..., 0, 1] / product[..., 1, 1]
    P = squared * _shifted(p) + 1
    shrink = 1 / (1 + damping * P)
    m = prefixes(shrink * a, shrink * r)
    # Nothing follows the last step: G = 0 there.
    G = _shifted(a / P, back=True) * p
    arriving = a * _shifted(m) + r
    return prefixes(G, m - G * _shifted(arriving, back=True), reverse=True)


def _shifted(v: Array, *, back: bool = False) -> Array:
    """Each step's predecessor, zero at the first; with `back`, each step's successor, zero at the last."""
    none = jnp.zeros_like(v[:1])
    return jnp.concatenate([v[1:], none]) if back else jnp.concatenate([none, v[:-1]])


def _after(earlier: Any, later: Any) -> Any:
    (A_1, r_1), (A_2, r_2) = earlier, later
    return A_2 @ A_1, A_2 @ r_1 + r_2


def _after_diagonal(earlier: Any, later: Any) -> Any:
    (a_1, r_1), (a_2, r_2) = earlier, later
    return a_2 * a_1, a_2 * r_1 + r_2


def _after_scaled(earlier: Array, later: Array) -> Array:
    """The product up to a factor, which the ratio does not see: without one it would overflow."""
    product = later @ earlier
    return product / jnp.max(product, axis=(-2, -1), keepdims=True)
