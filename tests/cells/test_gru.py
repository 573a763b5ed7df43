"""Where the reset acts, and what it costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.gru import GRU
from lstm_lab.unroll import unroll

D, H = 5, 6


@pytest.mark.parametrize(("cell", "own"), [(GRU(), H), (GRU(reset="before"), 0)])
def test_resetting_after_the_product_needs_one_more_bias(cell: GRU, own: int) -> None:
    leaves = jax.tree.leaves(cell.init(jax.random.key(0), D, H))
    assert sum(leaf.size for leaf in leaves) == 3 * H * (D + H + 1) + own


def test_a_closed_reset_gate_hides_the_past_from_the_candidate_on_either_side() -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, D)), jnp.float32)
    params = GRU(reset="before").init(jax.random.key(0), D, H)
    closed = params._replace(b=params.b.at[:H].set(-100.0))
    _, before = unroll(GRU(reset="before"), closed, x)
    _, after = unroll(GRU(), closed._replace(c_n=jnp.zeros(H, jnp.float32)), x)
    np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)


def test_a_closed_update_gate_keeps_the_past_as_it_is() -> None:
    params = GRU().init(jax.random.key(0), D, H)
    kept = params._replace(b=params.b.at[H : 2 * H].set(100.0))
    carry = jax.tree.map(lambda h: h + 0.5, GRU().carry(params, 2))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 30, D)), jnp.float32)
    final, _ = unroll(GRU(), kept, x, carry=carry)
    np.testing.assert_allclose(final.h, carry.h, rtol=1e-5)
