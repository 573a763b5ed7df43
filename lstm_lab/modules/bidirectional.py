"""Both directions."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from lstm_lab.cells.base import Carry
from lstm_lab.errors import UsageError
from lstm_lab.modules.dropout import split
from lstm_lab.modules.layer import OneWay, Reading, Recurrent, last_read
from lstm_lab.unroll import Sequential
from lstm_lab.unroll.run import steps_read, unroll_both

Merge = Literal["concat", "sum", "mul", "ave"]

# Rows by units up to which one loop for both directions was measured to be faster on a CPU.
_FEW_UNITS = 64


class Bidirectional(nnx.Module):
    """Two layers reading the same input, one from each end.

    M. Schuster and K. K. Paliwal, "Bidirectional recurrent neural networks" (1997), section II.C.

    Args:
        forward: the layer that reads from the first step.
        backward: the layer that reads from the last step.
        merge: how their outputs become one: `concat`, `sum`, `mul`, `ave`; None keeps the pair.
        one_loop: read both ways in one loop, which asks for two `Recurrent` layers that differ in nothing but
            direction and parameters; None does so where it is faster: on an accelerator, and on a CPU for a
            single row and few units, as measured. The answer is the same but for rounding.

    Raises:
        UsageError: the layers read the same way, their widths cannot be merged, or one loop cannot serve both.
    """

    def __init__(
        self,
        forward: OneWay,
        backward: OneWay,
        merge: Merge | None = "concat",
        *,
        one_loop: bool | None = None,
    ) -> None:
        if forward.reverse or not backward.reverse:
            raise UsageError(
                f"bidirectional: reverse={forward.reverse} and {backward.reverse}: "
                "give a forward layer, then one built with reverse=True"
            )
        if merge not in ("concat", None) and forward.d_out != backward.d_out:
            raise UsageError(
                f"bidirectional: {forward.d_out} and {backward.d_out} units: "
                f"merge={merge!r} needs equal widths, or use 'concat'"
            )
        if one_loop and not _alike(forward, backward):
            raise UsageError(
                "bidirectional: one_loop: give two Recurrent layers of the same cell, sizes and Sequential "
                "schedule, or leave it out"
            )
        self.forward = forward
        self.backward = backward
        self.merge = merge
        self.one_loop = one_loop
        self.d_in = forward.d_in
        self.d_out = forward.d_out + (backward.d_out if merge == "concat" else 0)

    def initial_carry(self, batch: int) -> Carry:
        """The two directions' carries."""
        return self.forward.initial_carry(batch), self.backward.initial_carry(batch)

    def __call__(
        self, x: Array, *, carry: Carry | None = None, key: Array | None = None, **steps: Any
    ) -> Reading:
        """Read a batch of sequences from both ends; arguments and shapes as in `OneWay`."""
        carries = (None, None) if carry is None else carry
        keys = split(key, 2)
        pair = self._in_one_loop(x.shape[0])
        if pair is not None:
            forward, backward = _read_both(pair, x, carries, keys, **steps)
        else:
            forward = self.forward(x, carry=carries[0], key=keys[0], **steps)
            backward = self.backward(x, carry=carries[1], key=keys[1], **steps)
        return Reading(
            (forward.carry, backward.carry),
            self._merge(forward.y, backward.y),
            self._merge(forward.last, backward.last),
        )

    def _in_one_loop(self, batch: int) -> tuple[Recurrent, Recurrent] | None:
        """The layers, where they are to be read in one loop."""
        wanted = self.one_loop
        if wanted is None:
            # On a CPU a product of a pair of matrices is slower than two, and only an iteration's fixed cost is saved.
            wanted = jax.default_backend() != "cpu" or batch * self.forward.d_out <= _FEW_UNITS
        return _alike(self.forward, self.backward) if wanted else None

    def _merge(self, forward: Array, backward: Array) -> Any:
        match self.merge:
            case "concat":
                return jnp.concatenate([forward, backward], axis=-1)
            case "sum":
                return forward + backward
            case "mul":
                return forward * backward
            case "ave":
                return (forward + backward) / 2
            case _:
                return forward, backward


def refuse_pair(reader: str, layer: nnx.Module) -> None:
    """Raise a UsageError where a layer hands on a pair to one that reads an array."""
    if isinstance(layer, Bidirectional) and layer.merge is None:
        raise UsageError(
            f"{reader}: a layer with merge=None hands on a pair: merge it, as by 'concat'"
        )


def _alike(forward: OneWay, backward: OneWay) -> tuple[Recurrent, Recurrent] | None:
    """Two layers, if they are the same but for direction and parameters, and their schedule takes a pair."""
    if not (isinstance(forward, Recurrent) and isinstance(backward, Recurrent)):
        return None

    def settings(layer: Recurrent) -> tuple[Any, ...]:
        return layer.cell, layer.schedule, layer.d_in, layer.d_out

    same = settings(forward) == settings(backward) and isinstance(forward.schedule, Sequential)
    return (forward, backward) if same else None


def _read_both(
    pair: tuple[Recurrent, Recurrent],
    x: Array,
    carries: Any,
    keys: Any,
    *,
    mask: Array | None = None,
    lengths: Array | None = None,
    reset: Array | None = None,
) -> tuple[Reading, Reading]:
    """What the two layers say, read in one loop."""
    _, mask = steps_read(x, mask, lengths, reset)
    forward, backward = pair
    ahead, back = unroll_both(
        forward.cell,
        (forward._arrays(), backward._arrays()),
        x,
        carry=carries,
        mask=mask,
        reset=reset,
        schedule=forward.schedule,
        key=keys,
    )
    return (
        Reading(*ahead, last_read(ahead[1], mask, reverse=False)),
        Reading(*back, last_read(back[1], mask, reverse=True)),
    )
