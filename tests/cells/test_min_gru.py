"""A GRU without its past: size, what the gate does, and the positive form."""

import jax
import jax.numpy as jnp
import numpy as np

from lstm_lab.cells.min_gru import MinGRU
from lstm_lab.unroll import unroll

D, H = 5, 6


def inputs(steps: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=(2, steps, D)), jnp.float32)


def test_it_has_a_gate_and_a_candidate_and_nothing_recurrent() -> None:
    shapes = jax.tree.map(np.shape, MinGRU().init(jax.random.key(0), D, H))
    assert shapes == ((5, 12), (12,))
    assert sum(map(np.prod, shapes)) == 2 * H * (D + 1)


def test_a_closed_gate_keeps_the_past_as_it_is() -> None:
    params = MinGRU().init(jax.random.key(0), D, H)
    kept = params._replace(b=params.b.at[:H].set(-100.0))
    carry = jax.tree.map(lambda h: h + 0.5, MinGRU().carry(params, 2))
    final, _ = unroll(MinGRU(), kept, inputs(30), carry=carry)
    np.testing.assert_allclose(final.h, carry.h, rtol=1e-6)


def test_the_positive_form_starts_and_stays_above_zero() -> None:
    cell = MinGRU(positive=True)
    params = cell.init(jax.random.key(0), D, H)
    negative = params._replace(b=params.b.at[H:].set(-3.0))
    assert (cell.carry(params, 2).h == 0.5).all()
    _, y = unroll(cell, negative, inputs(30))
    assert (y > 0).all()
    _, free = unroll(MinGRU(), negative, inputs(30))
    assert (free < 0).any()
