"""Layers on top of each other."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from flax import nnx
from jax import Array

from lstm_lab.cells.base import Carry
from lstm_lab.errors import UsageError
from lstm_lab.modules.bidirectional import Bidirectional, refuse_pair
from lstm_lab.modules.dropout import drop, split
from lstm_lab.modules.layer import OneWay, Reading


class Stack(nnx.Module):
    """Layers on top of each other, each handing its full sequence to the next.

    What stands between layers acts on every layer's input but the first's, in this order: layer
    normalisation, dropout (W. Zaremba, I. Sutskever and O. Vinyals 2014, section 3.1: never on the
    recurrent path), the layer, and with `residual` the layer's input added to its output.

    Args:
        layers: from the input upwards.
        residual: add each upper layer's input to its output; needs equal widths.
        norm: normalise each upper layer's input.
        dropout: fraction of each upper layer's input set to zero in training, 0 to 1.
        rngs: unused draws aside, the norms' parameters.

    Raises:
        UsageError: there is no layer, widths do not fit, a layer hands on a pair, or dropout is
            outside [0, 1).
    """

    def __init__(
        self,
        layers: Sequence[OneWay | Bidirectional],
        *,
        residual: bool = False,
        norm: bool = False,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
    ) -> None:
        if not 0 <= dropout < 1:
            raise UsageError(f"dropout: {dropout}: give a fraction from 0 to below 1")
        if not layers:
            raise UsageError("stack: no layers: give at least one")
        for layer in layers:
            refuse_pair("stack", layer)
        for below, above in pairwise(layers):
            if above.d_in != below.d_out:
                raise UsageError(
                    f"stack: a layer of {below.d_out} outputs below one of {above.d_in} inputs"
                )
            if residual and above.d_out != above.d_in:
                raise UsageError(
                    f"stack: residual needs equal widths, not {above.d_in} and {above.d_out}"
                )
        self.layers = nnx.List(layers)
        self.norms = nnx.List(
            [nnx.LayerNorm(layer.d_in, rngs=rngs) for layer in layers[1:]] if norm else []
        )
        self.residual = residual
        self.dropout = dropout
        self.d_in = layers[0].d_in
        self.d_out = layers[-1].d_out

    def initial_carry(self, batch: int) -> Carry:
        """One carry per layer."""
        return tuple(layer.initial_carry(batch) for layer in self.layers)

    def __call__(
        self,
        x: Array,
        *,
        carry: Carry | None = None,
        key: Array | None = None,
        dropout: Any = None,
        **steps: Any,
    ) -> Reading:
        """Read a batch of sequences; arguments and shapes as in `OneWay`, dropout only with a key.

        Args:
            x: as there, like all that is not named here.
            carry: one per layer.
            key: see there.
            dropout: the fraction in place of the stack's own, a scalar, traced or not.
            **steps: see there.
        """
        dropout = self.dropout if dropout is None else dropout
        carries = [None] * len(self.layers) if carry is None else carry
        keys = split(key, 2 * len(self.layers))
        reading = self.layers[0](x, carry=carries[0], key=keys[0], **steps)
        after = [reading.carry]
        for n, layer in enumerate(self.layers[1:], start=1):
            below, y = reading, reading.y
            if self.norms:
                y = self.norms[n - 1](y)
            y = drop(y, dropout, keys[2 * n + 1])
            reading = layer(y, carry=carries[n], key=keys[2 * n], **steps)
            after.append(reading.carry)
            if self.residual:
                reading = Reading(reading.carry, below.y + reading.y, below.last + reading.last)
        return reading._replace(carry=tuple(after))
