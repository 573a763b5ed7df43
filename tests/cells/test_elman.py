"""The Elman network's initialisations, and its size."""

import jax
import numpy as np
import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.cells.initial import Identity, Normal, Orthogonal

D, H = 5, 64


def test_the_default_recurrent_matrix_lets_signals_fade_within_steps() -> None:
    U = Elman().init(jax.random.key(0), D, H).U
    assert np.abs(U).max() <= H**-0.5
    # Circular law: the spectral radius of entries of variance 1/(3H) tends to 1/√3.
    assert np.abs(np.linalg.eigvals(U)).max() == pytest.approx(3**-0.5, rel=0.15)


def test_the_orthogonal_recurrent_matrix_keeps_every_norm() -> None:
    U = Elman(recurrent=Orthogonal()).init(jax.random.key(0), D, H).U
    np.testing.assert_allclose(U.T @ U, np.eye(H), atol=1e-5)


def test_the_irnn_starts_as_a_perfect_memory_of_almost_nothing() -> None:
    cell = Elman("relu", Identity(), Normal(0.001))
    params = cell.init(jax.random.key(0), 50, H)
    np.testing.assert_array_equal(params.U, np.eye(H))
    assert not params.b.any()
    assert float(params.W.std()) == pytest.approx(0.001, rel=0.05)
    assert cell.label == "IRNN"


def test_it_has_one_matrix_per_source_and_one_bias() -> None:
    shapes = jax.tree.map(np.shape, Elman().init(jax.random.key(0), D, H))
    assert shapes == ((D, H), (H, H), (H,))
    assert sum(map(np.prod, shapes)) == H * (D + H + 1)
