"""The same network for every framework: our parameters, and theirs made of them; answers held against ours."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from lstm_lab import layouts
from lstm_lab.bench.workload import CellName, Workload
from lstm_lab.cells.base import Cell
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM

CELLS: Mapping[CellName, Cell] = {"Elman": Elman(), "LSTM": LSTM(), "GRU": GRU()}


def parameters(workload: Workload) -> dict[str, Any]:
    """Our parameters of every layer and direction, `layer/direction`, drawn as the cells draw them."""
    cell = CELLS[workload.cell]
    drawn = {}
    for n, (layer, d_in) in enumerate(workload.widths()):
        key = jax.random.fold_in(jax.random.key(0), n)
        drawn[f"{layer}/{n % workload.directions}"] = cell.init(key, d_in, workload.hidden)
    return drawn


def laid_out(layout: str, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A framework's parameters, `layer/direction/name`, made of ours."""
    of = getattr(layouts, layout)
    return {
        f"{place}/{name}": np.ascontiguousarray(leaf)
        for place, own in params.items()
        for name, leaf in of(own).items()
    }


def ours(
    layout: str, lacks: tuple[str, ...], params: Mapping[str, Any], got: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """A framework's gradients in our layout, without what it has no place for."""
    of = getattr(layouts, layout)
    named = {"x": got["x"]}
    for place, own in params.items():
        theirs = {name: got[f"{place}/{name}"] for name in of(own)}
        pulled = layouts.pull_back(of, own, jax.tree.map(jax.numpy.asarray, theirs))
        for name, leaf in layouts.own(pulled).items():
            if name not in lacks:
                named[f"{place}/{name}"] = np.asarray(leaf)
    return named
