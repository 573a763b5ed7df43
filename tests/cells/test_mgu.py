"""One gate for two purposes: what it replaces, what it hides, and its size."""

import jax
import jax.numpy as jnp
import numpy as np

from lstm_lab.cells.elman import Elman, ElmanParams
from lstm_lab.cells.mgu import MGU, MGUParams
from lstm_lab.unroll import unroll

D, H = 5, 6
X = np.random.default_rng(0).normal(size=(2, 30, D)).astype(np.float32)


def gated(bias: float) -> MGUParams:
    """Parameters whose gate stands at σ(bias) whatever it reads, so nearly at 0 or 1."""
    params = MGU().init(jax.random.key(0), D, H)
    return params._replace(b=params.b.at[:H].set(bias))


def test_it_has_two_blocks_of_one_matrix_per_source_and_one_bias() -> None:
    shapes = jax.tree.map(np.shape, MGU().init(jax.random.key(0), D, H))
    assert shapes == ((5, 12), (6, 12), (12,))
    # 2 · 6 · (5 + 6 + 1): two thirds of a GRU's three blocks.
    assert sum(map(np.prod, shapes)) == 144


def test_a_forget_gate_at_zero_keeps_the_past_as_it_is() -> None:
    params = gated(-100.0)
    carry = jax.tree.map(lambda h: h + 0.5, MGU().carry(params, 2))
    final, _ = unroll(MGU(), params, jnp.asarray(X), carry=carry)
    np.testing.assert_allclose(final.h, carry.h, rtol=1e-5)


def test_a_forget_gate_at_one_leaves_an_elman_network() -> None:
    params = gated(100.0)
    elman = ElmanParams(*(leaf[..., H:] for leaf in params))
    _, y = unroll(MGU(), params, jnp.asarray(X))
    _, expected = unroll(Elman(), elman, jnp.asarray(X))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_the_gate_hides_the_past_before_the_product_mixes_the_units() -> None:
    # U_n sends unit 0 to unit 1. With unit 0's gate shut and unit 1's open, nothing may arrive there:
    # gated after the product, unit 1's open gate would let it in.
    zero = jax.tree.map(jnp.zeros_like, gated(0.0))
    params = zero._replace(
        U=zero.U.at[0, H + 1].set(1.0), b=zero.b.at[0].set(-100.0).at[1].set(100.0)
    )
    carry = jax.tree.map(lambda h: h.at[:, 0].set(0.5), MGU().carry(params, 2))
    final, _ = unroll(MGU(), params, jnp.asarray(X[:, :1]), carry=carry)
    np.testing.assert_allclose(final.h[:, 0], 0.5, rtol=1e-5)
    np.testing.assert_allclose(final.h[:, 1], 0.0, atol=1e-6)
