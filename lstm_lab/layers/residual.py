"""A layer that learns what to add to its input.

    y_t = layer(x)_t + x_t              as many outputs as inputs
    y_t = layer(x)_t + W_s x_t          otherwise: W_s is learned

K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition" (2016), equations 1 and 2.
W_s is drawn as `nnx.Linear` draws it, with variance 1/D, and has no bias, so it says nothing of nothing.

`Model(residual=True)` adds the input of every layer of a stack but the first; this acts on the first too.
"""

from dataclasses import dataclass, field

from flax import nnx
from jax import Array

from lstm_lab.cells.base import Layer
from lstm_lab.cells.lstm import LSTM
from lstm_lab.layers.base import Block, build_layer
from lstm_lab.layers.shortcut import Shortcut
from lstm_lab.modules import OneWay
from lstm_lab.unroll import Schedule


@dataclass(frozen=True)
class Residual(Block):
    """A layer with its input added to its output.

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
        return ResidualLayer(inner, rngs=rngs)

    @property
    def label(self) -> str:
        return f"{self.layer.label} residual"

    @property
    def multiple(self) -> int:
        return self.layer.multiple


class ResidualLayer(Shortcut):
    """What `Residual` builds.

    Args:
        inner: the layer the input goes around.
        rngs: where W_s is drawn, if there is one.
    """

    def __init__(self, inner: OneWay, *, rngs: nnx.Rngs) -> None:
        super().__init__(inner, inner.d_out)
        self.map = (
            None
            if inner.d_in == inner.d_out
            else nnx.Linear(inner.d_in, inner.d_out, use_bias=False, rngs=rngs)
        )

    def join(self, x: Array, y: Array) -> Array:
        return y + (x if self.map is None else self.map(x))
