"""All steps at once, for cells whose carry is linear in itself.

A step h -> a ∘ h + b is the pair (a, b). Pairs compose associatively,

    (a, b) after (a', b')  =  (a a', a b' + b),

so the carry after every step is a prefix of one long product, and `lax.associative_scan` forms all T
prefixes in about 2 log2 T rounds of work that is parallel over time (G. E. Blelloch, "Prefix sums and
their applications" 1990, section 1.4.1; E. Martin and C. Cundy, "Parallelizing linear recurrent neural
nets over sequence length" 2018, section 2). It does more arithmetic than the loop and keeps every
step's coefficients: what it buys is depth, log T instead of T.

A masked step is the pair (1, 0). A restart is (0, a ∘ start + b), which forgets all before it. The
initial carry enters the first step read. So nothing is special afterwards, and the derivative is JAX's
own: forward mode, second derivatives and `vmap` need no rule.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_lab.cells.base import Carry, Cell, LinearCell, Params
from lstm_lab.errors import UsageError
from lstm_lab.unroll.base import Schedule, Steps, over


@dataclass(frozen=True)
class Associative(Schedule):
    """A parallel prefix over time, for linear cells."""

    def run(
        self, cell: Cell, params: Params, carry: Carry, start: Carry, steps: Steps, reverse: bool
    ) -> tuple[Carry, Array]:
        if not isinstance(cell, LinearCell):
            raise UsageError(
                f"Associative: {type(cell).__name__} is not linear in its carry, so its steps do not "
                "compose: run it with Sequential or Newton"
            )
        mask = steps.mask
        z = cell.project(params, steps.x)
        a, b = cell.coefficients(params, z)
        a = jax.tree.map(lambda a, b: jnp.broadcast_to(a, b.shape), a, b)
        if mask is not None:
            a = _where(mask, a, cell.one(a))
            b = _where(mask, b, jax.tree.map(jnp.zeros_like, b))
        if steps.restart is not None:
            b = _where(steps.restart, _add(cell.times(a, start), b), b)
            a = _where(steps.restart, jax.tree.map(jnp.zeros_like, a), a)
        first, last = (-1, 0) if reverse else (0, -1)
        entering = cell.times(jax.tree.map(lambda leaf: leaf[first], a), carry)
        b = jax.tree.map(lambda b, e: b.at[first].add(e), b, entering)

        def after(earlier: Any, later: Any) -> Any:
            (a_1, b_1), (a_2, b_2) = earlier, later
            return cell.times(a_2, a_1), _add(cell.times(a_2, b_1), b_2)

        _, h = lax.associative_scan(after, (a, b), reverse=reverse)
        y = cell.emit(params, h, z)
        if mask is not None:
            y = jnp.where(mask[..., None], y, jnp.zeros_like(y))
        return jax.tree.map(lambda leaf: leaf[last], h), y


def _add(a: Carry, b: Carry) -> Carry:
    return jax.tree.map(jnp.add, a, b)


def _where(which: Array, new: Carry, old: Carry) -> Carry:
    """Choose by step, `[T, B]`, among leaves `[T, B, ...]`."""
    return jax.tree.map(lambda n, o: jnp.where(over(which, o), n, o), new, old)
