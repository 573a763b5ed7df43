"""One step's derivative, taken apart from the numbers it needs: which they are, and that they are enough."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from lstm_lab.cells.base import Cell
from lstm_lab.cells.co_rnn import CoRNN
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.layer_norm_lstm import LayerNormLSTM
from lstm_lab.cells.lru import LRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.min_gru import MinGRU
from lstm_lab.unroll import Sequential, unroll
from lstm_lab.unroll.derivative import Plan, differentiate, plan

B, D, H = 2, 3, 4


def planned(cell: Cell) -> tuple[Plan, tuple[Any, ...]]:
    """A cell's plan, and a step's parameters, carry before, z and r, drawn at random."""
    params = cell.prepare(cell.init(jax.random.key(0), D, H))
    carry = cell.carry(params, B)
    how = plan(cell, params, carry, jnp.zeros((B, D)))
    leaves, tree = jax.tree.flatten((carry, how.z, how.r))
    drawn = [jax.random.normal(jax.random.key(n), leaf.shape) for n, leaf in enumerate(leaves)]
    return how, (params, *jax.tree.unflatten(tree, drawn))


# What is kept of a step besides the carry before it: widths, which of them lie in the place of z, and whether they are
# z itself.
KEPT = {
    "LSTM: its tanh": (LSTM(), [4 * H], (0,), False),
    "GRU: two tanh, and r of the candidate": (GRU(), [2 * H, H, H], (0, 1), False),
    "Elman: its tanh": (Elman(), [H], (0,), False),
    "Elman with relu: z + r": (Elman("relu"), [H], (0,), False),
    "linear in the carry: z": (MinGRU(), [2 * H], (0,), True),
    "LSTM with layer norms: z and r": (LayerNormLSTM(), [4 * H, 4 * H], (0,), True),
}


@pytest.mark.parametrize(("cell", "widths", "placed", "stays"), KEPT.values(), ids=KEPT.keys())
def test_what_is_kept(cell: Cell, widths: list[int], placed: tuple[int, ...], stays: bool) -> None:
    how, step = planned(cell)
    shapes = jax.eval_shape(lambda *step: differentiate(cell, how, *step).numbers, *step)
    assert [a.shape for a in shapes] == [(B, width) for width in widths]
    assert how.placed == placed
    assert how.stays == stays


@pytest.mark.parametrize(("cell", "leaf"), [(LSTM(), 0), (GRU(), 0), (CoRNN(), 0), (LRU(), None)])
def test_an_output_that_is_a_leaf_of_the_carry_is_known_as_such(
    cell: Cell, leaf: int | None
) -> None:
    how, (params, before, z, r) = planned(cell)
    assert how.output == leaf
    after, y = cell.gates(params, before, z, r)
    assert [np.array_equal(a, y) for a in jax.tree.leaves(after)].count(True) == (leaf is not None)


@pytest.mark.parametrize("cell", [LSTM(), GRU(), GRU("before"), Elman(), MinGRU(), LRU()], ids=repr)
def test_the_numbers_laid_down_give_the_derivative(cell: Cell) -> None:
    how, step = planned(cell)
    params, before, z, r = step
    adjoints = jax.tree.map(jnp.ones_like, cell.gates(params, before, z, r))

    @jax.jit
    def apart(params: Any, before: Any, z: Array, r: Array) -> Any:
        place, rest = how.lay(differentiate(cell, how, params, before, z, r).numbers)
        # Elsewhere, of z and r only their shapes are known.
        there = differentiate(cell, how, params, before, jnp.zeros_like(z), jnp.zeros_like(r))
        return there.pull(how.take(place, rest))(adjoints)

    gates = lambda *read: cell.gates(params, *read)  # noqa: E731
    wanted = jax.jit(lambda *read: jax.vjp(gates, *read)[1](adjoints))(before, z, r)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), apart(*step), wanted
    )


SUMS = {
    "the sum": (lambda z, r: jnp.tanh(z + r), True),
    "the sum the other way round": (lambda z, r: (r + z) ** 2, True),
    "the sum and z": (lambda z, r: (z + r) * z, False),
    "the sum twice": (lambda z, r: (z + r) * jnp.tanh(r + z), False),
    "the product": (lambda z, r: z * r, False),
    "z alone": (lambda z, r: z + 1.0, False),
    "z twice": (lambda z, r: z + z, False),
    "a sum with r broadcast": (lambda z, r: z + r[:, :1], False),
}


@pytest.mark.parametrize(("read", "summed"), SUMS.values(), ids=SUMS.keys())
def test_z_and_r_are_read_as_their_sum_where_nothing_else_is_read(read: Any, summed: bool) -> None:
    @dataclass(frozen=True)
    class Reads(Elman):
        def gates(self, params: Any, carry: Any, z: Array, r: Array) -> Any:
            h = read(z, r)[: carry.h.shape[0]]
            return type(carry)(h), h

    cell = Reads()
    params = cell.init(jax.random.key(0), 3, 4)
    x = jax.random.normal(jax.random.key(1), (1, 5, 3))
    assert plan(cell, params, cell.carry(params, 1), x[:, 0]).summed == summed

    def gradient(adjoint: bool) -> Any:
        def loss(params: Any, x: Array) -> Any:
            final, y = unroll(cell, params, x, schedule=Sequential(adjoint=adjoint))
            return sum(jnp.sum(jnp.square(leaf)) for leaf in [y, *jax.tree.leaves(final)])

        return jax.jit(jax.grad(loss, (0, 1)))(params, x)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        gradient(True),
        gradient(False),
    )
