"""A function's trace, run by hand: any of its values can be read, and any be given instead of computed."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from jax import Array
from jax.extend.core import ClosedJaxpr, Literal


def constants(closed: ClosedJaxpr) -> dict[Any, Array]:
    """What a trace reads besides its arguments, by variable."""
    return dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))


Instead = Callable[[Any, list[Any]], Sequence[Array] | None]
"""From an equation and the values it reads to its results; or None, and it is computed as it stands."""


def evaluate(
    closed: ClosedJaxpr,
    *arguments: Array,
    given: Mapping[Any, Array] = MappingProxyType({}),
    instead: Instead = lambda equation, values: None,
) -> Callable[[Any], Any]:
    """Compute a trace's values.

    Args:
        closed: the trace.
        arguments: what its function is called with.
        given: values by variable; an equation whose results are all among them is left out, if it has any.
        instead: computes results otherwise.

    Returns:
        What reads a variable of the trace, or a literal.
    """
    known = constants(closed) | dict(zip(closed.jaxpr.invars, arguments, strict=True)) | {**given}

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for equation in closed.jaxpr.eqns:
        if equation.outvars and all(v in known for v in equation.outvars):
            continue
        values = [read(atom) for atom in equation.invars]
        results = instead(equation, values)
        if results is None:
            params = equation.primitive.get_bind_params(equation.params)
            results = equation.primitive.bind(*values, **params)
            results = results if equation.primitive.multiple_results else [results]
        known |= dict(zip(equation.outvars, results, strict=True))
    return read
