"""A function's trace, run by hand: any of its values can be read, and any be given instead of computed."""

from collections.abc import Callable, Mapping
from typing import Any

from jax import Array
from jax.extend.core import ClosedJaxpr, Literal


def constants(closed: ClosedJaxpr) -> dict[Any, Array]:
    """What a trace reads besides its arguments, by variable."""
    return dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))


def evaluate(
    closed: ClosedJaxpr, *arguments: Array, given: Mapping[Any, Array]
) -> Callable[[Any], Any]:
    """Compute a trace's values.

    Args:
        closed: the trace.
        arguments: what its function is called with.
        given: values by variable; an equation whose results are all among them is left out, if it has any.

    Returns:
        What reads a variable of the trace, or a literal.
    """
    known = constants(closed) | dict(zip(closed.jaxpr.invars, arguments, strict=True)) | {**given}

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for equation in closed.jaxpr.eqns:
        if equation.outvars and all(v in known for v in equation.outvars):
            continue
        params = equation.primitive.get_bind_params(equation.params)
        results = equation.primitive.bind(*map(read, equation.invars), **params)
        results = results if equation.primitive.multiple_results else [results]
        known |= dict(zip(equation.outvars, results, strict=True))
    return read
