"""An LSTM without its past: size, two gates that share one unit of weight, and the positive form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.min_lstm import MinLSTM
from lstm_lab.unroll import unroll

D, H = 5, 6


def inputs(steps: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=(2, steps, D)), jnp.float32)


def test_it_has_two_gates_and_a_candidate_and_nothing_recurrent() -> None:
    shapes = jax.tree.map(np.shape, MinLSTM().init(jax.random.key(0), D, H))
    assert shapes == ((5, 18), (18,))
    assert sum(map(np.prod, shapes)) == 3 * H * (D + 1)


def test_keeping_and_writing_sum_to_one() -> None:
    z = jnp.asarray(np.random.default_rng(0).normal(size=(7, 3 * H)) * 5, jnp.float32)
    params = MinLSTM().init(jax.random.key(0), D, H)
    # A candidate of one leaves the input gate's weight alone in b.
    a, b = MinLSTM().coefficients(params, z.at[:, 2 * H :].set(1.0))
    np.testing.assert_allclose(a.h + b.h, 1.0, rtol=1e-6)
    f, i, _ = np.split(1 / (1 + np.exp(-np.asarray(z, np.float64))), 3, axis=1)
    np.testing.assert_allclose(a.h, f / (f + i), rtol=1e-5)


@pytest.mark.parametrize(("f", "i", "kept"), [(-200.0, -200.0, 0.5), (-200.0, -150.0, 0.0)])
def test_two_closed_gates_still_share_one_unit(f: float, i: float, kept: float) -> None:
    params = MinLSTM().init(jax.random.key(0), D, H)

    def keep(b: jax.Array) -> jax.Array:
        z = MinLSTM().project(params._replace(b=b), jnp.zeros(D, jnp.float32))
        return MinLSTM().coefficients(params, z)[0].h

    b = params.b.at[:H].set(f).at[H : 2 * H].set(i)
    np.testing.assert_allclose(keep(b), kept, atol=1e-6)
    assert np.isfinite(jax.jacobian(keep)(b)).all()


def test_the_positive_form_starts_and_stays_above_zero() -> None:
    cell = MinLSTM(positive=True)
    params = cell.init(jax.random.key(0), D, H)
    negative = params._replace(b=params.b.at[2 * H :].set(-3.0))
    assert (cell.carry(params, 2).h == 0.5).all()
    _, y = unroll(cell, negative, inputs(30))
    assert (y > 0).all()
    _, free = unroll(MinLSTM(), negative, inputs(30))
    assert (free < 0).any()
