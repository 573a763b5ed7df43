"""Products of few rows and large weights, computed as their transposes: (h U)ᵀ = Uᵀ hᵀ.

XLA's CPU compiler hands a product to a library that first packs the right matrix into the order it multiplies in. In a
loop over time that is the weights: `[B, H] × [H, G]` packs all of them at every step, for few rows. Turned, the rows
are what is packed, and the weights are read once, as they lie; the result is turned back.

The products are found in a trace; cells go on writing `carry.h @ params.U`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_lab.cells.base import Params
from lstm_lab.unroll.trace import evaluate

# Bytes of a matrix of weights from which on packing it costs more than turning the result back.
_LARGE = 2**19
# Of fewer rows, packing is not what takes long.
_FEW = 3


def large(weights: Array, rows: Any) -> bool:
    """Whether products of a batch and these weights are turned, by what was measured on a CPU.

    Args:
        weights: `[K, N]`; any other array is not.
        rows: of the batch, on one device; a symbol in a program that is exported for any.
    """
    few = not isinstance(rows, int) or rows < _FEW
    if few or weights.ndim != 2:
        return False
    return weights.size * weights.dtype.itemsize >= _LARGE


def turned(f: Callable[..., Any], params: Params, parts: int) -> Callable[..., Any]:
    """Make a function compute its products of rows and large weights as their transposes.

    Args:
        f: takes parameters and trees of arrays, and returns a tree of arrays.
        params: its parameters. What multiplies as `x @ W` is best the transpose of an array that lies as Wᵀ.
        parts: into how many parts XLA cuts the rows.

    Returns:
        A function of the other arguments with f's results, which differ by rounding only.
    """

    def run(*others: Any) -> Any:
        closed, shapes = jax.make_jaxpr(f, return_shape=True)(params, *others)
        weights = closed.jaxpr.invars[: len(jax.tree.leaves(params))]

        def product(equation: Any, values: list[Any]) -> list[Array] | None:
            if equation.primitive is not lax.dot_general_p:
                return None
            (contracted, batch) = equation.params["dimension_numbers"]
            rows, right = equation.invars
            matrices = rows.aval.ndim == 2 and contracted[0] == (1,) and batch == ((), ())
            if not matrices or not any(right is w for w in weights):
                return None
            if not large(right.aval, rows.aval.shape[0] // parts):
                return None
            row_values, w = values
            return [_product(w.T if contracted[1] == (0,) else w, row_values, parts, equation)]

        leaves = jax.tree.leaves((params, others))
        read = evaluate(closed, *leaves, instead=product)
        return jax.tree.unflatten(jax.tree.structure(shapes), map(read, closed.jaxpr.outvars))

    return run


def _product(weights: Array, rows: Array, parts: int, equation: Any) -> Array:
    """`rows [B, K]` times the transpose of `weights [N, K]`: `[B, N]`."""
    B, K = rows.shape
    own = B // parts
    missing = _filled(own) - own
    # XLA cuts the batch: each part is filled up by itself. Where none is, cutting it here would cost a copy.
    cut = rows.reshape(parts, own, K) if missing and parts > 1 else rows
    filled = jnp.pad(cut, [(0, 0)] * (cut.ndim - 2) + [(0, missing), (0, 0)])
    contracted = ((1,), (cut.ndim - 1,))
    # Where the result lies is said of the product as it stood; of this one, it follows from where the rows do.
    params = {**equation.params, "dimension_numbers": (contracted, ((), ())), "out_sharding": None}
    # Without the barrier the compiler would see two transposes in a row and undo both.
    product = lax.optimization_barrier(lax.dot_general_p.bind(weights, filled, **params))
    product = product[..., : product.shape[-1] - missing]
    return jnp.moveaxis(product, 0, -1).reshape(B, len(weights))


def _filled(rows: int) -> int:
    """Rows, here columns, that the library multiplies by at once, or the next multiple: left over, it takes longer."""
    return 4 if rows <= 4 else rows + -rows % 8
