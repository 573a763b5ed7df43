"""Products with one adjoint, joined into a single one: [a | b | 1]ᵀ dz, for aᵀ dz, bᵀ dz and the sum of dz's rows.

The gradients of a layer's weights are such products, and that of its bias such a sum; each would read dz, the
largest array there is, once more. They are rewritten from their trace; cells go on writing `carry.h @ params.U`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.core import ClosedJaxpr, Literal


def joined(f: Callable[[Array], Any]) -> Callable[[Array], Any]:
    """Make a function compute what it makes of an array's columns by product or sum in a single product.

    Args:
        f: takes an array `[N, G]` and returns a tree of arrays.

    Returns:
        A function of the same argument and results, which differ by rounding only.
    """

    def run(adjoint: Array) -> Any:
        closed, shapes = jax.make_jaxpr(f, return_shape=True)(adjoint)
        results = _evaluate(closed, adjoint)
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return run


def _evaluate(closed: ClosedJaxpr, adjoint: Array) -> list[Any]:
    jaxpr = closed.jaxpr
    (given,) = jaxpr.invars
    known = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    done = _product(jaxpr.eqns, given, known, adjoint)
    known[given] = adjoint

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for equation in jaxpr.eqns:
        if id(equation) in done:
            results = [done[id(equation)]]
        else:
            params = equation.primitive.get_bind_params(equation.params)
            results = equation.primitive.bind(*map(read, equation.invars), **params)
            results = results if equation.primitive.multiple_results else [results]
        known |= dict(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _product(
    equations: list[Any], given: Any, known: Mapping[Any, Array], adjoint: Array
) -> dict[int, Array]:
    """All that equations make of the argument's columns, by equation: of one product, cut apart."""
    found = [(e, _other(e, given, known)) for e in equations]
    others = [(e, a) for e, a in found if a is not None]
    sums = [e for e in equations if _sums(e, given)]
    if not others:
        return {}
    columns = [a for _, a in others]
    if sums:
        columns.append(jnp.ones((len(adjoint), 1), adjoint.dtype))
    left = jnp.concatenate(columns, axis=1) if len(columns) > 1 else columns[0]
    params = dict(others[0][0].params)
    params["dimension_numbers"] = (((0,), (0,)), ((), ()))
    product = lax.dot_general_p.bind(left, adjoint, **params)
    done = {}
    at = 0
    for equation, a in others:
        part = lax.slice_in_dim(product, at, at + a.shape[1])
        at += a.shape[1]
        done[id(equation)] = part.T if equation.invars[0] is given else part
    return done | {id(e): product[at] for e in sums}


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
