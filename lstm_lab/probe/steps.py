"""A network read one step at a time, with the carry before every step in hand.

    carry_t, y_t = F_l(carry_{t-1}, x_t)         layer l's step; x_t is what the layers below hand on

A probe of the carry differentiates F_l where the network really is: at carries it reaches on inputs of its task.
A layer is whatever stands in a stack, blocks included: heads, shortcuts and learned carries need no rule of
their own. Of two directions the forward one is stepped; the other stays as it is and only feeds the layers
above. Layers without a recurrence, which are attention and convolution, are passed by.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array, lax

from lstm_lab.cells.base import Carry, Cell, Layer, Params
from lstm_lab.modules import Bidirectional, OneWay, Reading, Recurrent, Stack, last_read
from lstm_lab.probe.base import Probe
from lstm_lab.regularisers.base import Around
from lstm_lab.tasks.base import Batch
from lstm_lab.unroll.base import Schedule, Steps, over
from lstm_lab.unroll.run import carry_given, restarts, steps_read

if TYPE_CHECKING:
    from lstm_lab.architecture import Architecture


class Step(NamedTuple):
    """A step that is about to be taken, or several with a leading axis of time.

    Attributes:
        carry: the layer's carry before it, leaves `[B, ...]`.
        x: the layer's input, `[B, D]`.
        read: bool `[B]`, False where a row is over and copies its carry.
    """

    carry: Carry
    x: Array
    read: Array


class Seen(NamedTuple):
    """What `watch` saw of one layer.

    Attributes:
        layer: the layer, to step it again.
        read: bool `[T, B]`, the steps that rows read.
        notes: what was noted of every step, leaves `[T, ...]`.
    """

    layer: OneWay
    read: Array
    notes: Any


def advance(layer: OneWay, step: Step) -> tuple[Carry, Array]:
    """Take a step: the carry after it, and the output `[B, H]`, zero where nothing was read."""
    reading = layer(step.x[:, None], carry=step.carry)
    carry = jax.tree.map(
        lambda new, old: jnp.where(over(step.read, new), new, old), reading.carry, step.carry
    )
    y = reading.y[:, 0]
    return carry, jnp.where(over(step.read, y), y, jnp.zeros_like(y))


def recurs(layer: Layer) -> bool:
    """Whether a model's layer is a cell or something around one."""
    return isinstance(layer, Cell) or any(
        isinstance(part, Layer) and recurs(part) for part in vars(layer).values()
    )


def each_seed(
    probe: Probe,
    measure: Callable[[Any, Batch], Any],
    network: "Architecture",
    batch: Batch,
    params: Any,
) -> list[Any]:
    """Measure every seed, one after the other, by one compiled program.

    Args:
        probe: whose measurement it is.
        measure: a pure function of one seed's parameters and the batch.
        network: the static half of the model.
        batch: what is read, the same for all seeds.
        params: NumPy leaves `[S, ...]`.

    Returns:
        What `measure` gave, NumPy leaves.
    """
    call = partial(network.compiler.call, probe, measure)
    of_seed = [
        jax.tree.map(lambda leaf, s=s: leaf[s], params)
        for s in range(len(jax.tree.leaves(params)[0]))
    ]
    return [jax.device_get(call(own, batch)) for own in of_seed]


def watch(
    network: "Architecture",
    params: Any,
    batch: Batch,
    note: Callable[[OneWay, Step], Any],
    held: bool = False,
) -> list[Seen]:
    """Read a batch, and note something of every step of every layer that recurs.

    A row that begins a new sequence stands at the initial carry before that step, as in training.

    Args:
        network: the static half of the model.
        params: one seed's parameters.
        batch: what is read.
        note: a pure function of a layer and the step it is about to take.
        held: let derivatives take the recurrent product for a constant: ∂r/∂carry = 0.

    Returns:
        The layers, from the input upwards.
    """
    model = nnx.merge(network.graph, params)
    seen: list[Seen] = []
    model.body = _watched(
        model.body, lambda layer: _Watched(_ready(layer, held), note, seen.append)
    )
    model.read(batch.x, lengths=batch.lengths, reset=batch.reset)
    return seen


def _watched(part: Any, wrap: Callable[[OneWay], OneWay]) -> Any:
    if isinstance(part, Stack):
        for n, layer in enumerate(part.layers):
            part.layers[n] = _watched(layer, wrap)
    elif isinstance(part, Bidirectional):
        part.forward = _watched(part.forward, wrap)
    elif any(isinstance(module, Recurrent) for _, module in nnx.iter_modules(part)):
        return wrap(part)
    return part


class _Watched(OneWay):
    """A layer that is read step by step, and what was noted of each told when the last is read."""

    def __init__(
        self,
        inner: OneWay,
        note: Callable[[OneWay, Step], Any],
        tell: Callable[[Seen], None],
    ) -> None:
        self.inner = inner
        self.note = note
        self.tell = tell
        self.d_in = inner.d_in
        self.d_out = inner.d_out
        self.reverse = inner.reverse

    def initial_carry(self, batch: int) -> Carry:
        return self.inner.initial_carry(batch)

    def __call__(
        self,
        x: Array,
        *,
        carry: Carry | None = None,
        mask: Array | None = None,
        lengths: Array | None = None,
        reset: Array | None = None,
        key: Array | None = None,
    ) -> Reading:
        del key
        x, mask = steps_read(x, mask, lengths, reset)
        start = self.initial_carry(x.shape[0])
        read = jnp.ones(x.shape[:2], bool) if mask is None else mask
        restart = None if reset is None else restarts(reset, self.reverse).T

        def step(carry: Carry, given: Any) -> tuple[Carry, Any]:
            x, read, restart = given
            if restart is not None:
                carry = jax.tree.map(lambda s, c: jnp.where(over(restart, c), s, c), start, carry)
            now = Step(carry, x, read)
            after, y = advance(self.inner, now)
            return after, (self.note(self.inner, now), y)

        after, (notes, y) = lax.scan(
            step, carry_given(carry, start), (jnp.swapaxes(x, 0, 1), read.T, restart)
        )
        self.tell(Seen(self.inner, read.T, notes))
        y = jnp.swapaxes(y, 0, 1)
        return Reading(after, y, last_read(y, mask, self.reverse))


def _ready(layer: OneWay, held: bool) -> OneWay:
    """Prepare the parameters of a layer's cells now, where each of its steps would do it again."""
    for _, module in nnx.iter_modules(layer):
        if not isinstance(module, Recurrent):
            continue
        cell = module.cell
        one = jax.eval_shape(lambda c=cell, m=module: c.init(jax.random.key(0), m.d_in, m.d_out))
        params = jax.tree.map(
            lambda p: p[...], module.params, is_leaf=lambda p: isinstance(p, nnx.Param)
        )
        prepare = cell.prepare
        # Heads are copies of a layer whose parameters have further axes.
        for _ in range(jax.tree.leaves(params)[0].ndim - jax.tree.leaves(one)[0].ndim):
            prepare = jax.vmap(prepare)
        module.params = nnx.data(jax.tree.map(nnx.Param, prepare(params)))
        module.cell = _Prepared(cell, held)
        module.schedule = _Once()
    return layer


@dataclass(frozen=True)
class _Prepared(Around):
    """A cell that is given its prepared parameters.

    Attributes:
        held: whether its recurrent product is a constant to derivatives.
    """

    held: bool = False

    def check(self, params: Params, d_in: int) -> None:
        del params, d_in

    def prepare(self, params: Params, key: Array | None = None) -> Params:
        del key
        return params

    def recur(self, params: Params, carry: Carry) -> Array:
        r = self.cell.recur(params, carry)
        return lax.stop_gradient(r) if self.held else r


@dataclass(frozen=True)
class _Once(Schedule):
    """One step, which needs no loop and so compiles sooner."""

    def run(
        self, cell: Cell, params: Params, carry: Carry, start: Carry, steps: Steps, reverse: bool
    ) -> tuple[Carry, Array]:
        del start, reverse
        (x,) = steps.x
        after, y = cell.gates(params, carry, cell.project(params, x), cell.recur(params, carry))
        return after, y[None]
