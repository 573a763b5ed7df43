"""A recurrent body taken apart, layer by layer and direction by direction, and put together again."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from flax import nnx

from lstm_lab.cells.base import Cell
from lstm_lab.errors import UsageError
from lstm_lab.modules import Bidirectional, Merge, OneWay, Recurrent, Stack

Body = OneWay | Bidirectional | Stack


class Part(NamedTuple):
    """One layer: its cell, the cell's parameters for each direction, and how two directions are merged."""

    cell: Cell
    params: tuple[Any, ...]
    merge: Merge | None = "concat"


def apart(body: Body) -> list[Part]:
    """Take a body apart.

    Args:
        body: a layer, both directions of one, or a stack of those.

    Returns:
        Its layers, from the input upwards. Dropout between them, which acts in training only, is left behind.

    Raises:
        UsageError: something stands in it that no other framework has.
    """
    layers = [body]
    if isinstance(body, Stack):
        if body.residual or body.norms:
            raise UsageError(
                "stack: residual, norm: no other framework's layers have them: leave them out"
            )
        layers = list(body.layers)
    return [_part(layer) for layer in layers]


def _part(layer: Body) -> Part:
    if not isinstance(layer, Bidirectional):
        ahead = _recurrent(layer)
        if ahead.reverse:
            raise UsageError(
                "reverse: a layer that reads backwards alone: give both directions, or reverse its rows"
            )
        return Part(ahead.cell, (ahead._arrays(),))
    ahead, back = _recurrent(layer.forward), _recurrent(layer.backward)
    refuse_two(ahead.cell, back.cell)
    return Part(ahead.cell, (ahead._arrays(), back._arrays()), layer.merge)


def _recurrent(layer: Body) -> Recurrent:
    if not isinstance(layer, Recurrent):
        raise UsageError(f"{type(layer).__name__}: no other framework has it: give plain layers")
    return layer


def refuse_two(ahead: Cell, back: Cell) -> None:
    """Raise a UsageError where two directions are of different cells."""
    if ahead != back:
        raise UsageError(f"both ways: {ahead.label} and {back.label}: give one cell")


def together(parts: Sequence[Part]) -> Body:
    """Put layers together: one, or a stack of them.

    Raises:
        UsageError: there is none, or their widths do not fit.
    """
    layers = [_layer(part) for part in parts]
    return layers[0] if len(layers) == 1 else Stack(layers, rngs=nnx.Rngs(0))


def _layer(part: Part) -> Recurrent | Bidirectional:
    def side(params: Any, reverse: bool) -> Recurrent:
        D, H = params.W.shape[0], params.U.shape[0]
        layer = Recurrent(part.cell, D, H, reverse=reverse, rngs=nnx.Rngs(0))
        layer.params = nnx.data(jax.tree.map(nnx.Param, params))
        return layer

    sides = [side(params, reverse=bool(way)) for way, params in enumerate(part.params)]
    return sides[0] if len(sides) == 1 else Bidirectional(sides[0], sides[1], part.merge)


def refuse(cell: Cell, framework: str, known: str) -> UsageError:
    """The error for a cell that a framework does not have."""
    return UsageError(f"{cell.label}: {framework} has no such layer: it knows {known}")
