"""Stacks of Keras' `SimpleRNN`, `LSTM` and `GRU`, and `Bidirectional` ones, by what `get_weights` gives.

A Keras GRU that resets after the product has two biases and uses only the sum of those of its gates. Taken over, the
sum is what is kept; handed over, all of it stands in the first. What a layer returns (`return_sequences`,
`return_state`) is asked of ours when it is called.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_lab import layouts
from lstm_lab.cells.base import Cell
from lstm_lab.cells.elman import Elman, ElmanParams
from lstm_lab.cells.gru import GRU, GRUParams
from lstm_lab.cells.lstm import LSTM, LSTMParams
from lstm_lab.errors import UsageError
from lstm_lab.frameworks.parts import Body, Part, apart, refuse, refuse_two, together


def to_keras(body: Body) -> list[list[np.ndarray]]:
    """A stack as the weights of Keras layers, one list for each.

    Args:
        body: layers of an Elman, LSTM or GRU; those that read both ways are `Bidirectional` of the same `merge_mode`.

    Returns:
        For each layer from the input upwards what `layer.set_weights` takes: kernel, recurrent kernel and bias, of
        the forward direction, then of the backward one.

    Raises:
        UsageError: Keras has no such layer.
    """
    weights = []
    for part in apart(body):
        if not isinstance(part.cell, Elman | LSTM | GRU):
            raise refuse(part.cell, "Keras", "SimpleRNN, LSTM and GRU")
        sides = [layouts.keras(params).values() for params in part.params]
        weights.append([np.asarray(leaf) for side in sides for leaf in side])
    return weights


def from_keras(layers: Sequence[Any]) -> Body:
    """Take over Keras layers that stand on top of each other.

    Args:
        layers: built ones, from the input upwards: `SimpleRNN`, `LSTM`, `GRU`, or `Bidirectional` of them; all but the
            last must return sequences. Their dropout is left behind.

    Returns:
        A `Recurrent` or `Bidirectional` layer, or a `Stack` of them.

    Raises:
        UsageError: a layer or one of its settings has no counterpart here.
    """
    return together([_part(layer) for layer in layers])


def _part(layer: Any) -> Part:
    if type(layer).__name__ != "Bidirectional":
        return Part(*_side(layer, backwards=False))
    (cell, ahead), (other, back) = (
        _side(side, backwards=bool(way))
        for way, side in enumerate((layer.forward_layer, layer.backward_layer))
    )
    refuse_two(cell, other)
    return Part(cell, (*ahead, *back), layer.merge_mode)


def _side(layer: Any, backwards: bool) -> tuple[Cell, tuple[Any]]:
    name = type(layer).__name__
    if name not in ("SimpleRNN", "LSTM", "GRU"):
        raise UsageError(
            f"{name} {layer.name}: no counterpart here: give SimpleRNN, LSTM, GRU or Bidirectional"
        )
    config = layer.get_config()
    wanted: dict[str, tuple[Any, ...]] = {
        "go_backwards": (backwards,),
        "recurrent_activation": ("sigmoid",),
    }
    wanted["activation"] = ("tanh", "relu", "linear") if name == "SimpleRNN" else ("tanh",)
    for setting, known in wanted.items():
        if config.get(setting, known[0]) not in known:
            raise UsageError(
                f"{name} {layer.name}: {setting}={config[setting]!r}: no counterpart here: "
                f"wanted {' or '.join(map(str, known))}"
            )
    if name == "GRU":
        cell: Cell = GRU(reset="after" if config["reset_after"] else "before")
    else:
        cell = LSTM() if name == "LSTM" else Elman(activation=config["activation"])
    W, U, *bias = (jnp.asarray(array) for array in layer.get_weights())
    return cell, (_params(cell, W, U, bias[0] if bias else jnp.zeros(W.shape[1], W.dtype)),)


def _params(cell: Cell, W: Array, U: Array, b: Array) -> Any:
    if not isinstance(cell, GRU):
        return ElmanParams(W, U, b) if isinstance(cell, Elman) else LSTMParams(W, U, b)
    H, c_n = U.shape[0], None
    if cell.reset == "after":
        # A layer without biases has no second one either.
        first, second = b if b.ndim == 2 else (b, jnp.zeros_like(b))
        b, c_n = first + second.at[2 * H :].set(0), second[2 * H :]
    W, U, b = map(layouts.update_and_reset, (W, U, b))
    return GRUParams(W, U, b, c_n)
