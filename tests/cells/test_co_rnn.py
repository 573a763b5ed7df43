"""The oscillators without their weights, and the settings that would make them blow up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.co_rnn import CoRNN, CoRNNCarry
from lstm_lab.errors import UsageError
from lstm_lab.unroll import unroll

D, H = 5, 6


def swing(cell: CoRNN, steps: int) -> tuple[CoRNNCarry, CoRNNCarry]:
    """The carry before and after so many steps with neither weights nor input."""
    params = jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0), D, H))
    y, v = np.random.default_rng(0).normal(size=(2, 1, H))
    before = CoRNNCarry(jnp.asarray(y, jnp.float32), jnp.asarray(v, jnp.float32))
    after, _ = unroll(cell, params, jnp.zeros((1, steps, D)), carry=before)
    return before, after


def test_position_and_velocity_each_have_a_matrix() -> None:
    params = CoRNN().init(jax.random.key(0), D, H)
    assert jax.tree.map(np.shape, params) == ((D, H), (H, H), (H, H), (H,))
    assert sum(leaf.size for leaf in params) == 6 * (5 + 6 + 6 + 1)
    assert max(np.abs(leaf).max() for leaf in params) <= (5 + 2 * 6) ** -0.5


def test_an_undamped_oscillator_neither_gains_nor_loses_energy() -> None:
    cell = CoRNN(dt=0.1, gamma=3.0, epsilon=0.0)

    def energy(carry: CoRNNCarry) -> np.ndarray:
        # What this integrator conserves exactly: the energy, up to a term of order Δt.
        y, v = (np.asarray(part, np.float64) for part in carry)
        return v**2 + cell.gamma * y**2 - cell.dt * cell.gamma * y * v

    before, after = swing(cell, 1000)
    np.testing.assert_allclose(energy(after), energy(before), rtol=1e-3)


def test_the_default_oscillator_halves_its_position_in_25_steps() -> None:
    # Long enough for the faster of the two ways to fade to be gone.
    (early, late) = (swing(CoRNN(), steps)[1] for steps in (100, 125))
    np.testing.assert_allclose(late.y / early.y, 0.5, rtol=0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dt": 0.0}, "dt: 0.0"),
        ({"dt": float("nan")}, "dt: nan"),
        ({"gamma": -1.0}, "gamma: -1.0"),
        ({"epsilon": float("inf")}, "epsilon: inf"),
        ({"dt": 1.0, "gamma": 2.0, "epsilon": 1.0}, "smaller dt"),
    ],
)
def test_settings_without_a_bounded_oscillator_are_refused(
    settings: dict[str, float], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        CoRNN(**settings)


def test_settings_just_within_the_bound_die_out() -> None:
    before, after = swing(CoRNN(dt=1.0, gamma=1.9, epsilon=1.0), 500)
    assert np.abs(after.y).max() < 1e-3 * np.abs(before.y).max()


def test_the_label_names_what_is_not_the_default() -> None:
    assert CoRNN().label == "coRNN"
    assert CoRNN(dt=0.06, gamma=66.0).label == "coRNN dt 0.06 gamma 66"
