"""What is computed of an array's columns by products and sums is the same in one product, which reads them once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import Array, lax

from lstm_lab.unroll.joined import joined
from tests.trees import assert_close_in_single


def _draw(*shape: int) -> Array:
    return jax.random.normal(jax.random.key(sum(shape)), shape)


A, B, C, DZ = _draw(7, 2), _draw(7, 3), _draw(5, 2), _draw(7, 5)


def across(left: Array, right: Array) -> Array:
    """leftᵀ right, as derivatives have it."""
    return lax.dot_general(left, right, (((0,), (0,)), ((), ())))


# A function of dz, and how many products are left of it.
FUNCTIONS: dict[str, tuple[Callable[[Array], Any], int]] = {
    "a product": (lambda dz: across(dz, A), 1),
    "turned": (lambda dz: across(A, dz), 1),
    "two and a sum": (lambda dz: (across(A, dz), jnp.sum(dz, 0), across(dz, B)), 1),
    "two sums": (lambda dz: (across(A, dz), jnp.sum(dz, 0), jnp.sum(dz, 0)), 1),
    "a sum alone": (lambda dz: jnp.sum(dz, 0), 0),
    "within other work": (lambda dz: jnp.pad(jnp.tanh(across(A, dz).T) + 1, (0, 2)), 1),
    "the argument itself": (lambda dz: (dz, across(A, dz)), 1),
    "along its rows too": (lambda dz: (dz @ C, across(A, dz), across(B, dz)), 2),
    "by what was made of it": (lambda dz: across(jnp.tanh(dz), dz), 1),
    "by itself": (lambda dz: across(dz, dz), 1),
    "summed along its rows": (lambda dz: (jnp.sum(dz, 1), across(A, dz)), 1),
}


@pytest.mark.parametrize(("f", "products"), FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_joined_it_says_the_same(f: Callable[[Array], Any], products: int) -> None:
    assert_close_in_single(jax.jit(joined(f))(DZ), f(DZ))
    pair = jnp.stack([DZ, -DZ])
    assert_close_in_single(jax.vmap(joined(f))(pair), jax.vmap(f)(pair))
    equations = jax.make_jaxpr(joined(f))(DZ).eqns
    assert sum(e.primitive.name == "dot_general" for e in equations) == products


def test_a_joint_product_keeps_the_precision_it_was_asked_for() -> None:
    def f(dz: Array) -> Array:
        return lax.dot_general(A, dz, (((0,), (0,)), ((), ())), precision="highest")

    (product,) = [
        e for e in jax.make_jaxpr(joined(f))(DZ).eqns if e.primitive.name == "dot_general"
    ]
    assert "HIGHEST" in str(product.params["precision"])
