"""Nine networks, counted by hand, and what each leaves out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.greff_lstm import GreffLSTM, Variant
from lstm_lab.cells.lstm import LSTM
from lstm_lab.errors import UsageError
from lstm_lab.unroll import unroll

D, H = 5, 6
BLOCK = D * H + H * H + H  # input weights, recurrent weights, bias


@pytest.mark.parametrize(
    ("variant", "parameters"),
    [
        ("vanilla", 4 * BLOCK + 3 * H),
        ("NIG", 3 * BLOCK + 2 * H),
        ("NFG", 3 * BLOCK + 2 * H),
        ("NOG", 3 * BLOCK + 2 * H),
        ("NIAF", 4 * BLOCK + 3 * H),
        ("NOAF", 4 * BLOCK + 3 * H),
        ("CIFG", 3 * BLOCK + 2 * H),
        ("NP", 4 * BLOCK),
        ("FGR", 4 * BLOCK + 3 * H + 9 * H * H),
    ],
)
def test_parameters_are_what_the_equations_hold(variant: Variant, parameters: int) -> None:
    leaves = jax.tree.leaves(GreffLSTM(variant).init(jax.random.key(0), D, H))
    assert sum(leaf.size for leaf in leaves) == parameters


def test_without_peepholes_it_is_the_other_lstm() -> None:
    params = LSTM().init(jax.random.key(0), D, H)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 7, D)), jnp.float32)
    bare = GreffLSTM("NP")
    own = bare.init(jax.random.key(1), D, H)._replace(W=params.W, U=params.U, b=params.b)
    np.testing.assert_allclose(
        unroll(bare, own, x)[1], unroll(LSTM(), params, x)[1], rtol=1e-5, atol=1e-6
    )


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(UsageError, match="'NAF': use vanilla, NIG"):
        GreffLSTM("NAF")  # type: ignore[arg-type]
