"""A real-gated linear recurrent unit: size, how fast it forgets at first, and its square root."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.rg_lru import RGLRU, RGLRUParams
from lstm_lab.unroll import unroll

D, H = 5, 6


def inputs(steps: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=(2, steps, D)), jnp.float32)


def test_it_has_three_products_two_biases_and_one_decay_for_each_unit() -> None:
    shapes = jax.tree.map(np.shape, RGLRU().init(jax.random.key(0), D, H))
    assert shapes == ((5, 18), (12,), (6,))
    assert sum(map(np.prod, shapes)) == 3 * H * D + 3 * H


def test_the_fastest_decay_is_drawn_evenly_between_its_bounds() -> None:
    units = 2048
    Lambda = np.asarray(RGLRU().init(jax.random.key(0), 1, units).Lambda, np.float64)
    decay = (1 / (1 + np.exp(-Lambda))) ** 8
    assert decay.min() >= 0.9 - 1e-6
    assert decay.max() <= 0.999 + 1e-6
    # Uniform: the mean within four standard errors.
    error = 0.099 / np.sqrt(12 * units)
    assert decay.mean() == pytest.approx(0.9495, abs=4 * error)


def test_keeping_and_writing_are_of_unit_power() -> None:
    params = RGLRU().init(jax.random.key(0), D, H)
    z = jnp.asarray(np.random.default_rng(0).normal(size=(7, 3 * H)), jnp.float32)
    # An open input gate and an input of one leave the root alone in b.
    a, b = RGLRU().coefficients(params, z.at[:, H : 2 * H].set(100.0).at[:, 2 * H :].set(1.0))
    np.testing.assert_allclose(a.h**2 + b.h**2, 1.0, rtol=1e-6)


def test_a_closed_recurrence_gate_keeps_the_past_and_shuts_the_input_out() -> None:
    params = RGLRU().init(jax.random.key(0), D, H)
    kept = params._replace(b=params.b.at[:H].set(-100.0))
    carry = jax.tree.map(lambda h: h + 0.5, RGLRU().carry(params, 2))
    final, _ = unroll(RGLRU(), kept, inputs(30), carry=carry)
    np.testing.assert_allclose(final.h, carry.h, rtol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_both_derivatives_stay_finite_where_nothing_fades(dtype: jnp.dtype) -> None:
    x = inputs(4).astype(dtype)

    def loss(params: RGLRUParams) -> jax.Array:
        return (unroll(RGLRU(), params, x)[1] ** 2).sum()

    def slope(params: RGLRUParams) -> tuple[jax.Array, RGLRUParams]:
        first = jax.grad(loss)(params)
        return sum((leaf**2).sum() for leaf in first), first

    derivatives = jax.jit(jax.grad(slope, has_aux=True))
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), RGLRU().init(jax.random.key(0), D, H))
    for at in (10.0, 20.0, 40.0, 80.0, 100.0, 1e4):
        gate = params._replace(b=params.b.at[:H].set(-at))
        decay = params._replace(Lambda=params.Lambda.at[:].set(at))
        for edge in (gate, decay):
            for leaf in jax.tree.leaves(derivatives(edge)):
                assert np.isfinite(np.asarray(leaf, np.float32)).all(), at
