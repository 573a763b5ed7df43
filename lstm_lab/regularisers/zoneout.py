"""Zoneout: a unit now and then keeps what it had.

    s_t = d_t ∘ s_{t-1} + (1 - d_t) ∘ s̃_t,      d_t ~ Bernoulli(rate), anew at every step
    s̃_t = what the cell inside makes of s_{t-1} and x_t,      y_t = h_t

D. Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations" (2017). Where
dropout puts a zero, zoneout puts the past, so what flows through time, signals and gradients alike, flows
on. Without a key d_t is its expectation, the rate: as in the paper, evaluation mixes old and new. The
defaults are the paper's for characters of Penn Treebank: 0.05 for an LSTM's h and 0.5 for its c. As there,
h̃_t is made from c̃_t, the cell state before it is zoned.

Beyond the LSTM: the leaf of the carry called h is the hidden state, all others are the memory. A unit's
memory is one thing and is kept as one, in however many numbers the cell holds it: sLSTM's c, n and m, of
which c and n mean nothing without the m they are scaled by, or the two parts of LRU's complex state. A
linear cell reads its output off the zoned state.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Carry, LinearCell, Params
from lstm_lab.errors import UsageError
from lstm_lab.regularisers.base import Around, check_rate, cut, one_per_unit, units


@dataclass(frozen=True)
class Zoneout(Around):
    """A cell whose units keep their previous value at random.

    Attributes:
        cell: the step inside.
        hidden: how often h is kept, 0 to below 1.
        memory: how often the rest of the carry is kept, 0 to below 1.

    Raises:
        UsageError: a rate is out of range.
    """

    hidden: float = 0.05
    memory: float = 0.5

    def __post_init__(self) -> None:
        check_rate("hidden", self.hidden)
        check_rate("memory", self.memory)

    def check(self, params: Params, d_in: int) -> None:
        del d_in
        carry = jax.eval_shape(lambda: self.carry(self.prepare(params), 1))
        if any(leaf.ndim > 2 or leaf.shape[-1] % units(carry) for leaf in jax.tree.leaves(carry)):
            raise UsageError(
                f"Zoneout: {self.cell.label}: its state is a matrix and belongs to no single unit: "
                "take a cell whose state is a vector"
            )

    def width(self, carry: Carry) -> int:
        return units(carry) * len(set(_kinds(carry)))

    def disturb(self, params: Params, x: Array, key: Array | None = None) -> Array:
        carry = jax.eval_shape(lambda: self.carry(params, 1))
        rates = [getattr(self, kind) for kind in dict.fromkeys(_kinds(carry))]
        shape = (*x.shape[:2], units(carry))
        if key is None:
            x = self.cell.disturb(params, x)
            return jnp.concatenate([x, *(jnp.full(shape, r, x.dtype) for r in rates)], axis=-1)
        inside, *keys = jax.random.split(key, 1 + len(rates))
        x = self.cell.disturb(params, x, inside)
        drawn = [jax.random.bernoulli(k, r, shape) for k, r in zip(keys, rates, strict=True)]
        return jnp.concatenate([x, *(d.astype(x.dtype) for d in drawn)], axis=-1)

    def gates(self, params: Params, carry: Carry, z: Array, r: Array) -> tuple[Carry, Array]:
        kinds = _kinds(carry)
        z, noise = cut(z, self.width(carry))
        drawn = jnp.split(noise, len(set(kinds)), axis=-1)
        keeps = dict(zip(dict.fromkeys(kinds), drawn, strict=True))
        after, y = self.cell.gates(params, carry, z, r)
        new, tree = jax.tree.flatten(after)
        old = jax.tree.leaves(carry)
        zoned = []
        for kind, before, candidate in zip(kinds, old, new, strict=True):
            d = one_per_unit(keeps[kind], before)
            zoned.append(d * before + (1 - d) * candidate)
        after = jax.tree.unflatten(tree, zoned)
        if isinstance(self.cell, LinearCell):
            return after, self.cell.emit(params, after, z)
        for candidate, state in zip(new, zoned, strict=True):
            if y is candidate:
                return after, state
        raise UsageError(
            f"Zoneout: {self.cell.label}: its output is none of the states it hands on, so zoning those "
            "would not show in it: put Zoneout next to the cell and what masks the output around it"
        )

    @property
    def label(self) -> str:
        return f"{self.cell.label}, zoneout {self.hidden:g} {self.memory:g}"


def _kinds(carry: Carry) -> list[str]:
    """`hidden` or `memory` for each leaf."""
    paths = jax.tree_util.tree_leaves_with_path(carry)
    return ["hidden" if jax.tree_util.keystr(path) == ".h" else "memory" for path, _ in paths]
