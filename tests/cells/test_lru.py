"""Where the eigenvalues of an LRU lie before anything is learned, and its size."""

from math import pi

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.initial import Ring
from lstm_lab.cells.lru import LRU, LRUParams
from lstm_lab.errors import UsageError
from lstm_lab.unroll import unroll

D, H = 5, 6


def eigenvalues(cell: LRU, d_hidden: int = 1024) -> tuple[np.ndarray, LRUParams]:
    params = jax.tree.map(np.asarray, cell.init(jax.random.key(0), 1, d_hidden))
    nu, theta = np.exp(np.float64(params.nu_log)), np.exp(np.float64(params.theta_log))
    return np.exp(-nu + 1j * theta), params


@pytest.mark.parametrize("ring", [Ring(), Ring(0.9, 0.999), Ring(0.5, max_phase=pi / 10)], ids=str)
def test_eigenvalues_fill_the_ring_evenly(ring: Ring) -> None:
    drawn, _ = eigenvalues(LRU(ring))
    modulus, phase = np.abs(drawn), np.angle(drawn) % (2 * pi)
    assert (modulus < 1).all()
    # A float32 logarithm of a logarithm is good to a millionth.
    assert modulus.min() >= ring.r_min - 1e-6
    assert modulus.max() <= ring.r_max + 1e-6
    assert phase.max() <= ring.max_phase + 1e-6
    # Uniform by area is uniform in |λ|²; both means lie within four standard errors.
    for value, low, high in (
        (modulus**2, ring.r_min**2, ring.r_max**2),
        (phase, 0.0, ring.max_phase),
    ):
        error = (high - low) / np.sqrt(12 * len(drawn))
        assert value.mean() == pytest.approx((low + high) / 2, abs=4 * error)


def test_the_input_is_scaled_so_that_white_noise_gives_every_unit_the_same_variance() -> None:
    drawn, params = eigenvalues(LRU(Ring(0.9, 0.999)))
    np.testing.assert_allclose(np.exp(params.gamma_log), np.sqrt(1 - np.abs(drawn) ** 2), rtol=1e-4)


def test_a_unit_turns_and_shrinks_by_its_eigenvalue_when_nothing_comes_in() -> None:
    cell, steps = LRU(Ring(0.9)), 7
    params = cell.init(jax.random.key(0), D, H)
    carry = jax.tree.map(lambda leaf: leaf + 1, cell.carry(params, 1))
    final, _ = unroll(cell, params, jnp.zeros((1, steps, D), jnp.float32), carry=carry)
    nu, theta = np.exp(np.float64(params.nu_log)), np.exp(np.float64(params.theta_log))
    wanted = np.exp(steps * (-nu + 1j * theta)) * (1 + 1j)
    np.testing.assert_allclose(
        np.asarray(final.re[0]) + 1j * np.asarray(final.im[0]), wanted, atol=1e-5
    )


@pytest.mark.parametrize(
    ("r_min", "r_max"), [(-0.1, 1.0), (0.5, 0.5), (0.9, 0.1), (0.0, 1.1), (float("nan"), 1.0)]
)
def test_radii_that_make_no_ring_in_the_unit_disc_are_refused(r_min: float, r_max: float) -> None:
    with pytest.raises(UsageError, match=f"r-min, r-max: {r_min:g}, {r_max:g}: give"):
        Ring(r_min, r_max)


@pytest.mark.parametrize("max_phase", [0.0, -1.0, 7.0, float("nan")])
def test_a_phase_beyond_a_full_turn_is_refused(max_phase: float) -> None:
    with pytest.raises(UsageError, match=f"max-phase: {max_phase:g}: give"):
        Ring(max_phase=max_phase)


def test_it_has_three_numbers_per_unit_and_two_complex_matrices_beside_the_skip() -> None:
    shapes = jax.tree.map(np.shape, tuple(LRU().init(jax.random.key(0), 5, 6)))
    assert shapes == ((6,),) * 3 + ((5, 6),) * 2 + ((6, 6),) * 2 + ((5, 6),)
    # 18 for λ and γ, 60 for B, 72 for C, 30 for D.
    assert sum(map(np.prod, shapes)) == 180


def test_the_label_tells_the_ring_and_the_phase_when_they_are_not_the_papers() -> None:
    assert LRU().label == "LRU"
    assert LRU(Ring(0.9, 0.999, pi / 10)).label == "LRU ring 0.9 to 0.999 phase 0.314"
