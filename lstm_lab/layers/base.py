"""What a layer is beyond a cell: a value that builds its own module.

A `Block` stands wherever a cell can: it goes around another layer, or it is no recurrence at all and serves
as a control. Blocks hold layers, so they compose: `Residual(Heads(GRU(), heads=2))`. Like a cell, a block
is a frozen dataclass of static settings; the parameters are in the module it builds.
"""

from abc import ABC, abstractmethod

from flax import nnx

from lstm_lab.cells.base import Cell, Layer
from lstm_lab.modules import OneWay, Recurrent
from lstm_lab.unroll import Schedule


class Block(Layer, ABC):
    """A layer that builds its own module. Subclasses are frozen dataclasses whose every field has a default."""

    @abstractmethod
    def build(
        self, d_in: int, d_hidden: int, *, reverse: bool, schedule: Schedule, rngs: nnx.Rngs
    ) -> OneWay:
        """Draw the layer.

        Args:
            d_in: features of the input, D.
            d_hidden: units, H.
            reverse: read from the last step to the first.
            schedule: how a loop over time is run, where the layer has one.
            rngs: where `rngs.params()` draws the initial parameters.

        Returns:
            A module that keeps the three rules of `unroll`, about masks, resets and empty rows.

        Raises:
            UsageError: a size is out of range.
        """


def build_layer(
    layer: Layer, d_in: int, d_hidden: int, *, reverse: bool, schedule: Schedule, rngs: nnx.Rngs
) -> OneWay:
    """Draw any layer: a cell run over time, or what a block builds; arguments as in `Block.build`."""
    if isinstance(layer, Block):
        return layer.build(d_in, d_hidden, reverse=reverse, schedule=schedule, rngs=rngs)
    assert isinstance(layer, Cell)
    return Recurrent(layer, d_in, d_hidden, reverse=reverse, schedule=schedule, rngs=rngs)
