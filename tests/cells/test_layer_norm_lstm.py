"""What a normalised LSTM cannot see, and its size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.layer_norm_lstm import LayerNormLSTM, LayerNormLSTMParams
from lstm_lab.unroll import unroll

D, H = 5, 6
CELL = LayerNormLSTM()
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 7, D)), jnp.float32)


@pytest.fixture(scope="module")
def params() -> LayerNormLSTMParams:
    """Weights so large that ε is nothing beside them."""
    params = CELL.init(jax.random.key(0), D, H)
    return params._replace(W=100 * params.W, U=100 * params.U)


def test_it_has_three_gains_and_a_bias_more_than_an_lstm(params: LayerNormLSTMParams) -> None:
    shapes = jax.tree.map(np.shape, params)
    assert shapes == ((5, 24), (6, 24), (24,), (24,), (24,), (6,), (6,))
    # The LSTM's 4 · 6 · (5 + 6 + 1), then 2 · 24 + 2 · 6.
    assert sum(map(np.prod, shapes)) == 288 + 60


def test_gains_start_at_one_and_biases_at_zero_but_the_forget_gates() -> None:
    params = LayerNormLSTM(forget_bias=2.5).init(jax.random.key(0), D, H)
    for gain in (params.alpha_x, params.alpha_h, params.alpha_c):
        assert (gain == 1).all()
    i, f, g, o = np.split(np.asarray(params.b), 4)
    assert (f == 2.5).all()
    assert not np.any([i, g, o, np.asarray(params.beta_c)])


def test_rescaling_either_weight_matrix_changes_nothing(params: LayerNormLSTMParams) -> None:
    _, y = unroll(CELL, params, X)
    _, scaled = unroll(CELL, params._replace(W=10 * params.W, U=20 * params.U), X)
    np.testing.assert_allclose(scaled, y, atol=1e-4)


def test_rescaling_the_input_of_one_step_changes_nothing(params: LayerNormLSTMParams) -> None:
    scale = jnp.asarray(np.random.default_rng(1).uniform(1, 10, (2, 7, 1)), jnp.float32)
    _, y = unroll(CELL, params, X)
    _, scaled = unroll(CELL, params, scale * X)
    np.testing.assert_allclose(scaled, y, atol=1e-4)


def test_adding_one_vector_to_every_column_of_the_input_weights_changes_nothing(
    params: LayerNormLSTMParams,
) -> None:
    shift = 50 * jnp.asarray(np.random.default_rng(1).normal(size=(D, 1)), jnp.float32)
    _, y = unroll(CELL, params, X)
    _, shifted = unroll(CELL, params._replace(W=params.W + shift), X)
    np.testing.assert_allclose(shifted, y, atol=1e-4)


def test_with_no_gain_on_the_state_the_output_gate_shows_its_bias(
    params: LayerNormLSTMParams,
) -> None:
    zero = jnp.zeros(H, jnp.float32)
    opened = params.b.at[3 * H :].set(1000.0)
    shown = params._replace(alpha_c=zero, beta_c=zero + 0.5, b=opened)
    _, y = unroll(CELL, shown, X)
    np.testing.assert_allclose(y, np.full(y.shape, np.tanh(0.5)), rtol=1e-5)


def test_the_label_names_another_forget_bias() -> None:
    assert CELL.label == "LSTM layer norm"
    assert LayerNormLSTM(forget_bias=0.0).label == "LSTM layer norm forget bias 0"
