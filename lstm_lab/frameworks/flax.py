"""Stacks of `nnx.RNN` around `SimpleCell`, `GRUCell` and `OptimizedLSTMCell`, and of `nnx.Bidirectional`.

Their GRU has no bias inside the reset's product: ours is handed over only where c_n is zero.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from lstm_lab import layouts
from lstm_lab.cells.base import Cell
from lstm_lab.cells.elman import Elman, ElmanParams
from lstm_lab.cells.gru import GRU, GRUParams
from lstm_lab.cells.lstm import LSTM, LSTMParams
from lstm_lab.errors import UsageError
from lstm_lab.frameworks.parts import Body, Part, apart, refuse, refuse_two, together

_ACTIVATIONS: dict[Any, Any] = {"tanh": jnp.tanh, "relu": jax.nn.relu}


def to_flax(body: Body) -> list[nnx.RNN | nnx.Bidirectional]:
    """A stack as Flax's own modules.

    Args:
        body: layers of an Elman with tanh or ReLU, an LSTM, or a GRU that resets after the product and has no c_n; if
            they read both ways, merged by `concat`.

    Returns:
        A module for each layer from the input upwards: each reads `[B, T, D]`.

    Raises:
        UsageError: Flax has no such layer.
    """
    modules: list[nnx.RNN | nnx.Bidirectional] = []
    for part in apart(body):
        if part.merge != "concat":
            raise UsageError(f"merge: {part.merge!r}: give concat, which nnx.Bidirectional knows")
        sides = [nnx.RNN(_cell(part.cell, params)) for params in part.params]
        modules.append(sides[0] if len(sides) == 1 else nnx.Bidirectional(*sides))
    return modules


def _cell(cell: Cell, params: Any) -> nnx.RNNCellBase:
    (D, _), (H, _) = params.W.shape, params.U.shape
    rngs = nnx.Rngs(0)
    match cell:
        case Elman() if cell.activation in _ACTIVATIONS:
            function = _ACTIVATIONS[cell.activation]
            made: nnx.RNNCellBase = nnx.SimpleCell(D, H, activation_fn=function, rngs=rngs)
        case LSTM():
            made = nnx.OptimizedLSTMCell(D, H, rngs=rngs)
        case GRU(reset="after"):
            if np.any(params.c_n):
                raise UsageError(
                    "GRU: c_n is not zero: nnx.GRUCell has no bias inside the reset's product, so it is another cell"
                )
            made = nnx.GRUCell(D, H, rngs=rngs)
        case _:
            raise refuse(cell, "Flax", "SimpleCell of tanh or relu, OptimizedLSTMCell and GRUCell")
    for path, leaf in layouts.flax(params).items():
        dense, name = path.split(".")
        getattr(getattr(made, dense), name)[...] = leaf
    return made


def from_flax(modules: Sequence[Any]) -> Body:
    """Take over Flax modules that stand on top of each other.

    Args:
        modules: from the input upwards: `nnx.RNN` around a `SimpleCell`, `GRUCell` or `OptimizedLSTMCell`, or
            `nnx.Bidirectional` of two.

    Returns:
        A `Recurrent` or `Bidirectional` layer, or a `Stack` of them.

    Raises:
        UsageError: a module or one of its settings has no counterpart here.
    """
    return together([_part(module) for module in modules])


def _part(module: Any) -> Part:
    if not isinstance(module, nnx.Bidirectional):
        return Part(*_side(module))
    (cell, ahead), (other, back) = _side(module.forward_rnn), _side(module.backward_rnn)
    refuse_two(cell, other)
    probe = jnp.arange(2.0)
    if not np.array_equal(module.merge_fn(probe, probe + 2), np.arange(4.0)):
        raise UsageError(
            "nnx.Bidirectional: merge_fn: give one that concatenates, as it does unasked"
        )
    return Part(cell, (*ahead, *back))


def _side(module: Any) -> tuple[Cell, tuple[Any]]:
    cell = getattr(module, "cell", module)
    if not isinstance(module, nnx.RNN) or not isinstance(
        cell, nnx.SimpleCell | nnx.GRUCell | nnx.OptimizedLSTMCell
    ):
        raise UsageError(
            f"{type(cell).__name__}: no counterpart here: give an nnx.RNN around a SimpleCell, GRUCell or "
            "OptimizedLSTMCell"
        )
    if module.reverse or getattr(cell, "residual", False):
        raise UsageError(
            f"{type(cell).__name__}: reverse, residual: no counterpart here: give a plain layer"
        )
    W, U = cell.dense_i.kernel[...], cell.dense_h.kernel[...]
    names = {function: name for name, function in _ACTIVATIONS.items()}
    activation = names.get(cell.activation_fn)
    gates = getattr(cell, "gate_fn", nnx.sigmoid)
    if isinstance(cell, nnx.SimpleCell) and activation:
        return Elman(activation=activation), (ElmanParams(W, U, _bias(cell.dense_i)),)
    if activation != "tanh" or gates is not nnx.sigmoid:
        raise UsageError(
            f"{type(cell).__name__}: activation_fn, gate_fn: no counterpart here: take Flax's defaults"
        )
    if isinstance(cell, nnx.GRUCell):
        return GRU(), (GRUParams(W, U, _bias(cell.dense_i), jnp.zeros(len(U), U.dtype)),)
    return LSTM(), (LSTMParams(W, U, _bias(cell.dense_h)),)


def _bias(dense: nnx.Linear) -> Array:
    assert dense.bias is not None, "Flax's cells draw it"
    return dense.bias[...]
