"""The state of every unit after every symbol, and what its gates keep of it and let in.

    kept     f_t = ∂s_t/∂s_{t-1}, element by element, with z_t and r_t held        an LSTM's forget gate, for c
    written  s_t - f_t ∘ s_{t-1}                                                   its i ∘ g

s is a leaf of the carry, and no cell says which number its gate is: f is the derivative of `probe/diagonal.py`, so a
GRU's h has its update gate and a linear cell its decay. A leaf that keeps nothing of itself, as an LSTM's h or an Elman
network's, has neither. What is stabilised by a leaf `m`, or complex, has no plain `written`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_lab.cells.base import Carry
from lstm_lab.modules import OneWay
from lstm_lab.probe.diagonal import STABILISER, Diagonal, diagonals
from lstm_lab.probe.steps import Step, advance, watch
from lstm_lab.tasks.base import Batch

if TYPE_CHECKING:
    from lstm_lab.architecture import Architecture

# Numbers of a leaf that are looked at, at most; a matrix for a state has more.
UNITS = 1024

Kind = Literal["state", "kept", "written"]


class Leaf(NamedTuple):
    """One leaf of a layer's carry, over a text.

    Attributes:
        layer: from the input upwards, 1 the lowest, of those that recur.
        name: the leaf's, such as "c".
        kind: the state itself, or what is kept of it or written to it in a step.
        unit: the places of K numbers in the flattened leaf, int `[K]`.
        value: after each symbol, float `[B, T, K]`.
    """

    layer: int
    name: str
    kind: Kind
    unit: np.ndarray
    value: np.ndarray


def states(
    network: "Architecture", params: Any, ids: np.ndarray, gates: bool = False
) -> list[Leaf]:
    """Read texts from the initial carry.

    Args:
        network: the model and its task.
        params: one seed's parameters.
        ids: the texts, int `[B, T]`.
        gates: tell what is kept and written as well.

    Returns:
        The leaves, layer by layer; none where no layer recurs.
    """

    def note(layer: OneWay, now: Step) -> tuple[Any, dict[str, Diagonal], Any]:
        value = _named(advance(layer, now)[0])
        if not gates:
            return jax.tree.map(_some, value), {}, {}
        kept, before = diagonals(layer, now), _named(now.carry)
        written = {
            name: _some(value[name] - own.value * before[name])
            for name, own in kept.items()
            if name in value and STABILISER not in value
        }
        kept = {name: own._replace(value=_some(own.value)) for name, own in kept.items()}
        return jax.tree.map(_some, value), kept, written

    def read(params: Any, ids: Array) -> list[Any]:
        batch = Batch(x=ids, y=ids, mask=jnp.ones(ids.shape, bool))
        seen = watch(network, params, batch, note, held=True)
        return [(_places(layer.layer), *layer.notes) for layer in seen]

    name = ("inspected states", ids.shape, gates)
    layers = jax.device_get(network.compiler.call(name, read, params, jnp.asarray(ids)))
    return [leaf for n, layer in enumerate(layers, 1) for leaf in _leaves(n, *layer)]


def _leaves(layer: int, places: Any, value: Any, kept: Any, written: Any) -> Iterator[Leaf]:
    """One layer's leaves, of notes `[T, B, K]`."""

    def leaf(name: str, kind: Kind, numbers: np.ndarray) -> Leaf:
        # A complex number's two parts are turned into each other, and have one modulus.
        place = places[name.partition("+")[0]]
        return Leaf(layer, name, kind, place, np.swapaxes(numbers, 0, 1).astype(np.float32))

    for name, numbers in value.items():
        yield leaf(name, "state", numbers)
    for name, own in kept.items():
        if own.elementwise.all() and own.value.any():
            yield leaf(name, "kept", own.value)
            if name in written:
                yield leaf(name, "written", written[name])


def _named(carry: Carry) -> dict[str, Array]:
    """The leaves of a carry by name."""
    return {
        jax.tree_util.keystr(path).lstrip("."): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(carry)
    }


def _places(layer: OneWay) -> dict[str, Array]:
    """Which numbers of each leaf are looked at."""
    return {
        name: _some(jnp.arange(leaf.size)[None])[0]
        for name, leaf in _named(layer.initial_carry(1)).items()
    }


def _some(leaf: Array) -> Array:
    """Evenly spaced numbers of a leaf `[B, ...]`, as `[B, K]`."""
    rows = leaf.reshape(len(leaf), -1)
    return rows[:, :: -(-rows.shape[1] // UNITS)]
