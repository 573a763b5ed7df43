"""A scan that writes what it makes of each row where the row stood.

`lax.scan` reads its inputs from some arrays and writes its outputs to others: of a sequence that becomes another
of the same shape, memory holds both, the second is filled with zeros before the loop, and each row of it is
fetched from memory to be written. Here the new row lies where the old one was, which the core has just read.

An array in a loop's state is rewritten where it lies if the compiler sees that nobody reads the old one any more;
else it copies the whole array at every step. So the step is given a row that was taken out one step ahead, and the
array itself is read only after it was written.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Step = Callable[[Any, Any, Any, Any], tuple[Any, Any, Any]]
"""From constants, carry, row and input to carry, row and output; it reads no other arrays."""


def scan_in_place(
    step: Step, consts: Any, carry: Any, rows: Any, inputs: Any, *, reverse: bool, unroll: int
) -> tuple[Any, Any, Any]:
    """Run a step over the rows of an array, each of which it replaces.

    Differentiated, or exported for any T, or not on a CPU, it is `lax.scan` and keeps rows and new rows apart.

    Args:
        step: one step; it must be the same at every trace. A row that it returns as it was given stays.
        consts: arrays that every step reads.
        carry: what the first step is given of a step before.
        rows: the array `[T, ...]`; None for none: every step is given None, and new rows, if any, are collected.
        inputs: arrays `[T, ...]` that every step reads its part of.
        reverse: go from the last row to the first.
        unroll: steps per iteration of the compiled loop.

    Returns:
        The last carry, the array of new rows, and all outputs `[T, ...]`.
    """
    # A row taken out ahead is a launch more in every step, which costs an accelerator what it spares a CPU.
    within = rows is not None and jax.default_backend() == "cpu"
    # Of a program that is exported, T may be a symbol.
    within = within and isinstance(rows.shape[0], int)
    run = _in_place if within else _apart
    return run(step, reverse, unroll, consts, carry, rows, inputs)


def _apart(
    step: Step, reverse: bool, unroll: int, consts: Any, carry: Any, rows: Any, inputs: Any
) -> tuple[Any, Any, Any]:
    def body(carry: Any, given: Any) -> tuple[Any, Any]:
        row, inputs = given
        carry, new, output = step(consts, carry, row, inputs)
        return carry, (None if new is row else new, output)

    carry, (new, outputs) = lax.scan(body, carry, (rows, inputs), reverse=reverse, unroll=unroll)
    return carry, rows if new is None else new, outputs


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _in_place(
    step: Step, reverse: bool, unroll: int, consts: Any, carry: Any, rows: Any, inputs: Any
) -> tuple[Any, Any, Any]:
    T = len(rows)
    first, ahead = (T - 1, -1) if reverse else (0, 1)

    def body(state: Any, given: Any) -> tuple[Any, Any]:
        t, row, carry, rows = state
        carry, new, output = step(consts, carry, row, given)
        if new is not row:
            rows = lax.dynamic_update_index_in_dim(rows, new, t, 0)
        following = jnp.clip(t + ahead, 0, T - 1)
        row = lax.dynamic_index_in_dim(rows, following, keepdims=False)
        return (following, row, carry, rows), output

    state = (jnp.int32(first), rows[first], carry, rows)
    (_, _, carry, rows), outputs = lax.scan(
        body, state, inputs, length=T, reverse=reverse, unroll=unroll
    )
    return carry, rows, outputs


@_in_place.defjvp
def _in_place_jvp(step: Step, reverse: bool, unroll: int, primals: Any, tangents: Any) -> Any:
    # Reverse mode through the loop above would turn each row's reading into a sum over the whole array.
    return jax.jvp(partial(_apart, step, reverse, unroll), primals, tangents)
