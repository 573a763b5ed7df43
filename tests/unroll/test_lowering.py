"""Every cell lowers for accelerators on a machine that has none, forward and gradient, under every schedule.

CuDNN alone cannot: lowering it asks the library for buffer sizes (see `cudnn.py`).
"""

from typing import Any

import jax
import numpy as np
import pytest
from jax import Array, export

from lstm_lab.cells.base import Cell, LinearCell
from lstm_lab.cells.gru import GRU
from lstm_lab.unroll import Associative, Newton, Schedule, Sequential, unroll
from tests.cells.contract import FIRST, heavy
from tests.variants import name

B, T, D, H = 4, 32, 3, 8

# A call to the host, which tells of failures, is what an export cannot hold.
NEWTON = Newton(logger="")
PAIRS: list[tuple[Cell, Schedule]] = [
    *((cell, Sequential()) for cell in FIRST),
    *((cell, Associative()) for cell in FIRST if isinstance(cell, LinearCell)),
    *((cell, NEWTON) for cell in FIRST),
    (GRU(), Sequential(remat=8)),
    (GRU(), Newton("diagonal", damping=0.1, fallback="sequential", logger="")),
]
SAMPLE = ("LSTM Sequential", "LRU Associative", "GRU Newton")


@pytest.mark.parametrize(
    ("cell", "schedule"),
    [
        pytest.param(
            cell,
            schedule,
            marks=heavy(f"{type(cell).__name__} {type(schedule).__name__}" not in SAMPLE),
            id=f"{type(cell).__name__}-{name(schedule)}",
        )
        for cell, schedule in PAIRS
    ],
)
def test_a_training_step_lowers_for_cuda_and_tpu(cell: Cell, schedule: Schedule) -> None:
    params = cell.init(jax.random.key(0), D, H)
    x, lengths = np.zeros((B, T, D), np.float32), np.full(B, T, np.int32)

    def loss(params: Any, x: Array, lengths: Array) -> Array:
        return (unroll(cell, params, x, lengths=lengths, schedule=schedule)[1] ** 2).sum()

    step = jax.jit(jax.value_and_grad(loss))
    for platform in ("cuda", "tpu"):
        lowered = export.export(step, platforms=[platform])(params, x, lengths)
        assert lowered.platforms == (platform,)
        assert lowered.mlir_module()
