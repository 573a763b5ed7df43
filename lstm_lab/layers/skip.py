"""A layer that hands on its input beside its output.

    y_t = [layer(x)_t, x_t]             H + D outputs

A. Graves, "Generating sequences with recurrent neural networks" (2013), section 2: skip connections from the
input to every hidden layer and from every hidden layer to the output. A stack of these has them all, since
each layer reads the outputs of every layer below it and the input.

Differs from the paper in that one hidden layer reaches not only the next but all above it, as in the densely
connected networks of G. Huang et al. (2017).
"""

from dataclasses import dataclass, field

import jax.numpy as jnp
from flax import nnx
from jax import Array

from lstm_lab.cells.base import Layer
from lstm_lab.cells.lstm import LSTM
from lstm_lab.layers.base import Block, build_layer
from lstm_lab.layers.shortcut import Shortcut
from lstm_lab.modules import OneWay
from lstm_lab.unroll import Schedule


@dataclass(frozen=True)
class Skip(Block):
    """A layer with its input beside its output.

    Attributes:
        layer: what the input goes around.
    """

    layer: Layer = field(default_factory=LSTM)

    def build(
        self, d_in: int, d_hidden: int, *, reverse: bool, schedule: Schedule, rngs: nnx.Rngs
    ) -> OneWay:
        inner = build_layer(
            self.layer, d_in, d_hidden, reverse=reverse, schedule=schedule, rngs=rngs
        )
        return SkipLayer(inner, inner.d_out + inner.d_in)

    @property
    def label(self) -> str:
        return f"{self.layer.label} skip"

    @property
    def multiple(self) -> int:
        return self.layer.multiple


class SkipLayer(Shortcut):
    """What `Skip` builds."""

    def join(self, x: Array, y: Array) -> Array:
        return jnp.concatenate([y, x], axis=-1)
