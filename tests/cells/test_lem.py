"""Two clocks: stopped, at full speed, and what is left of the cell without its second state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.lem import LEM, LEMParams
from lstm_lab.cells.ugrnn import UGRNN
from lstm_lab.errors import UsageError
from lstm_lab.unroll import unroll

D, H = 5, 6
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 30, D)), jnp.float32)


def clocks(of_z: float, of_y: float) -> LEMParams:
    """Parameters with these biases in the two time steps."""
    params = LEM().init(jax.random.key(0), D, H)
    return params._replace(b=params.b.at[:H].set(of_z).at[H : 2 * H].set(of_y))


def test_four_blocks_see_the_input_three_of_them_y_and_one_z() -> None:
    params = LEM().init(jax.random.key(0), D, H)
    assert jax.tree.map(np.shape, params) == ((5, 24), (6, 18), (6, 6), (24,))
    # 4 · 6 · (5 + 6 + 1), as many as an LSTM.
    assert sum(leaf.size for leaf in params) == 288


def test_weights_are_bounded_by_the_units_and_biases_start_at_zero() -> None:
    V, W, W_y, b = LEM().init(jax.random.key(0), 100, 100)
    for weights in (V, W, W_y):
        assert 0.099 < np.abs(weights).max() <= 0.1
    assert not b.any()


def test_stopped_clocks_keep_both_states_as_they_are() -> None:
    params = clocks(-100.0, -100.0)
    carry = jax.tree.map(lambda leaf: leaf + 0.5, LEM().carry(params, 2))
    final, _ = unroll(LEM(), params, X, carry=carry)
    for leaf in final:
        np.testing.assert_array_equal(leaf, np.full((2, H), 0.5))


def test_clocks_at_full_speed_leave_two_layers_and_no_memory_of_their_own() -> None:
    params = clocks(100.0, 100.0)
    final, y = unroll(LEM(), params, X)
    V_z, V_y = (np.asarray(params.V[:, k * H : (k + 1) * H]) for k in (2, 3))
    before = np.asarray(y[:, -2])
    z = np.tanh(X[:, -1] @ V_z + before @ params.W[:, 2 * H :])
    np.testing.assert_allclose(final.z, z, atol=1e-6)
    np.testing.assert_allclose(final.y, np.tanh(X[:, -1] @ V_y + z @ params.W_y), atol=1e-6)


def test_without_z_it_is_a_ugrnn_whose_candidate_does_not_look_back() -> None:
    params = clocks(0.0, 1.0)._replace(W_y=jnp.zeros((H, H), jnp.float32))
    _, y = unroll(LEM(), params, X)

    def blocks(leaf: jax.Array, candidate: jax.Array) -> jax.Array:
        # One gate keeps what the other lets pass.
        return jnp.concatenate([candidate, -leaf[..., H : 2 * H]], axis=-1)

    own = (
        UGRNN()
        .init(jax.random.key(1), D, H)
        ._replace(
            W=blocks(params.V, params.V[:, 3 * H :]),
            U=blocks(params.W, jnp.zeros((H, H), jnp.float32)),
            b=blocks(params.b, params.b[3 * H :]),
        )
    )
    np.testing.assert_allclose(y, unroll(UGRNN(), own, X)[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dt", [0.0, -0.1, 1.5, float("nan")])
def test_a_time_step_that_overshoots_is_refused(dt: float) -> None:
    with pytest.raises(UsageError, match=f"dt: {dt}: give a time"):
        LEM(dt=dt)


def test_the_label_names_another_time_step() -> None:
    assert LEM().label == "LEM"
    assert LEM(dt=0.05).label == "LEM dt 0.05"
