"""What a projection adds last: x W and b apart, of x W + b.

The sum of all steps is an array as large as the product, and XLA's CPU compiler keeps both. Each step can add b to its
own row instead. The two are found in the projection's trace; cells go on writing `x @ params.W + params.b`.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import Array, lax
from jax.extend.core import ClosedJaxpr, Literal

from lstm_lab.unroll.trace import evaluate


def apart(project: Callable[[Array], Array], x: Array) -> tuple[Array, Array | None]:
    """Compute a projection without what it adds last, if that is the same for every x.

    Args:
        project: from `[..., D]` to `[..., G]`.
        x: its argument.

    Returns:
        An array `[..., G]` and what is to be added to it, `[G]`; or `project(x)` and None.
    """
    closed = jax.make_jaxpr(project)(x)
    read = evaluate(closed, x)
    found = _added_last(closed)
    if found is None:
        return read(closed.jaxpr.outvars[0]), None
    rest, added = map(read, found)
    return rest, added.reshape(added.shape[-1])


def _added_last(closed: ClosedJaxpr) -> tuple[Any, Any] | None:
    """The two that the last equation adds, first the one that depends on the argument; None where it does else."""
    jaxpr = closed.jaxpr
    depend = {*jaxpr.invars}
    for equation in jaxpr.eqns:
        if any(v in depend for v in equation.invars if not isinstance(v, Literal)):
            depend |= {*equation.outvars}
    (out,) = jaxpr.outvars
    last = next((e for e in jaxpr.eqns if out in e.outvars), None)
    if last is None or last.primitive is not lax.add_p:
        return None
    rest, added = sorted(last.invars, key=lambda v: isinstance(v, Literal) or v not in depend)
    one_row = added.aval.shape == (1,) * (len(out.aval.shape) - 1) + out.aval.shape[-1:]
    same = not isinstance(added, Literal) and added not in depend and one_row
    return (rest, added) if same and rest.aval.shape == out.aval.shape else None
