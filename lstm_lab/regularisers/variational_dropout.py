"""Variational dropout: one mask per sequence, the same at every step.

    h_t, y_t = step(m_x ∘ x_t, m_h ∘ h_{t-1}),      shown: m_y ∘ y_t,      m = Bernoulli(1 - rate) / (1 - rate)

Y. Gal and Z. Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks"
(2016): drawing the masks is drawing weights from an approximate posterior, which are then the weights of
the whole sequence. The masks are the same for all gates, the paper's tied weights, and drawn for each row
of the batch. A row that packs several sequences keeps its masks from one to the next;
a text read window after window draws new ones for each.

m_h meets h where it enters the recurrent product and nowhere else: an update gate still blends the whole
h, and the carry handed on is whole. m_y is on what the cell shows, not on what it hands on. Without a key
every mask is its expectation, one.

The state mask is known only inside the loop's step, so with `state` above 0 the recurrent product moves
into `gates`: right, but slower. With `state` at 0 nothing moves.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Carry, Params
from lstm_lab.errors import UsageError
from lstm_lab.regularisers.base import (
    Around,
    check_rate,
    cut,
    dropped,
    one_per_unit,
    read_leaves,
    recurrent_matrices,
    units,
)


@dataclass(frozen=True)
class VariationalDropout(Around):
    """A cell with masks that last as long as the sequence.

    Attributes:
        cell: the step inside.
        input: fraction of the input features set to zero, 0 to below 1.
        state: fraction of h set to zero on its way into the recurrent product, 0 to below 1.
        output: fraction of the outputs set to zero, 0 to below 1.

    Raises:
        UsageError: a rate is out of range.
    """

    input: float = 0.0
    state: float = 0.0
    output: float = 0.0

    def __post_init__(self) -> None:
        for name in ("input", "state", "output"):
            check_rate(name, getattr(self, name))

    def check(self, params: Params, d_in: int) -> None:
        if not self.state:
            return
        core = self.core
        params = jax.eval_shape(core.prepare, params)
        carry = jax.eval_shape(lambda p: self.carry(p, 1), params)
        if not jax.eval_shape(self.cell.recur, params, carry).shape[-1]:
            raise UsageError(
                f"VariationalDropout: state: {self.state}: {self.cell.label} has no recurrent product "
                "to drop a state from: use input or output"
            )
        z = jax.eval_shape(core.project, params, jax.ShapeDtypeStruct((1, d_in), jnp.float32))
        r = jax.eval_shape(core.recur, params, carry)
        outside, inside = (
            recurrent_matrices(core, params),
            read_leaves(core.gates, params, carry, z, r),
        )
        if any(u and g for u, g in zip(outside, inside, strict=True)):
            raise UsageError(
                f"VariationalDropout: state: {self.state}: {self.cell.label} has a second recurrent "
                "product inside its gates, which the mask would miss: use WeightDrop"
            )

    def width(self, carry: Carry) -> int:
        return units(carry) * sum(rate > 0 for rate in (self.state, self.output))

    def disturb(self, params: Params, x: Array, key: Array | None = None) -> Array:
        B, T, D = x.shape
        H = units(jax.eval_shape(lambda: self.carry(params, 1)))
        rates = [rate for rate in (self.state, self.output) if rate]
        masks = [jnp.ones((B, 1, H), x.dtype)] * len(rates)
        inside = None
        if key is not None:
            inside, key_x, *keys = jax.random.split(key, 2 + len(rates))
            masks = [dropped(k, r, m) for k, r, m in zip(keys, rates, masks, strict=True)]
            if self.input:
                x = dropped(key_x, self.input, x, (B, 1, D))
        x = self.cell.disturb(params, x, inside)
        masks = [jnp.broadcast_to(mask, (B, T, H)) for mask in masks]
        return jnp.concatenate([x, *masks], axis=-1)

    def recur(self, params: Params, carry: Carry) -> Array:
        if self.state:
            return jax.tree.leaves(carry)[0][..., :0]
        return self.cell.recur(params, carry)

    def gates(self, params: Params, carry: Carry, z: Array, r: Array) -> tuple[Carry, Array]:
        z, masks = cut(z, self.width(carry))
        H = units(carry)
        if self.state:
            state = masks[..., :H]
            seen = jax.tree.map(lambda leaf: leaf * one_per_unit(state, leaf), carry)
            r = self.cell.recur(params, seen)
        carry, y = self.cell.gates(params, carry, z, r)
        return carry, y * masks[..., -H:] if self.output else y

    @property
    def label(self) -> str:
        rates = [
            f"{n} {getattr(self, n):g}" for n in ("input", "state", "output") if getattr(self, n)
        ]
        return " ".join([f"{self.cell.label}, variational dropout", *rates])
