"""The derivative of one step's `gates`, and the numbers it needs of that step, apart from each other.

A loop forward writes the numbers down; a loop backward puts them into the derivative. Which they are is JAX's to
say: what the cell marks with `kept`, and of what `gates` reads whatever cannot be computed from that. `plan` asks
a trace of one step beforehand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_lab.cells.base import KEPT, Carry, Cell, Params


@jax.tree_util.register_static
@dataclass(frozen=True)
class Plan:
    """How a cell's gradient is computed: a value, which a trace hands from the loop forward to the loop back.

    Attributes:
        own: whether `gates` reads parameters, as layer norms, peepholes and inner products do.
        summed: whether it reads z and r as z + r and not otherwise.
        z: one step's z, `[B, G]`, without its numbers.
        r: one step's r, `[B, R]`, likewise.
        placed: which of the numbers that are kept, side by side, just fill the place of z; none where they do not.
        widths: of these, along the last axis.
        stays: whether they are z itself.
        output: which leaf of the carry after a step is its output as well; None where none is.
    """

    own: bool
    summed: bool
    z: jax.ShapeDtypeStruct
    r: jax.ShapeDtypeStruct
    placed: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()
    stays: bool = False
    output: int | None = None

    def lay(self, numbers: Sequence[Array]) -> tuple[Array | None, list[Array]]:
        """Part the numbers kept of a step into what takes the place of z, `[B, G]`, and the rest."""
        rest = [a for n, a in enumerate(numbers) if n not in self.placed]
        if not self.placed:
            return None, rest
        if len(self.placed) == 1:
            return numbers[self.placed[0]], rest
        return jnp.concatenate([numbers[n] for n in self.placed], axis=-1), rest

    def take(self, place: Array | None, rest: Sequence[Array]) -> list[Array]:
        """Undo `lay`."""
        numbers = list(rest)
        if place is not None:
            ends = list(accumulate(self.widths))[:-1]
            for n, a in zip(self.placed, jnp.split(place, ends, axis=-1), strict=True):
                numbers.insert(n, a)
        return numbers


class Step(NamedTuple):
    """One step, done.

    Attributes:
        after: the carry after it.
        y: its output.
        numbers: what the derivative needs of it besides parameters and the carry before.
        pull: makes of such numbers the derivative: from the adjoints of `(after, y)` to those of the carry before,
            z and r.
    """

    after: Carry
    y: Array
    numbers: list[Array]
    pull: Callable[[Sequence[Array]], Callable[[tuple[Carry, Array]], tuple[Carry, Array, Array]]]


def gates(cell: Cell, params: Params, before: Carry, *read: Array) -> tuple[Carry, Array]:
    """`cell.gates` of z and r, or of their sum."""
    s, *others = read
    return cell.gates(params, before, s, *(others or [jnp.zeros_like(s)]))


def differentiate(
    cell: Cell, plan: Plan, params: Params, before: Carry, z: Array, r: Array
) -> Step:
    """Do one step so that its derivative can be taken elsewhere.

    Args:
        cell: the step.
        plan: of this cell.
        params: its prepared parameters.
        before: the carry before the step, leaves `[B, H]`.
        z: what it needs of its input `[B, G]`.
        r: what it needs of the carry `[B, R]`.
    """
    read = (z + r,) if plan.summed else (z, r)

    def adjoints(d_before: Carry, dz: Array, dr: Array | None = None) -> tuple[Carry, Array, Array]:
        return d_before, dz, dz if dr is None else dr

    run = partial(gates, cell, params)
    if plan.own:
        # The parameters' part of the derivative, taken of all steps at once, needs all that was read.
        def again(numbers: Sequence[Array]) -> Callable[[tuple[Carry, Array]], Any]:
            return lambda d: adjoints(*jax.vjp(run, before, *numbers)[1](d))

        return Step(*run(before, *read), list(read), again)
    policy = jax.checkpoint_policies.save_only_these_names(KEPT)
    checkpointed = jax.checkpoint(run, policy=policy, prevent_cse=False)
    (after, y), pullback = jax.vjp(checkpointed, before, *read)
    leaves, tree = jax.tree.flatten(pullback)
    # Parameters and carry are there already.
    known = {id(leaf) for leaf in jax.tree.leaves((params, before))}
    needed = [n for n, leaf in enumerate(leaves) if id(leaf) not in known]

    def pull(numbers: Sequence[Array]) -> Callable[[tuple[Carry, Array]], Any]:
        given = dict(zip(needed, numbers, strict=True))
        filled = jax.tree.unflatten(tree, [given.get(n, leaf) for n, leaf in enumerate(leaves)])
        return lambda d: adjoints(*filled(d))

    return Step(after, y, [leaves[n] for n in needed], pull)


def plan(cell: Cell, params: Params, carry: Carry, x: Array) -> Plan:
    """Ask a trace of one step, at a carry with leaves `[B, ...]` and inputs `[B, D]`, what its gradient needs."""
    z = jax.eval_shape(cell.project, params, x)
    r = jax.eval_shape(cell.recur, params, carry)
    jaxpr = jax.make_jaxpr(cell.gates)(params, carry, z, r).jaxpr
    *_, z_in, r_in = jaxpr.invars
    weights = jaxpr.invars[: len(jax.tree.leaves(params))]

    def users(*variables: Any) -> list[Any]:
        return [e for e in jaxpr.eqns if any(v is w for v in e.invars for w in variables)]

    (reader, *others) = users(z_in, r_in) or [None]
    adds = reader is not None and reader.primitive is lax.add_p
    adds = adds and {*map(id, reader.invars)} == {id(z_in), id(r_in)}
    returned = any(v is z_in or v is r_in for v in jaxpr.outvars)
    *after, y = jaxpr.outvars
    output = next((n for n, leaf in enumerate(after) if leaf is y), None)
    found = Plan(bool(users(*weights)), adds and not others and not returned, z, r, output=output)

    def numbers(*step: Any) -> list[Array]:
        return differentiate(cell, found, *step).numbers

    closed = jax.make_jaxpr(numbers)(params, carry, z, r)
    placed, room = [], z.shape[-1]
    for n, kept in enumerate(closed.out_avals):
        alike = kept.dtype == z.dtype and kept.shape[:-1] == z.shape[:-1]
        if alike and kept.shape[-1] <= room:
            placed.append((n, kept.shape[-1]))
            room -= kept.shape[-1]
    if room or not placed:
        return found
    which, widths = zip(*placed, strict=True)
    *_, z_in, _ = closed.jaxpr.invars
    stays = [closed.jaxpr.outvars[n] for n in which] == [z_in]
    return replace(found, placed=which, widths=widths, stays=stays)
