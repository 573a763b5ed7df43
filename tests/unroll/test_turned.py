"""Products of rows and large weights, computed as their transposes, are the products; and others stay as they are."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import Array, lax

from lstm_lab.cells.base import Cell
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.unroll import Sequential, unroll
from lstm_lab.unroll.turned import large, turned
from tests.trees import assert_close

Read = Callable[[Any, Array], Any]

# Half a MiB of weights is large; in the place of 20 rows, 24 are multiplied.
B, K, N = 20, 320, 410
TOLERANCE = 1e-5


def _draw(*shape: int) -> Array:
    return jax.random.normal(jax.random.key(sum(shape)), shape) / shape[-1] ** 0.5


PARAMS = {"W": _draw(K, N), "V": _draw(N, K), "small": _draw(K, 16), "cube": _draw(2, K, N)}
X = _draw(B, K)


def across(left: Array, right: Array) -> Array:
    """left rightᵀ, as derivatives have it."""
    return lax.dot_general(left, right, (((1,), (1,)), ((), ())))


# A function of parameters and rows, and the shapes of its products.
FUNCTIONS: dict[str, tuple[Read, list[tuple[int, ...]]]] = {
    "product": (lambda p, x: x @ p["W"], [(N, 24)]),
    "as derivatives have it": (lambda p, x: across(x, p["V"]), [(N, 24)]),
    "of what was made of the rows": (lambda p, x: jnp.tanh(x) @ p["W"], [(N, 24)]),
    "within other work": (lambda p, x: (x, jnp.pad(x @ p["W"] + 1, (0, 2))), [(N, 24)]),
    "two": (lambda p, x: (x @ p["W"]) @ p["V"], [(N, 24), (K, 24)]),
    "few weights": (lambda p, x: x @ p["small"], [(B, 16)]),
    "two rows": (lambda p, x: x[:2] @ p["W"], [(2, N)]),
    "three rows": (lambda p, x: x[:3] @ p["W"], [(N, 4)]),
    "five rows": (lambda p, x: x[:5] @ p["W"], [(N, 8)]),
    "one row": (lambda p, x: x[0] @ p["W"], [(N,)]),
    "eight rows": (lambda p, x: x[:8] @ p["W"], [(N, 8)]),
    "a part of the weights": (lambda p, x: x @ p["W"][:, :400], [(B, 400)]),
    "weights that were made": (lambda p, x: x @ jnp.tanh(p["W"]), [(B, N)]),
    "weights from the left": (lambda p, x: p["V"] @ x.T, [(N, B)]),
    "no matrix": (lambda p, x: x @ p["cube"], [(B, 2, N)]),
    "by itself": (lambda p, x: across(x, x), [(B, B)]),
}


def _products(f: Callable[[Array], Any]) -> list[tuple[int, ...]]:
    equations = jax.make_jaxpr(f)(X).eqns
    return [e.outvars[0].aval.shape for e in equations if e.primitive is lax.dot_general_p]


@pytest.mark.parametrize(("f", "products"), FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_turned_it_says_the_same(f: Read, products: list[tuple[int, ...]]) -> None:
    run = turned(f, PARAMS, parts=1)
    assert_close(jax.jit(run)(X), f(PARAMS, X), TOLERANCE)
    pair = jnp.stack([X, -X])
    assert_close(jax.vmap(run)(pair), jax.vmap(lambda x: f(PARAMS, x))(pair), TOLERANCE)
    assert _products(run) == products


def test_rows_that_are_parted_are_filled_up_by_part() -> None:
    f = FUNCTIONS["product"][0]
    run = turned(f, PARAMS, parts=2)
    assert_close(jax.jit(run)(X), f(PARAMS, X), TOLERANCE)
    assert _products(run) == [(N, 2, 16)]
    assert _products(turned(f, PARAMS, parts=10)) == [(B, N)]


def test_a_turned_product_keeps_the_precision_it_was_asked_for() -> None:
    def f(p: Any, x: Array) -> Array:
        return jnp.matmul(x, p["W"], precision="highest")

    (product,) = [
        e
        for e in jax.make_jaxpr(turned(f, PARAMS, parts=1))(X).eqns
        if e.primitive is lax.dot_general_p
    ]
    assert product.params["precision"] == (lax.Precision.HIGHEST,) * 2


def test_a_gradient_is_exported_for_any_batch() -> None:
    (rows,) = jax.export.symbolic_shape("b")
    assert large(PARAMS["W"], B)
    assert not large(PARAMS["W"], rows)
    cell = LSTM()
    params = cell.init(jax.random.key(0), 5, 184)

    def loss(x: Array) -> Array:
        return jnp.sum(unroll(cell, params, x)[1] ** 2)

    gradient = jax.jit(jax.grad(loss))
    program = jax.export.export(gradient)(jax.ShapeDtypeStruct((rows, 4, 5), jnp.float32))
    x = _draw(B, 4, 5)
    assert_close(program.call(x), gradient(x), TOLERANCE)


@pytest.mark.parametrize(
    ("cell", "hidden", "rows"),
    [
        *((LSTM(), 184, rows) for rows in (1, 2, 3, 10)),
        (GRU(), 212, 10),
        *(pytest.param(GRU(), 212, rows, marks=pytest.mark.variant) for rows in (1, 2, 3)),
    ],
)
def test_the_gradient_by_large_weights_is_jaxs_own(cell: Cell, hidden: int, rows: int) -> None:
    params = cell.init(jax.random.key(0), 5, hidden)
    x = _draw(rows, 4, 5)

    def measured(schedule: Sequential) -> Any:
        def loss(params: Any, x: Array) -> Array:
            return jnp.sum(unroll(cell, params, x, schedule=schedule)[1] ** 2)

        return jax.jit(jax.value_and_grad(loss, (0, 1)))(params, x)

    assert_close(measured(Sequential()), measured(Sequential(adjoint=False)), TOLERANCE)
