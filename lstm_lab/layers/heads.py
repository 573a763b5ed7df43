"""Several small layers side by side in place of a large one: a block-diagonal recurrence.

    y_t = [layer_1(x)_t, ..., layer_K(x)_t]             K heads of H/K units each

Every head reads the whole input and none reads another's state, so the recurrent matrices are the K blocks
on the diagonal of a large one: H²/K weights in place of H². M. Beck et al., "xLSTM: extended long short-term
memory" (2024), section 2.2: the heads of sLSTM mix memories within a head and not across heads.

Parameters and carries are stacked, and one program runs all heads under `vmap`. Each head draws its
parameters as a layer of H/K units would. A carry's leaves are `[B, K, ...]`.
"""

from dataclasses import dataclass, field
from typing import Any

import jax
from flax import nnx
from jax import Array

from lstm_lab.cells.base import Carry, Layer, check_sizes
from lstm_lab.cells.lstm import LSTM
from lstm_lab.errors import UsageError
from lstm_lab.layers.base import Block, build_layer
from lstm_lab.modules import OneWay, Reading
from lstm_lab.unroll import Schedule
from lstm_lab.unroll.run import carry_given


@dataclass(frozen=True)
class Heads(Block):
    """Independent copies of a layer that share out its units.

    Attributes:
        layer: what each head is.
        heads: how many, K.

    Raises:
        UsageError: there is no head.
    """

    layer: Layer = field(default_factory=LSTM)
    heads: int = 4

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise UsageError(f"heads: {self.heads}: give at least 1")

    def build(
        self, d_in: int, d_hidden: int, *, reverse: bool, schedule: Schedule, rngs: nnx.Rngs
    ) -> OneWay:
        check_sizes(d_in, d_hidden)
        if d_hidden % self.multiple:
            raise UsageError(
                f"hidden units: {d_hidden}: {self.label} needs a multiple of {self.multiple}"
            )

        @nnx.vmap
        def draw(key: Array) -> OneWay:
            return build_layer(
                self.layer,
                d_in,
                d_hidden // self.heads,
                reverse=reverse,
                schedule=schedule,
                rngs=nnx.Rngs(params=key),
            )

        return HeadsLayer(draw(jax.random.split(rngs.params(), self.heads)), self.heads)

    @property
    def label(self) -> str:
        return f"{self.layer.label} {self.heads} heads"

    @property
    def multiple(self) -> int:
        return self.heads * self.layer.multiple


class HeadsLayer(OneWay):
    """What `Heads` builds.

    Args:
        copies: one layer whose parameters have a leading axis of heads, `[K, ...]`.
        heads: how many, K.
    """

    def __init__(self, copies: OneWay, heads: int) -> None:
        self.copies = copies
        self.heads = heads
        self.d_in = copies.d_in
        self.d_out = heads * copies.d_out
        self.reverse = copies.reverse

    def initial_carry(self, batch: int) -> Carry:
        """The heads' carries before the first step, leaves `[batch, K, ...]`."""
        graph, params = nnx.split(self.copies)

        def one(own: Any) -> Carry:
            return nnx.merge(graph, own).initial_carry(batch)

        return jax.vmap(one, out_axes=1)(params)

    def __call__(
        self, x: Array, *, carry: Carry | None = None, key: Array | None = None, **steps: Any
    ) -> Reading:
        """Read a batch of sequences; arguments and shapes as in `OneWay`."""
        graph, params = nnx.split(self.copies)

        def one(own: Any, carry: Carry, key: Array | None) -> Reading:
            return nnx.merge(graph, own)(x, carry=carry, key=key, **steps)

        carry = carry_given(carry, self.initial_carry(x.shape[0]))
        keys = None if key is None else jax.random.split(key, self.heads)
        after, y, last = jax.vmap(one, in_axes=(0, 1, 0), out_axes=Reading(1, 2, 1))(
            params, carry, keys
        )
        B, T, *_ = y.shape
        return Reading(after, y.reshape(B, T, self.d_out), last.reshape(B, self.d_out))
