"""Products with one adjoint, joined into a single one: [a | b | 1]ᵀ dz, for aᵀ dz, bᵀ dz and the sum of dz's rows.

The gradients of a layer's weights are such products, and that of its bias such a sum; each would read dz, the
largest array there is, once more. They are rewritten from their trace; cells go on writing `carry.h @ params.U`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.core import ClosedJaxpr

from lstm_lab.unroll.trace import constants, evaluate


def joined(f: Callable[[Array], Any]) -> Callable[[Array], Any]:
    """Make a function compute what it makes of an array's columns by product or sum in a single product.

    Args:
        f: takes an array `[N, G]` and returns a tree of arrays.

    Returns:
        A function of the same argument and results, which differ by rounding only.
    """

    def run(adjoint: Array) -> Any:
        closed, shapes = jax.make_jaxpr(f, return_shape=True)(adjoint)
        read = evaluate(closed, adjoint, given=_products(closed, adjoint))
        return jax.tree.unflatten(jax.tree.structure(shapes), map(read, closed.jaxpr.outvars))

    return run


def _products(closed: ClosedJaxpr, adjoint: Array) -> dict[Any, Array]:
    """All that a trace makes of its argument's columns, by variable: of one product, cut apart."""
    (given,) = closed.jaxpr.invars
    known = constants(closed)
    found = [(e, _other(e, given, known)) for e in closed.jaxpr.eqns]
    others = [(e, a) for e, a in found if a is not None]
    sums = [e for e in closed.jaxpr.eqns if _sums(e, given)]
    if not others:
        return {}
    columns = [a for _, a in others]
    if sums:
        columns.append(true_after(adjoint).astype(adjoint.dtype))
    left = jnp.concatenate(columns, axis=1) if len(columns) > 1 else columns[0]
    params = dict(others[0][0].params)
    params["dimension_numbers"] = (((0,), (0,)), ((), ()))
    product = lax.dot_general_p.bind(left, adjoint, **params)
    done = {}
    at = 0
    for equation, a in others:
        part = lax.slice_in_dim(product, at, at + a.shape[1])
        at += a.shape[1]
        done[equation.outvars[0]] = part.T if equation.invars[0] is given else part
    return done | {e.outvars[0]: product[at] for e in sums}


def true_after(adjoint: Array) -> Array:
    """True for every row, bool `[N, 1]`, in a way that XLA cannot know before the adjoint `[N, G]`.

    A loop makes the adjoint. What is needed only with it, and made of what was there before, XLA would make before
    that loop, and keep all along it.
    """
    first = adjoint[:, :1]
    return (first == first) | (first != first)


def _other(equation: Any, given: Any, known: Mapping[Any, Array]) -> Array | None:
    """The matrix by which an equation multiplies the argument, column by column; None where it does else."""
    if equation.primitive is not lax.dot_general_p or not any(v is given for v in equation.invars):
        return None
    (contracted, _) = equation.params["dimension_numbers"]
    left, right = equation.invars
    other = known.get(right if left is given else left)
    rows = contracted == ((0,), (0,))
    return other if rows and other is not None and other.ndim == 2 else None


def _sums(equation: Any, given: Any) -> bool:
    """Whether an equation sums over the argument's rows."""
    sums = equation.primitive is lax.reduce_sum_p and equation.invars[0] is given
    return sums and equation.params["axes"] == (0,)
