"""What is peculiar to each layer around a cell."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_lab.cells.base import Cell, Layer
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lru import LRU
from lstm_lab.cells.min_gru import MinGRU
from lstm_lab.errors import UsageError
from lstm_lab.layers.base import build_layer
from lstm_lab.layers.heads import Heads
from lstm_lab.layers.learned_carry import LearnedCarry
from lstm_lab.layers.residual import Residual
from lstm_lab.layers.skip import Skip
from lstm_lab.modules import Reading
from lstm_lab.unroll import Associative, Schedule, Sequential, unroll
from tests.trees import assert_close_in_single

B, T, H = 2, 5, 4
X = jnp.asarray(np.random.default_rng(0).normal(size=(B, T, H)), jnp.float32)


def build(layer: Layer, schedule: Schedule = Sequential()) -> tuple[Any, Any]:
    """The static half of a layer of equal widths, and its parameters."""
    return nnx.split(
        build_layer(layer, H, H, reverse=False, schedule=schedule, rngs=nnx.Rngs(params=0))
    )


@jax.jit(static_argnums=0)
def read(graph: Any, params: Any, **call: Any) -> Reading:
    return nnx.merge(graph, params)(X, **call)


def test_residual_around_a_layer_that_says_nothing_is_the_identity() -> None:
    graph, params = build(Residual(Elman()))
    reading = read(graph, jax.tree.map(jnp.zeros_like, params))
    assert_close_in_single((reading.y, reading.last), (X, X[:, -1]))


def test_skip_hands_on_what_the_layer_says_and_what_it_was_told() -> None:
    graph, params = build(Skip(Elman()))
    inner = read(*build(Elman()))
    reading = read(graph, params)
    assert_close_in_single(reading.y, jnp.concatenate([inner.y, X], axis=-1))
    assert_close_in_single(reading.last, jnp.concatenate([inner.last, X[:, -1]], axis=-1))


def test_one_head_is_the_layer_itself() -> None:
    graph, params = build(Elman())
    wanted = read(graph, params)
    reading = read(build(Heads(Elman(), heads=1))[0], jax.tree.map(lambda p: p[None], params))
    assert_close_in_single(
        (reading.y, reading.last, reading.carry.h[:, 0]), (wanted.y, wanted.last, wanted.carry.h)
    )


def test_heads_are_a_cell_whose_recurrent_matrix_is_block_diagonal() -> None:
    graph, params = build(Heads(Elman(), heads=2))
    stacked = nnx.merge(graph, params).copies.params
    W, U, b = (np.asarray(p[...]) for p in stacked)
    large = type(stacked)(
        jnp.concatenate(W, axis=1), jax.scipy.linalg.block_diag(*U), jnp.concatenate(b)
    )
    wanted = jax.jit(lambda params: unroll(Elman(), params, X)[1])(large)
    assert_close_in_single(read(graph, params).y, wanted)


def test_heads_are_drawn_apart() -> None:
    _, params = build(Heads(Elman(), heads=2))
    one, other = params["copies"]["params"]["U"][...]
    assert not np.allclose(one, other)


def test_a_learned_carry_begins_as_the_cells_own() -> None:
    cell = MinGRU(positive=True)
    assert_close_in_single(read(*build(LearnedCarry(cell))), read(*build(cell)))


@pytest.mark.parametrize(
    "cell", [MinGRU(), pytest.param(LRU(), marks=pytest.mark.variant)], ids=lambda cell: cell.label
)
def test_a_learned_carry_keeps_a_linear_cell_linear(cell: Cell) -> None:
    reset = jnp.zeros((B, T), bool).at[0, 3].set(True)

    def gradient(schedule: Schedule) -> Any:
        graph, params = build(LearnedCarry(cell), schedule)
        moved = jax.tree.map(lambda p: p + 0.1, params)
        loss = lambda p: jnp.sum(jnp.sin(nnx.merge(graph, p)(X, reset=reset).y))  # noqa: E731
        return jax.jit(jax.value_and_grad(loss))(moved)

    assert_close_in_single(gradient(Associative()), gradient(Sequential()))


def test_a_sequence_after_a_reset_starts_from_the_learned_carry() -> None:
    graph, params = build(LearnedCarry(GRU()))
    moved = jax.tree.map(lambda p: p + 0.5, params)
    given = jax.tree.map(jnp.zeros_like, nnx.merge(graph, moved).initial_carry(B))
    start = jnp.zeros((B, T), bool).at[:, 0].set(True)
    assert_close_in_single(read(graph, moved, carry=given, reset=start), read(graph, moved))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Heads(heads=0), "heads: 0"),
        (lambda: LearnedCarry(Residual()), "Residual: not a cell"),  # type: ignore[arg-type]
    ],
)
def test_settings_that_make_no_layer_are_refused_in_one_line(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refusal:
        make()
    assert "\n" not in str(refusal.value)
