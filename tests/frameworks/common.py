"""What the three frameworks share: a random body, and what to hold against it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_lab.cells.base import Cell
from lstm_lab.frameworks.parts import Body, apart
from lstm_lab.model import Model, Widths
from lstm_lab.modules import Merge, SequenceModel

# Layers, and whether they read both ways; `make test` asks for the second alone.
SHAPES = [(1, True), (2, True), (3, False)]
every_shape = pytest.mark.parametrize(
    ("layers", "both"),
    [
        pytest.param(*shape, marks=() if shape == (2, True) else pytest.mark.variant)
        for shape in SHAPES
    ],
)


def sizes(seed: int) -> tuple[int, int]:
    """Features and units."""
    D, H = (int(n) for n in np.random.default_rng(seed).integers((1, 2), (6, 6)))
    return D, H


def inputs(seed: int, d_in: int) -> np.ndarray:
    """A batch of series."""
    rng = np.random.default_rng(seed)
    B, T = (int(n) for n in rng.integers((2, 3), (4, 6)))
    return rng.normal(size=(B, T, d_in)).astype(np.float32)


def network(cell: Cell, layers: int, merge: Merge | None, seed: int, **model: Any) -> SequenceModel:
    """One whose every parameter is random, biases included."""
    D, H = sizes(seed)
    value = Model(cell, layers=layers, bidirectional=merge, **model)
    tokens = bool(value.embedding)
    d_out = D if value.tied else 2
    made = value.build(Widths(D, d_out, True, tokens, ""), H, jax.random.key(0))
    rng = np.random.default_rng(seed)
    random = jax.tree.map(
        lambda p: jnp.asarray(rng.normal(size=p.shape), jnp.float32), nnx.state(made, nnx.Param)
    )
    nnx.update(made, random)
    return made


def same(got: Body, wanted: Body) -> None:
    """Bit for bit, and the same cells."""
    for ours, theirs in zip(apart(got), apart(wanted), strict=True):
        assert (type(ours.cell), ours.merge) == (type(theirs.cell), theirs.merge)
        jax.tree.map(np.testing.assert_array_equal, ours.params, theirs.params)


def reads(body: Body, x: np.ndarray, wanted: Any) -> None:
    """What a body says of an input, up to rounding."""
    graph, params = nnx.split(body)
    got = jax.jit(lambda params, x: nnx.merge(graph, params)(x).y)(params, x)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
