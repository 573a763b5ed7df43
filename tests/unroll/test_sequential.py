"""The sequential schedule: how much work its loops hold, and how much memory its gradient."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import Array
from jax.extend.core import Jaxpr, jaxprs_in_params

from lstm_lab.cells.base import Cell
from lstm_lab.cells.elman import Elman, ElmanCarry
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.errors import UsageError
from lstm_lab.modules import Recurrent, Stack
from lstm_lab.unroll import Schedule, Sequential, unroll
from tests.variants import name

LONG = 1000
CHUNK = 32  # about √1000, where the memory kept between chunks and within one is balanced


def loss(cell: Cell, params: Any, x: Array, schedule: Schedule) -> Any:
    final, y = unroll(cell, params, x, schedule=schedule)
    return sum(jnp.sum(jnp.square(leaf)) for leaf in [y, *jax.tree.leaves(final)])


def live(jaxpr: Jaxpr) -> list[Any]:
    """The equations whose results are used; the compiler drops the others."""
    needed, kept = set(map(id, jaxpr.outvars)), []
    for equation in reversed(jaxpr.eqns):
        if needed & set(map(id, equation.outvars)):
            kept.append(equation)
            needed |= set(map(id, equation.invars))
    return kept[::-1]


def products(jaxpr: Jaxpr) -> tuple[list[int], int]:
    """Count matrix products: in each loop's body, and outside of all loops."""
    inside: list[int] = []
    outside = 0
    for equation in live(jaxpr):
        outside += equation.primitive.name == "dot_general"
        for part in jaxprs_in_params(equation.params):
            deeper, here = products(part)
            inside += deeper
            if equation.primitive.name == "scan":
                inside.append(here)
            else:
                outside += here
    return inside, outside


def training_step(cell: Cell, schedule: Schedule, features: int = 20) -> Jaxpr:
    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), features, 4))
    x = jax.ShapeDtypeStruct((2, 7, features), jnp.float32)
    gradient = jax.grad(lambda params, x: loss(cell, params, x, schedule))
    return jax.make_jaxpr(gradient)(params, x).jaxpr


@pytest.mark.parametrize("cell", [Elman(), LSTM(), GRU()], ids=name)
def test_one_product_per_step_each_way_and_weight_gradients_outside_the_loop(cell: Cell) -> None:
    inside, outside = products(training_step(cell, Sequential()))
    assert inside == [1, 1]
    # x W before the loop; the gradients of W and U after it, in one product where the adjoints of z and r are one.
    assert outside == (3 if isinstance(cell, GRU) else 2)


@pytest.mark.parametrize("cell", [Elman(), LSTM(), GRU()], ids=name)
def test_few_features_are_projected_within_the_loop_forward(cell: Cell) -> None:
    inside, outside = products(training_step(cell, Sequential(), features=2))
    assert inside == [2, 1]
    # The gradients of W and U.
    assert outside == (2 if isinstance(cell, GRU) else 1)


@pytest.mark.parametrize("cell", [Elman(), LSTM(), GRU()], ids=name)
def test_a_reading_alone_projects_within_its_loop(cell: Cell) -> None:
    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), 2, 4))
    for rows, inside, outside in ((16, 2, 0), (15, 1, 1)):
        x = jax.ShapeDtypeStruct((rows, 7, 2), jnp.float32)
        jaxpr = jax.make_jaxpr(lambda params, x: unroll(cell, params, x))(params, x).jaxpr
        assert products(jaxpr) == ([inside], outside)


def test_left_to_jax_the_backward_loop_holds_the_weight_gradient_too() -> None:
    inside, _ = products(training_step(LSTM(), Sequential(adjoint=False), features=2))
    assert inside == [1, 2]


def stack(remat: int) -> Any:
    """A two-layer LSTM's training gradient at T = 1,000, and what it is a function of."""
    schedule, rngs = Sequential(remat=remat), nnx.Rngs(0)
    layers: list[Any] = [
        Recurrent(LSTM(), d_in, 16, schedule=schedule, rngs=rngs) for d_in in (8, 16)
    ]
    graph, params = nnx.split(Stack(layers, rngs=rngs))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, LONG, 8)), jnp.float32)

    def last(params: Any, x: Any) -> Array:
        reading = nnx.merge(graph, params)(x)
        return jnp.sum(jnp.square(reading.y)) / LONG + jnp.sum(reading.last)

    return jax.jit(jax.grad(last, (0, 1))).lower(params, x).compile(), params, x


def test_rematerialised_gradients_are_the_same_in_two_fifths_of_the_memory() -> None:
    (whole, params, x), (chunked, *_) = stack(0), stack(CHUNK)
    for got, wanted in zip(
        jax.tree.leaves(chunked(params, x)), jax.tree.leaves(whole(params, x)), strict=True
    ):
        scale = float(jnp.abs(wanted).max())
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5 * scale)
    memory = [compiled.memory_analysis().temp_size_in_bytes for compiled in (whole, chunked)]
    ratio = memory[1] / memory[0]
    print(f"peak memory with chunks of {CHUNK} of {LONG} steps: {ratio:.3f} of that without")
    assert ratio <= 2 / 5
    # What layers hand on must be there either way: x, two outputs, and the adjoint of each.
    handed_on = sum(2 * width * LONG * 4 * 4 for width in (8, 16, 16))
    assert memory[1] <= 1.1 * handed_on


class LearnedParams(NamedTuple):
    """An Elman network's weights, and the state it starts in."""

    W: Array
    U: Array
    b: Array
    h_0: Array


@dataclass(frozen=True)
class Learned(Elman):
    """Starts every sequence in a state that is learned."""

    def init(self, key: Array, d_in: int, d_hidden: int) -> Any:
        return LearnedParams(*super().init(key, d_in, d_hidden), jnp.ones(d_hidden, jnp.float32))

    def carry(self, params: Any, batch: int) -> ElmanCarry:
        return ElmanCarry(jnp.broadcast_to(params.h_0, (batch, *params.h_0.shape)))


@pytest.mark.parametrize("schedule", [Sequential(), Sequential(remat=2)], ids=name)
def test_a_learned_initial_state_gets_its_gradient_from_every_reset(schedule: Schedule) -> None:
    cell = Learned()
    params = cell.init(jax.random.key(0), 2, 3)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 2)), jnp.float32)
    reset = jnp.zeros((2, 5), bool).at[0, 3].set(True)

    def gradient(schedule: Schedule, reset: Any) -> Any:
        return jax.grad(lambda p: jnp.sum(unroll(cell, p, x, reset=reset, schedule=schedule)[1]))(
            params
        )

    got, wanted = gradient(schedule, reset), gradient(Sequential(adjoint=False), reset)
    for g, w in zip(got, wanted, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-6)
    assert not np.allclose(got.h_0, gradient(schedule, None).h_0)


@pytest.mark.parametrize(("field", "value"), [("unroll", 0), ("unroll", -1), ("remat", -1)])
def test_settings_that_mean_nothing_are_refused(field: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{field}: {value}: give"):
        Sequential(**{field: value})
