"""From a step to a sequence: run any cell under any schedule.

Three rules hold under every schedule and in both directions:

- A masked step copies the carry and emits zero. Right-padded rows are therefore read correctly in
  reverse without flipping anything: the padding comes first and changes nothing.
- A reset marks the first step of a new sequence in its row: whatever the direction, no state crosses
  the border before it. Rows packed with resets equal the same rows kept apart. It holds at a masked
  step too, which then copies the initial carry.
- A row of length zero returns the carry it was given.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Carry, Cell, Params
from lstm_lab.errors import UsageError
from lstm_lab.unroll.base import Schedule, Steps, over
from lstm_lab.unroll.sequential import Sequential


def unroll(
    cell: Cell,
    params: Params,
    x: Array,
    *,
    carry: Carry | None = None,
    mask: Array | None = None,
    lengths: Array | None = None,
    reset: Array | None = None,
    reverse: bool = False,
    schedule: Schedule = Sequential(),
    key: Array | None = None,
) -> tuple[Carry, Array]:
    """Run a cell over a batch of sequences.

    Args:
        cell: the step.
        params: the cell's parameters, as `cell.init` draws them.
        x: inputs `[B, T, D]`.
        carry: the carry to begin with, leaves `[B, H]`; the cell's own where None.
        mask: bool `[B, T]`, False where a step is to be skipped.
        lengths: int `[B]`, steps of each right-padded row, 0 to T; another way to say `mask`.
        reset: bool `[B, T]`, True at the first step of each new sequence in a row.
        reverse: read from the last step to the first.
        schedule: how to run it.
        key: PRNG key for cells that draw at random in `prepare` or `disturb`; None in evaluation.

    Returns:
        The carry after the last step read, leaves `[B, H]`, and the outputs `[B, T, H]`.

    Raises:
        UsageError: a shape does not fit, or both `mask` and `lengths` are given.
    """
    how: dict[str, Any] = {"carry": carry, "mask": mask, "lengths": lengths, "reset": reset}
    given = arguments(cell, params, x, **how, reverse=reverse, key=key)
    final, y = schedule.run(cell, *given, reverse)
    return final, jnp.swapaxes(y, 0, 1)


def unroll_both(
    cell: Cell,
    params: tuple[Params, Params],
    x: Array,
    *,
    carry: tuple[Carry | None, Carry | None] = (None, None),
    mask: Array | None = None,
    lengths: Array | None = None,
    reset: Array | None = None,
    schedule: Schedule = Sequential(),
    key: tuple[Array | None, Array | None] = (None, None),
) -> tuple[tuple[Carry, Array], tuple[Carry, Array]]:
    """Run two cells of one kind over the same sequences, one from each end, in one loop.

    An iteration of the loop is a step of both: half as many iterations as one direction after the other, each of
    a product of twice the size.

    Args: as `unroll`; `params`, `carry` and `key` are pairs, the forward direction's first.

    Returns:
        What `unroll` does, for both directions.

    Raises:
        UsageError: as `unroll`.
    """
    how: dict[str, Any] = {"mask": mask, "lengths": lengths, "reset": reset}
    forward, backward = (
        arguments(cell, params[n], x, carry=carry[n], **how, reverse=bool(n), key=key[n])
        for n in range(2)
    )
    backward = backward._replace(steps=_flip(backward.steps))
    given = jax.tree.map(lambda *pair: jnp.stack(pair), forward, backward)

    def read(each: Arguments) -> tuple[Carry, Array]:
        return schedule.run(cell, *each, reverse=False)

    final, y = jax.vmap(read)(given)
    ends = (jax.tree.map(lambda leaf, n=n: leaf[n], final) for n in range(2))
    outputs = (jnp.swapaxes(a, 0, 1) for a in (y[0], _flip(y[1])))
    ahead, back = zip(ends, outputs, strict=True)
    return ahead, back


def _flip(tree: Any) -> Any:
    """Exchange first and last step, leaves `[T, ...]`."""
    return jax.tree.map(lambda a: a[::-1], tree)


class Arguments(NamedTuple):
    """What a schedule reads besides the cell and the direction, as `Schedule.run` describes it."""

    params: Params
    carry: Carry
    start: Carry
    steps: Steps


def arguments(
    cell: Cell,
    params: Params,
    x: Array,
    *,
    carry: Carry | None = None,
    mask: Array | None = None,
    lengths: Array | None = None,
    reset: Array | None = None,
    reverse: bool = False,
    key: Array | None = None,
) -> Arguments:
    """Check what `unroll` was given, prepare the parameters, and put time first.

    Args: as `unroll`.

    Returns:
        The arguments of `Schedule.run`.

    Raises:
        UsageError: as `unroll`.
    """
    x, mask = steps_read(x, mask, lengths, reset)
    key_params, key_x = (None, None) if key is None else jax.random.split(key)
    params = cell.prepare(params, key_params)
    # Behind the mask: noise is drawn, so it is finite whatever stands in the padding.
    x = cell.disturb(params, x, key_x)
    start = _as_varying_as(x, cell.carry(params, x.shape[0]))
    carry = carry_given(carry, start)
    restart = None if reset is None else restarts(reset, reverse)
    steps = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), Steps(x, mask, restart))
    return Arguments(params, carry, start, steps)


def steps_read(
    x: Array, mask: Array | None, lengths: Array | None, reset: Array | None
) -> tuple[Array, Array | None]:
    """Check the inputs' shapes, and leave of the inputs what is read.

    Args:
        x: inputs `[B, T, D]`.
        mask: bool `[B, T]`, False where a step is to be skipped.
        lengths: int `[B]`, steps of each right-padded row.
        reset: bool `[B, T]`, True at the first step of each new sequence in a row.

    Returns:
        The inputs with zeros where a step is skipped, and a mask `[B, T]`, None where none is.

    Raises:
        UsageError: a shape does not fit, or both `mask` and `lengths` are given.
    """
    if x.ndim != 3 or x.shape[1] < 1:
        raise UsageError(f"x: shape {x.shape}: give [batch, time, features] with at least one step")
    if mask is not None and lengths is not None:
        raise UsageError("mask and lengths: both given: they say the same thing, give one")
    if lengths is not None:
        _check_shape("lengths", lengths, x.shape[:1])
        t = jnp.arange(x.shape[1])
        mask = t < lengths[:, None].astype(t.dtype)
    if mask is not None:
        _check_shape("mask", mask, x.shape[:2])
        # Whatever stands in the padding, a NaN even, must reach neither outputs nor gradients.
        x = jnp.where(mask[..., None], x, jnp.zeros_like(x))
    if reset is not None:
        _check_shape("reset", reset, x.shape[:2])
    return x, mask


def carry_given(carry: Carry | None, own: Carry) -> Carry:
    """The carry to begin with: the layer's own where None is given.

    Raises:
        UsageError: its shapes are not those of the layer's own.
    """
    if carry is None:
        return own
    if jax.tree.map(jnp.shape, carry) != jax.tree.map(jnp.shape, own):
        raise UsageError(
            f"carry: shapes {jax.tree.map(jnp.shape, carry)}: "
            f"this layer and batch need {jax.tree.map(jnp.shape, own)}"
        )
    return carry


def restarts(reset: Array, reverse: bool) -> Array:
    """Where a sequence is entered, bool `[B, T]`, given where each begins."""
    if not reverse:
        return reset
    # Read backwards, a sequence is entered at its last step: the one before the next one's first.
    return jnp.roll(reset, -1, axis=1).at[:, -1].set(False)


def _check_shape(name: str, array: Array, wanted: tuple[int, ...]) -> None:
    if array.shape != wanted:
        raise UsageError(f"{name}: shape {array.shape}: x asks for {wanted}")


def _as_varying_as(x: Array, carry: Carry) -> Carry:
    """Let a constant carry vary over the mesh axes x varies over, which `shard_map` asks of a loop's carry.

    Selecting with a constant condition costs nothing after compilation and, unlike `carry + 0 * x`, lets
    no infinity in x through.
    """
    never = jnp.zeros(x.shape[0], bool)
    return jax.tree.map(
        lambda leaf: jnp.where(over(never, leaf), over(x[:, 0, 0], leaf).astype(leaf.dtype), leaf),
        carry,
    )
