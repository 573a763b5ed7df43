"""What the suites here share: a small layer of every kind, a random problem for it, and one compiled reading.

A reading gives all that a layer says, and every gradient. It is compiled once per layer and direction, and
serves every test that asks for it.
"""

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from flax import nnx

from lstm_lab.cells.base import Layer
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.discover import subclasses
from lstm_lab.layers.attention import CausalAttention
from lstm_lab.layers.base import Block, build_layer
from lstm_lab.layers.convolution import TemporalConvolution
from lstm_lab.layers.heads import Heads
from lstm_lab.layers.residual import Residual
from lstm_lab.modules import OneWay, Reading
from lstm_lab.unroll import Sequential
from tests.trees import draw, evaluated

B, T, D, H = 3, 6, 2, 4
# Windows shorter than the sequence and its carry, so that what is read leaves them.
WINDOWS = {
    CausalAttention: CausalAttention(heads=2, context=3),
    TemporalConvolution: TemporalConvolution(kernel=2, levels=2),
}


def small(cls: type[Any]) -> Any:
    """A layer that compiles soon: a short window, or the plainest cell inside."""
    inside = {f.name: Elman() for f in dataclasses.fields(cls) if f.name in ("layer", "cell")}
    return WINDOWS.get(cls) or cls(**inside)


LAYERS: list[Layer] = [small(cls) for cls in subclasses("lstm_lab.layers", Block)]
NESTED = Residual(Heads(Residual(GRU()), heads=2))

# `make test` asks a wrapper and a control in both directions, `make contract` all.
SAMPLE = (Heads, CausalAttention)
every_layer = pytest.mark.parametrize(
    "layer",
    [
        *(
            pytest.param(
                layer,
                marks=() if isinstance(layer, SAMPLE) else pytest.mark.variant,
                id=type(layer).__name__,
            )
            for layer in LAYERS
        ),
        pytest.param(NESTED, marks=pytest.mark.variant, id="nested"),
    ],
)
both_ways = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


class Problem(NamedTuple):
    """Arguments of a reading: values to read, and a cotangent for everything it returns."""

    params: Any
    carry: Any
    x: np.ndarray
    mask: np.ndarray
    reset: np.ndarray
    cotangents: Reading


def build(layer: Layer, reverse: bool = False) -> OneWay:
    return build_layer(layer, D, H, reverse=reverse, schedule=Sequential(), rngs=nnx.Rngs(params=0))


@lru_cache
def parts(layer: Layer, reverse: bool) -> tuple[Any, Any]:
    """The static half of a layer, and its parameters in double precision, no bias left at zero."""
    graph, drawn = nnx.split(build(layer, reverse))
    noise = draw(drawn, 0)
    return graph, jax.tree.map(lambda p, n: np.asarray(p) + n / 4, drawn, noise)


def start(layer: Layer, reverse: bool = False) -> Any:
    """The layer's own initial carry."""
    graph, params = parts(layer, reverse)
    return evaluated(nnx.merge(graph, params).initial_carry(B))


@lru_cache
def reading(layer: Layer, reverse: bool) -> Callable[..., Any]:
    """A compiled `Problem -> Reading, (d_params, d_carry, d_x)`."""
    graph, _ = parts(layer, reverse)

    @jax.jit
    def read(params: Any, carry: Any, x: Any, mask: Any, reset: Any, cotangents: Any) -> Any:
        def run(params: Any, carry: Any, x: Any) -> Reading:
            return nnx.merge(graph, params)(x, carry=carry, mask=mask, reset=reset)

        out, pull = jax.vjp(run, params, carry, x)
        return out, pull(cotangents)

    return lambda *given: evaluated(read(*given))


@lru_cache
def problem(layer: Layer, reverse: bool) -> Problem:
    """Random everything: one row is empty, one has a hole, two are packed; the carry is one it can reach."""
    (_, params), own = parts(layer, reverse), start(layer, reverse)
    d_out = build(layer).d_out
    x, before, y, last = draw(
        tuple(np.empty(shape) for shape in ((B, T, D), (B, T, D), (B, T, d_out), (B, d_out))), 1
    )
    mask = np.ones((B, T), bool)
    reset = np.zeros((B, T), bool)
    cotangents = Reading(draw(own, 2), y, last)
    blank = Problem(params, own, before, mask, reset, cotangents)
    reached, _ = reading(layer, reverse)(*blank)
    mask, reset = mask.copy(), reset.copy()
    mask[1] = mask[2, 0] = mask[2, 4] = False
    reset[0, 4] = reset[2, 2] = True
    return blank._replace(carry=reached.carry, x=x, mask=mask, reset=reset)


def plain_problem(layer: Layer, reverse: bool) -> Problem:
    """The same with full rows and no resets."""
    return problem(layer, reverse)._replace(
        mask=np.ones((B, T), bool), reset=np.zeros((B, T), bool)
    )
