"""A reading as a system of equations: one per step, in the carries after all of them.

    s_t = f_t(s_{t-1}),      t = 1 ... T

s_t is the carry of a row laid out as n numbers, and f_t is the cell's step with what a schedule must add: it
copies the carry where masked and begins with the start where restarted. Time runs in reading order: a reading
in reverse is flipped once, before and after.

J_t = ∂f_t/∂s_{t-1} is read off column by column in forward mode, every step and row at once. `recur` is affine
in the carry, so its part of the derivative is one matrix for all of them; only `gates` is linearised per step.
"""

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_lab.cells.base import Carry, Cell, Params
from lstm_lab.unroll.base import Steps, over


class Given(NamedTuple):
    """What the equations hold besides s: carry and start `[B, n]`, z `[T, B, G]` or one step's `[B, G]`."""

    params: Params
    carry: Array
    start: Array
    z: Array
    mask: Array | None
    restart: Array | None

    def per_step(self) -> dict[str, Array | None]:
        """What differs from step to step, for a loop over them."""
        return {"z": self.z, "mask": self.mask, "restart": self.restart}


@dataclass(frozen=True)
class System:
    """The equations s_t = f_t(s_{t-1}) of one cell, the carry of a row laid out as n numbers."""

    cell: Cell
    tree: jax.tree_util.PyTreeDef
    shapes: tuple[tuple[int, ...], ...]

    def flat(self, carry: Carry) -> Array:
        leaves = zip(jax.tree.leaves(carry), self.shapes, strict=True)
        parts = [leaf.reshape(*leaf.shape[: leaf.ndim - len(shape)], -1) for leaf, shape in leaves]
        return jnp.concatenate(parts, axis=-1)

    def carry(self, s: Array) -> Carry:
        leaves, begin = [], 0
        for shape in self.shapes:
            size = prod(shape)
            leaves.append(s[..., begin : begin + size].reshape(*s.shape[:-1], *shape))
            begin += size
        return jax.tree.unflatten(self.tree, leaves)

    def enter(self, given: Given, before: Array) -> Array:
        """The carry a step reads: the one before it, or the start if the step restarts."""
        if given.restart is None:
            return before
        return jnp.where(given.restart[..., None], given.start, before)

    def step(self, given: Given, before: Array) -> tuple[Array, Array]:
        """One step, or each of T: the carry after it `[..., B, n]` and the output, from the carry before it."""
        before = self.enter(given, before)
        carry = self.carry(before)
        r = self.cell.recur(given.params, carry)
        carry, y = self.cell.gates(given.params, carry, given.z, r)
        after = self.flat(carry)
        if given.mask is not None:
            mask = given.mask[..., None]
            after, y = jnp.where(mask, after, before), jnp.where(mask, y, jnp.zeros_like(y))
        return after, y

    def before(self, given: Given, s: Array) -> Array:
        return jnp.concatenate([given.carry[None], s[:-1]])

    def advance(self, given: Given, s: Array) -> tuple[Array, Array]:
        return self.step(given, self.before(given, s))

    def jacobians(self, given: Given, s: Array, form: str) -> Array:
        """Every J_t `[T, B, n, n]`, or their diagonals `[T, B, n]`."""
        units = jnp.eye(s.shape[-1], dtype=s.dtype)

        def recur(before: Array) -> Array:
            return self.cell.recur(given.params, self.carry(before))

        def gates(before: Array, r: Array) -> Array:
            return self.flat(self.cell.gates(given.params, self.carry(before), given.z, r)[0])

        before = self.enter(given, self.before(given, s))
        r = recur(before)
        _, push = jax.linearize(gates, before, r)
        # `recur` is affine, so its derivative is the same at every step and row: one product, not T B.
        _, push_recur = jax.linearize(recur, units[0])

        def column(unit: Array) -> Array:
            # Added to zeros, not broadcast: under `shard_map` they vary over the devices as s does.
            return push(jnp.zeros_like(before) + unit, jnp.zeros_like(r) + push_recur(unit))

        if form == "full":
            J, kept = jnp.moveaxis(jax.vmap(column)(units), 0, -1), units
        else:
            # One column at a time: together they would be the whole Jacobian.
            J = jnp.moveaxis(lax.map(lambda unit: column(unit) @ unit, units), 0, -1)
            kept = jnp.ones_like(units[0])
        if given.mask is not None:
            J = jnp.where(over(given.mask, J), J, kept)
        if given.restart is not None:
            J = jnp.where(over(given.restart, J), jnp.zeros_like(J), J)
        return J


def pose(
    cell: Cell, params: Params, carry: Carry, start: Carry, steps: Steps, reverse: bool
) -> tuple[System, Given]:
    """Write a reading as equations in reading order."""
    if reverse:
        steps = jax.tree.map(lambda a: a[::-1], steps)
    shapes = tuple(leaf.shape[1:] for leaf in jax.tree.leaves(carry))
    system = System(cell, jax.tree.structure(carry), shapes)
    z = cell.project(params, steps.x)
    given = Given(params, system.flat(carry), system.flat(start), z, steps.mask, steps.restart)
    return system, given
