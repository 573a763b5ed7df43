"""Every schedule lowers for accelerators on a machine that has none, forward and gradient."""

from typing import Any

import jax
import numpy as np
import pytest
from jax import Array, export

from lstm_lab.cells.base import Cell
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lru import LRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.min_gru import MinGRU
from lstm_lab.unroll import Associative, Newton, Schedule, Sequential, unroll
from tests.variants import name

B, T, D, H = 4, 32, 3, 8


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize(
    ("cell", "schedule"),
    [
        (LSTM(), Sequential()),
        (GRU(), Sequential(remat=8)),
        (LRU(), Associative()),
        (MinGRU(), Associative()),
        # A call to the host, which tells of failures, is what an export cannot hold.
        (LSTM(), Newton(logger="")),
        (GRU(), Newton(form="diagonal", damping=0.1, fallback="sequential", logger="")),
    ],
    ids=name,
)
def test_a_training_step_lowers_for(platform: str, cell: Cell, schedule: Schedule) -> None:
    params = cell.init(jax.random.key(0), D, H)
    x, lengths = np.zeros((B, T, D), np.float32), np.full(B, T, np.int32)

    def loss(params: Any, x: Array, lengths: Array) -> Array:
        return (unroll(cell, params, x, lengths=lengths, schedule=schedule)[1] ** 2).sum()

    step = jax.jit(jax.value_and_grad(loss))
    lowered = export.export(step, platforms=[platform])(params, x, lengths)
    assert lowered.platforms == (platform,)
    assert lowered.mlir_module()
