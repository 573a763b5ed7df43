"""Products computed as their transposes are the products."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import Array

from lstm_lab.unroll.turned import turned

Function = Callable[..., Any]


def _close(got: Any, wanted: Any) -> bool:
    near = lambda x, y: bool(jnp.allclose(x, y, rtol=1e-4, atol=1e-5))  # noqa: E731
    return jax.tree.all(jax.tree.map(near, got, wanted))


def _draw(*shape: int) -> Array:
    return jax.random.normal(jax.random.key(sum(shape)), shape)


A, B = _draw(3, 5), _draw(5, 4)

FUNCTIONS: dict[str, Function] = {
    "product": lambda a, b: a @ b,
    "of a transpose": lambda a, b: b.T @ a.T,
    "within other work": lambda a, b: (jnp.tanh(a) @ b + 1, jnp.pad(a @ b, (0, 2))),
    "its own argument": lambda a, b: (a, a @ b),
    "vector": lambda a, b: a[0] @ b,
    "batch": lambda a, b: jnp.stack([a, a]) @ b,
}


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_a_turned_function_says_the_same(f: Function) -> None:
    assert _close(jax.jit(turned(f))(A, B), f(A, B))
    batched = jax.vmap(turned(f), (0, None))(jnp.stack([A, -A]), B)
    assert _close(batched, jax.vmap(f, (0, None))(jnp.stack([A, -A]), B))


def test_a_turned_product_has_its_operands_exchanged() -> None:
    def shapes(f: Function) -> list[tuple[int, ...]]:
        equations = jax.make_jaxpr(f)(A, B).eqns
        return [e.outvars[0].aval.shape for e in equations if e.primitive.name == "dot_general"]

    assert shapes(FUNCTIONS["product"]) == [(3, 4)]
    assert shapes(turned(FUNCTIONS["product"])) == [(4, 3)]
