"""One comparison for three frameworks: outputs, final states and all gradients of two directions.

A framework's test file says only how our parameters become its own. That mapping is differentiable,
so the framework's gradients are pulled back through it and compared in our layout, split biases
included.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from lstm_lab.cells.base import Cell
from lstm_lab.modules import Bidirectional, Merge, Recurrent

TOLERANCE = 1e-5


class Case(NamedTuple):
    """A random problem: parameters per direction, inputs, and a cotangent for each answer."""

    params: tuple[Any, Any]
    x: np.ndarray
    lengths: np.ndarray
    d_y: np.ndarray
    d_final: tuple[Any, Any]

    @property
    def valid(self) -> np.ndarray:
        """True where a step is part of its row, `[B, T]`."""
        return np.arange(self.x.shape[1]) < self.lengths[:, None]

    def cut(self, y: Any) -> Any:
        """Outputs with zeros in the padding, where ours are zero and others repeat or go on."""
        return y * self.valid[..., None].astype(np.float32)


class Answer(NamedTuple):
    """What a framework says: outputs, cut at the padding, final carries, and every gradient."""

    y: Any
    final: Any
    d_params: Any
    d_x: Any


def case(cell: Cell, seed: int, *, full: bool = False, width: int = 2) -> Case:
    """Draw a problem; `full` rows have no padding, the merged output is `width` times H wide."""
    rng = np.random.default_rng(seed)
    B, T, D, H = (int(n) for n in rng.integers((2, 3, 1, 2), (5, 9, 6, 7)))
    lengths = np.full(B, T) if full else rng.integers(1, T + 1, B)

    def normal(like: Any, scale: float = 1.0) -> Any:
        return jax.tree.map(lambda a: (scale * rng.normal(size=a.shape)).astype(np.float32), like)

    def two(like: Any, scale: float = 1.0) -> tuple[Any, Any]:
        return normal(like, scale), normal(like, scale)

    shapes = jax.eval_shape(lambda: cell.init(jax.random.key(0), D, H))
    params = two(shapes, 0.5)
    return Case(
        params=params,
        x=normal(np.empty((B, T, D))),
        lengths=lengths.astype(np.int32),
        d_y=normal(np.empty((B, T, width * H))),
        d_final=two(jax.eval_shape(lambda: cell.carry(params[0], B))),
    )


def ours(cell: Cell, given: Case, merge: Merge = "concat") -> Answer:
    """What lstm_lab says."""
    D = given.x.shape[-1]
    H = jax.tree.leaves(given.d_final)[0].shape[-1]

    @jax.jit
    def answer(params: Any, x: Any) -> Answer:
        def run(params: Any, x: Any) -> Any:
            rngs = nnx.Rngs(0)
            layers = [Recurrent(cell, D, H, reverse=back, rngs=rngs) for back in (False, True)]
            for layer, arrays in zip(layers, params, strict=True):
                layer.params = nnx.data(jax.tree.map(nnx.Param, arrays))
            reading = Bidirectional(layers[0], layers[1], merge)(
                x, lengths=jnp.array(given.lengths)
            )
            return reading.y, reading.carry

        (y, final), pull = jax.vjp(run, params, x)
        return Answer(y, final, *pull((given.d_y, given.d_final)))

    return answer(given.params, given.x)


def agree(ours: Answer, theirs: Answer) -> None:
    """Hold every number of two answers against each other."""
    for part, got, wanted in zip(Answer._fields, ours, theirs, strict=True):
        for g, w in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(g, w, rtol=TOLERANCE, atol=TOLERANCE, err_msg=part)
