"""Matrix products computed as their transposes: (A B)ᵀ = Bᵀ Aᵀ, the same numbers in another layout.

A product takes a CPU up to twice as long in one layout as in the other. Which of the two JAX's derivatives
form is not ours to say, so they are rewritten from their trace; cells go on writing `carry.h @ params.U`.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import Array, lax
from jax.extend.core import ClosedJaxpr, Literal
from jax.sharding import PartitionSpec


def turned(f: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function compute its products of two matrices as their transposes.

    Args:
        f: takes and returns trees of arrays; products within its own loops and branches stay as they are.

    Returns:
        A function of the same arguments and results, which differ by rounding only.
    """

    def run(*args: Any) -> Any:
        closed, shapes = jax.make_jaxpr(f, return_shape=True)(*args)
        results = _evaluate(closed, jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return run


def _evaluate(closed: ClosedJaxpr, args: list[Any]) -> list[Any]:
    jaxpr = closed.jaxpr
    known = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    known |= dict(zip(jaxpr.invars, args, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for equation in jaxpr.eqns:
        values = [read(atom) for atom in equation.invars]
        if equation.primitive is lax.dot_general_p and _turns(equation):
            results = [_product(equation.params, *values)]
        else:
            params = equation.primitive.get_bind_params(equation.params)
            results = equation.primitive.bind(*values, **params)
            results = results if equation.primitive.multiple_results else [results]
        known |= dict(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _turns(equation: Any) -> bool:
    """Whether a product is one of two matrices, contracted over one axis."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    return len(contracted) == 1 and all(atom.aval.ndim == 2 for atom in equation.invars)


def _product(params: dict[str, Any], left: Array, right: Array) -> Array:
    ((left_axes, right_axes), batch) = params["dimension_numbers"]
    exchanged = {"dimension_numbers": ((right_axes, left_axes), batch)}
    place = params["out_sharding"]
    if place is not None:
        exchanged["out_sharding"] = place.update(spec=PartitionSpec(*place.spec[::-1]))
    return lax.dot_general_p.bind(right, left, **{**params, **exchanged}).T
