"""A scan whose new rows take the place of the old ones: the numbers of `lax.scan`, and no copy of the array."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import Array, lax

from lstm_lab.unroll.in_place import scan_in_place
from tests.trees import assert_close_in_single

T, B, G = 7, 3, 4
ROWS = jax.random.normal(jax.random.key(0), (T, B, G))
INPUTS = (jax.random.normal(jax.random.key(1), (T, B)), jnp.arange(T) % 2 == 0)
W = jax.random.normal(jax.random.key(2), (G, G))


def step(w: Array, carry: Array, row: Array, given: Any) -> tuple[Array, Array, Array]:
    """A step whose row is read in several places, before and after the product."""
    scale, counts = given
    new = jnp.tanh(row + carry @ w)
    carry = jnp.where(counts, new * row, carry)
    return carry, new * scale[:, None], jnp.sum(row) + carry[:, 0]


def apart(w: Array, carry: Array, rows: Array, reverse: bool) -> Any:
    def body(carry: Array, given: Any) -> tuple[Array, Any]:
        row, inputs = given
        carry, new, output = step(w, carry, row, inputs)
        return carry, (new, output)

    carry, (rows, outputs) = lax.scan(body, carry, (rows, INPUTS), reverse=reverse)
    return carry, rows, outputs


def in_place(w: Array, carry: Array, rows: Array, reverse: bool, unroll: int = 1) -> Any:
    return scan_in_place(step, w, carry, rows, INPUTS, reverse=reverse, unroll=unroll)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("unroll", [1, 3])
def test_it_is_a_scan(reverse: bool, unroll: int) -> None:
    given = (W, jnp.ones((B, G)), ROWS)
    assert_close_in_single(
        jax.jit(in_place, static_argnums=(3, 4))(*given, reverse, unroll), apart(*given, reverse)
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_its_derivatives_are_those_of_a_scan(reverse: bool) -> None:
    def loss(run: Any, w: Array, carry: Array, rows: Array) -> Any:
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(run(w, carry, rows, reverse)))

    given = (W, jnp.ones((B, G)), ROWS)
    for derivative in (jax.grad, jax.jacfwd, lambda f, n: jax.hessian(f, 0)):
        got, wanted = (
            jax.jit(derivative(lambda *a, run=run: loss(run, *a), (0, 1, 2)))(*given)
            for run in (in_place, apart)
        )
        assert_close_in_single(got, wanted)


def test_several_at_once() -> None:
    many = jnp.stack([ROWS, -ROWS])
    got, wanted = (
        jax.vmap(lambda rows, run=run: run(W, jnp.ones((B, G)), rows, False))(many)
        for run in (in_place, apart)
    )
    assert_close_in_single(got, wanted)


def test_without_rows_the_new_ones_are_collected() -> None:
    def counts(consts: None, carry: Array, row: None, given: Array) -> tuple[Array, Array, None]:
        del consts
        assert row is None
        return carry + given, carry, None

    total, found, _ = scan_in_place(
        counts, None, jnp.float32(0), None, jnp.arange(4.0), reverse=False, unroll=1
    )
    assert (float(total), found.tolist()) == (6, [0, 0, 1, 3])


@pytest.mark.usefixtures("optimised")
def test_no_step_copies_the_whole_array() -> None:
    run = jax.jit(in_place, static_argnums=3).lower(W, jnp.ones((B, G)), ROWS, True).compile()
    text = str(run.as_text())
    whole = rf"f32\[{T},{B},{G}\]"
    bodies = re.findall(r" while\(.*body=%(\S+?)[,\s]", text)
    assert len(bodies) == 1
    body = text.split(f"%{bodies[0]} (")[1].split("\n}")[0]
    assert not re.findall(rf"{whole}\S* copy\(", body)
    written = [
        line for line in body.splitlines() if re.search(rf"= {whole}\S* (?!get-tuple)", line)
    ]
    assert len(written) == 1
    assert "dynamic-update-slice" in written[0]


def test_a_row_handed_back_is_not_written() -> None:
    def reads(consts: None, carry: Array, row: Array, given: None) -> tuple[Array, Array, None]:
        del consts, given
        return carry + row, row, None

    def run(rows: Array) -> Any:
        start = jnp.zeros((B, G))
        return scan_in_place(reads, None, start, rows, None, reverse=False, unroll=1)

    total, rows, _ = run(ROWS)
    assert_close_in_single((total, rows), (jnp.sum(ROWS, 0), ROWS))
    assert "dynamic_update" not in str(jax.make_jaxpr(run)(ROWS))
