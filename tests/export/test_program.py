"""Every cell and layer becomes a program of one step, for any batch and every platform."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.architecture import by_path
from lstm_lab.cells.base import Layer
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.mlstm import MLSTM
from lstm_lab.export import program
from lstm_lab.layers.heads import Heads
from lstm_lab.model import Model, Widths
from lstm_lab.regularisers.weight_drop import WeightDrop
from lstm_lab.regularisers.zoneout import Zoneout
from tests.layers.contract import LAYERS
from tests.variants import CELLS, first_of_each

WIDTHS = Widths(d_in=2, d_out=3, per_step=True, tokens=False, label="series")
X = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
NOISY = Zoneout(WeightDrop(LSTM()))
SAMPLE = (MLSTM, Heads, Zoneout)


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(
            layer,
            id=type(layer).__name__,
            marks=() if isinstance(layer, SAMPLE) else pytest.mark.variant,
        )
        for layer in [*first_of_each(CELLS), *LAYERS, NOISY]
    ],
)
def test_a_program_steps_as_the_network_reads(layer: Layer) -> None:
    H = 2 * layer.multiple
    network = program.plain(Model(layer), WIDTHS, H)
    params = network.init(jax.random.key(0))
    data = program.step_program(network, WIDTHS, program.PLATFORMS)
    stepped = jax.export.deserialize(bytearray(data))
    weights, wanted = by_path(params), network.apply(params, jnp.asarray(X))[1]
    # What a folder keeps of the initial carry is one row.
    first = by_path(network.initial_carry(params, 1))
    for rows in (1, 3):
        carry: Any = {name: np.repeat(row, rows, 0) for name, row in first.items()}
        for t in range(X.shape[1]):
            carry, outputs = stepped.call(weights, carry, X[:rows, t])
            np.testing.assert_allclose(outputs, wanted[:rows, t], rtol=1e-5, atol=1e-5)
