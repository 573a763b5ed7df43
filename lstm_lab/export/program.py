"""A network's step, or its whole reading, as StableHLO for several platforms and batches of any size.

Carries and weights go in and out by name, as dicts of arrays, so that a program is called without the classes it was
made of. What is measured on one device decides nothing here: the loop is the plain one, without this machine's
choices, and products of float32 are computed in float32 on every platform.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array, export

from lstm_lab.architecture import Architecture, by_path
from lstm_lab.devices import exact
from lstm_lab.model import Interface, Model
from lstm_lab.modules import Bidirectional
from lstm_lab.unroll import Sequential

Platform = Literal["cpu", "cuda", "rocm", "tpu"]
PLATFORMS: tuple[Platform, ...] = ("cpu", "cuda", "tpu")

Named = dict[str, Array]


def plain(model: Model, task: Interface, d_hidden: int) -> Architecture:
    """The same network without anything that one device would choose: its parameters are the same."""
    network = Architecture(replace(model, schedule=Sequential(adjoint=False)), task, d_hidden)
    module = nnx.merge(network.graph, network.shapes)
    for _, layer in nnx.iter_modules(module):
        if isinstance(layer, Bidirectional):
            layer.one_loop = False
    network.graph = nnx.graphdef(module)
    return network


def step(network: Architecture, params: Any, carry: Any, x: Array) -> tuple[Any, Array]:
    """Read one step: tokens `[B]` or features `[B, D]`; the carry after it, and outputs `[B, d_out]`."""
    carry, outputs = network.apply(params, x[:, None], carry=carry)
    # Of a network that answers once per sequence, the answer if it ended here.
    return carry, outputs.reshape(x.shape[0], outputs.shape[-1])


def step_program(network: Architecture, task: Interface, platforms: Sequence[Platform]) -> bytes:
    """Serialise `(weights, carry, x_t) -> (carry, outputs)`.

    Args:
        network: made by `plain`, reading forward.
        task: what it was built for.
        platforms: where it is to run.

    Returns:
        What `jax.export.deserialize` takes.
    """
    start = jax.eval_shape(lambda params: network.initial_carry(params, 1), network.shapes)
    names, tree = list(by_path(start)), jax.tree.structure(start)
    (B,) = export.symbolic_shape("B")

    def call(weights: Named, carry: Named, x: Array) -> tuple[Named, Array]:
        before = jax.tree.unflatten(tree, [carry[name] for name in names])
        after, outputs = step(network, network.params(weights), before, x)
        return by_path(after), outputs

    rows = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((B, *leaf.shape[1:]), leaf.dtype), start)
    return _serialised(call, platforms, by_path(network.shapes), by_path(rows), _input(task, B))


def reading_program(network: Architecture, task: Interface, platforms: Sequence[Platform]) -> bytes:
    """Serialise `(weights, x, lengths) -> outputs`; arguments and result as of `step_program`."""
    B, T = export.symbolic_shape("B, T")

    def call(weights: Named, x: Array, lengths: Array) -> Array:
        return network.apply(network.params(weights), x, lengths=lengths)[1]

    lengths = jax.ShapeDtypeStruct((B,), jnp.int32)
    return _serialised(call, platforms, by_path(network.shapes), _input(task, B, T), lengths)


def _input(task: Interface, *axes: Any) -> jax.ShapeDtypeStruct:
    if task.tokens:
        return jax.ShapeDtypeStruct(axes, jnp.int32)
    return jax.ShapeDtypeStruct((*axes, task.d_in), jnp.float32)


def _serialised(call: Callable[..., Any], platforms: Sequence[Platform], *arguments: Any) -> bytes:
    with exact():
        return bytes(export.export(jax.jit(call), platforms=platforms)(*arguments).serialize())
