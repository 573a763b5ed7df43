"""Stacks of `torch.nn.RNN`, `LSTM` and `GRU`, named as in their `state_dict`.

Torch has a bias with either matrix and uses only their sum, but for a GRU's n. Taken over, the sum is what is kept;
handed over, it is shared out, half to each. So torch's outputs come back, and not its two biases; ours come back bit
for bit.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from jax import Array

from lstm_lab import layouts
from lstm_lab.cells.base import Cell
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.lstm_projection import LSTMProjection
from lstm_lab.errors import UsageError
from lstm_lab.frameworks.parts import Body, Part, apart, refuse, together
from lstm_lab.modules import SequenceModel

_NAME = re.compile(r"(weight|bias)_(ih|hh|hr)_l(\d+)(_reverse)?")
_WAYS = ("", "_reverse")


def to_pytorch(body: Body) -> dict[str, Array]:
    """A stack as the `state_dict` of one `torch.nn.RNN`, `LSTM` or `GRU`.

    Args:
        body: layers of one cell and width: Elman with tanh or ReLU, LSTM, LSTM with projection, or GRU that resets
            after the product; if they read both ways, merged by `concat`.

    Returns:
        Arrays by torch's names, such as `weight_ih_l0_reverse`; `torch.tensor(np.array(...))` makes tensors of them.

    Raises:
        UsageError: torch has no such layer.
    """
    parts = apart(body)
    for part in parts:
        if not _has(part.cell):
            raise refuse(part.cell, "torch.nn", "RNN of tanh or relu, LSTM, and GRU reset after")
        if part.merge != "concat":
            raise UsageError(f"merge: {part.merge!r}: torch.nn knows concat alone")
    kinds = {
        (type(part.cell), getattr(part.cell, "activation", ""), len(part.params), _units(part))
        for part in parts
    }
    if len(kinds) > 1:
        raise UsageError("stack: its layers differ: a torch.nn layer has one cell and one width")
    return {
        f"{name}_l{n}{way}": leaf
        for n, part in enumerate(parts)
        for way, params in zip(_WAYS, part.params, strict=False)
        for name, leaf in layouts.pytorch(params).items()
    }


def _has(cell: Cell) -> bool:
    match cell:
        case Elman(activation=activation):
            return activation != "linear"
        case GRU(reset=reset):
            return reset == "after"
        case _:
            return isinstance(cell, LSTM | LSTMProjection)


def _units(part: Part) -> tuple[int, ...]:
    """What is the same for all layers of torch's: the recurrent matrix's shape."""
    return part.params[0].U.shape


def from_pytorch(module: Any) -> Body:
    """Take over a `torch.nn.RNN`, `LSTM` or `GRU` with all its layers and directions.

    Args:
        module: the layer; whether it reads batch first does not matter, and its dropout is left behind.

    Returns:
        A `Recurrent` or `Bidirectional` layer, or a `Stack` of them.

    Raises:
        UsageError: it is none of them, or its cells are no multiple of its projection.
    """
    mode, projected = getattr(module, "mode", None), getattr(module, "proj_size", 0)
    if mode == "LSTM" and projected and module.hidden_size % projected:
        raise UsageError(
            f"torch.nn.LSTM: proj_size {projected}: {module.hidden_size} cells are no multiple of it"
        )
    cells: dict[Any, Cell] = {
        "RNN_TANH": Elman(),
        "RNN_RELU": Elman(activation="relu"),
        "GRU": GRU(),
        "LSTM": LSTMProjection(module.hidden_size // projected) if projected else LSTM(),
    }
    if mode not in cells:
        raise UsageError(
            f"{type(module).__name__}: no counterpart here: give a torch.nn.RNN, LSTM or GRU"
        )
    named = {name: t.detach().cpu().numpy() for name, t in module.state_dict().items()}
    return from_state_dict(cells[mode], named)


def from_state_dict(cell: Cell, named: Mapping[str, Any]) -> Body:
    """Take over the arrays of a `torch.nn.RNN`, `LSTM` or `GRU`, as of a file, whose cell the names do not say.

    Args:
        cell: the counterpart of the layer they are of.
        named: arrays by torch's names, such as `weight_ih_l0_reverse`.

    Returns:
        As `from_pytorch`.

    Raises:
        UsageError: a name is not torch's, an array is missing, or they are another cell's.
    """
    sides: dict[tuple[int, str], dict[str, Any]] = {}
    for name, array in named.items():
        found = _NAME.fullmatch(name)
        if not found:
            raise UsageError(f"{name}: no name of torch.nn.RNN, LSTM or GRU: leave it out")
        kind, side, layer, way = found.groups()
        sides.setdefault((int(layer), way or ""), {})[f"{kind}_{side}"] = np.asarray(array)
    layers = 1 + max((layer for layer, _ in sides), default=0)
    ways = _WAYS if (0, "_reverse") in sides else _WAYS[:1]
    wanted = [(layer, way) for layer in range(layers) for way in ways]
    if sorted(sides) != wanted:
        raise UsageError(
            f"state_dict: layers {sorted(sides)}, wanted {wanted}: give all of one torch.nn layer"
        )
    taken = {side: layouts.from_pytorch(cell, arrays) for side, arrays in sides.items()}
    return together(
        [Part(cell, tuple(taken[layer, way] for way in ways)) for layer in range(layers)]
    )


def network_to_pytorch(network: SequenceModel) -> dict[str, Array]:
    """A whole network as the `state_dict` of a torch module of the parts `embedding`, `rnn` and `head`.

    Args:
        network: whose body `to_pytorch` takes. Tokens without an embedding are read as one-hot vectors.

    Returns:
        Arrays by name: `rnn.` before those of `to_pytorch`; `head.weight` and `head.bias` of a `torch.nn.Linear`;
        `embedding.weight` of a `torch.nn.Embedding`, where there is one.

    Raises:
        UsageError: torch has no such layer.
    """
    named = {f"rnn.{name}": leaf for name, leaf in to_pytorch(network.body).items()}
    if network.embed is not None and not isinstance(network.embed, int):
        named["embedding.weight"] = network.embed.embedding[...]
    if network.head is None:  # tied: the embedding's weights again
        assert network.bias is not None, "SequenceModel draws it"
        weight, bias = named["embedding.weight"], network.bias
    else:
        assert network.head.bias is not None, "SequenceModel draws it"
        weight, bias = network.head.kernel[...].T, network.head.bias
    return {**named, "head.weight": weight, "head.bias": bias[...]}
