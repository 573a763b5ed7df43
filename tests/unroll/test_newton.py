"""Newton's schedule: the loop's numbers and gradients for any cell, few iterations, and failure that is told."""

import logging
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from jax.extend.core import Jaxpr, jaxprs_in_params
from jax.sharding import Mesh, PartitionSpec

from lstm_lab.cells.base import Cell
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.min_gru import MinGRU
from lstm_lab.errors import UsageError
from lstm_lab.unroll import Newton, Schedule, Sequential, newton_report, unroll
from lstm_lab.unroll.linear import damped_prefixes, prefixes
from lstm_lab.unroll.newton import failures, forget_failures
from tests.trees import assert_close_by_size
from tests.variants import name

B, T, D, H = 2, 6, 2, 3
CHAOTIC = 20
FULL, DIAGONAL, PLAIN = Newton(), Newton(form="diagonal"), Sequential(adjoint=False)
LOGGER = "lstm_lab.unroll.newton"

jitted_damped_prefixes = jax.jit(damped_prefixes)
both_forms = pytest.mark.parametrize("schedule", [FULL, DIAGONAL], ids=name)


@pytest.fixture(autouse=True)
def counted_from_zero() -> None:
    forget_failures()


def draw(shape: Any, seed: int) -> Any:
    """Normal variates in the shape and dtype of every leaf."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), shape)


def problem(cell: Cell, steps: int, gain: float = 1.0) -> tuple[Any, Any, Any]:
    """Parameters as drawn or with recurrent weights times a gain, a carry and inputs."""
    params: Any = cell.init(jax.random.key(0), D, H)
    if gain != 1.0:
        params = params._replace(U=params.U * gain)
    carry = jax.eval_shape(lambda: cell.carry(params, B))
    return params, draw(carry, 1), draw(np.empty((B, steps, D), np.float32), 2)


def read(cell: Cell, schedule: Schedule, params: Any, carry: Any, x: Any, **how: Any) -> Any:
    return unroll(cell, params, x, carry=carry, schedule=schedule, **how)


@lru_cache
def compiled(cell: Cell, schedule: Schedule, reverse: bool) -> Any:
    """Outputs and final carry, and what a random cotangent of all of them pulls back."""

    @jax.jit
    def run(given: Any, how: Any) -> Any:
        out, pull = jax.vjp(partial(read, cell, schedule, reverse=reverse, **how), *given)
        return out, pull(draw(out, 3))

    return run


def gradients(
    cell: Cell, schedule: Schedule, given: Any, *, reverse: bool = False, **how: Any
) -> Any:
    return compiled(cell, schedule, reverse)(given, how)


@pytest.mark.parametrize("diagonal", [False, True], ids=["matrices", "diagonals"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_prefixes_are_the_steps_of_a_linear_recurrence(diagonal: bool, reverse: bool) -> None:
    rng = np.random.default_rng(0)
    A, r = rng.normal(size=(T, B, H, H)), rng.normal(size=(T, B, H))
    if diagonal:
        A = A * np.eye(H)
    delta, wanted = np.zeros((B, H)), np.empty_like(r)
    for t in reversed(range(T)) if reverse else range(T):
        delta = np.einsum("bij,bj->bi", A[t], delta) + r[t]
        wanted[t] = delta
    given = np.einsum("tbii->tbi", A) if diagonal else A
    with jax.enable_x64(True):
        got = jax.jit(partial(prefixes, reverse=reverse))(given, r)
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("damping", [0.0, 0.3, 1e4])
def test_the_damped_step_is_that_of_levenberg_and_marquardt(damping: float) -> None:
    rng = np.random.default_rng(0)
    a, r = 2 * rng.normal(size=(T, 1, 2)), rng.normal(size=(T, 1, 2))
    with jax.enable_x64(True):
        got = jitted_damped_prefixes(a, r, damping)
    for unit in range(2):
        J = np.eye(T) - np.diag(a[1:, 0, unit], -1)
        wanted = np.linalg.solve(J.T @ J + damping * np.eye(T), J.T @ r[:, 0, unit])
        np.testing.assert_allclose(got[:, 0, unit], wanted, rtol=1e-9, atol=1e-12)


def test_damped_steps_that_grow_without_bound_do_not_overflow() -> None:
    a, r = np.full((256, 1, 1), 10.0, np.float32), np.ones((256, 1, 1), np.float32)
    assert np.isfinite(jitted_damped_prefixes(a, r, np.float32(0.1))).all()


def report(cell: Cell, schedule: Newton, steps: int, **how: Any) -> Any:
    """What `newton_report` says, as NumPy."""

    def run(params: Any, carry: Any, x: Any) -> Any:
        return newton_report(cell, params, x, carry=carry, schedule=schedule, **how)

    return jax.tree.map(np.asarray, jax.jit(run)(*problem(cell, steps)))


@both_forms
def test_a_linear_cell_takes_one_correction_masked_and_packed_too(schedule: Newton) -> None:
    # Corrected by a wrong Jacobian it would get there too, but not at once.
    mask, reset = np.ones((B, 64), bool), np.zeros((B, 64), bool)
    mask[0, 20:40] = False
    reset[0, 30] = reset[1, 10] = True
    told = report(MinGRU(), schedule, 64, mask=mask, reset=reset)
    assert told.converged
    assert told.iterations == 1
    assert told.residual <= 1e-6


@pytest.mark.parametrize(
    "schedule", [FULL, pytest.param(DIAGONAL, marks=pytest.mark.variant)], ids=name
)
def test_the_iterations_of_a_contracting_cell_do_not_grow_with_the_steps(schedule: Newton) -> None:
    few, many = (report(GRU(), schedule, steps) for steps in (64, 1024))
    assert few.converged
    assert many.converged
    assert many.iterations <= few.iterations + 1 <= 12


@both_forms
def test_as_many_iterations_as_steps_always_suffice(schedule: Newton) -> None:
    params, carry, x = problem(GRU(), T, gain=10.0)
    run = jax.jit(partial(newton_report, GRU(), schedule=schedule))
    with jax.enable_x64(True):
        params, carry, x = jax.tree.map(np.float64, (params, carry, x))
        told = run(params, x, carry=carry)
    assert told.converged
    assert told.iterations <= T


@both_forms
def test_a_thousand_steps_and_their_gradients_are_those_of_the_loop(schedule: Newton) -> None:
    given = problem(LSTM(), 1000)
    got, wanted = (gradients(LSTM(), s, given) for s in (schedule, Sequential()))
    assert_close_by_size(got, wanted, 1e-5)


def test_damping_takes_longer_to_the_same_solution_and_a_loose_tolerance_stops_sooner() -> None:
    given = problem(GRU(), T)

    @jax.jit
    def run(params: Any, carry: Any, x: Any) -> Any:
        """Outputs of the damped form and of the loop; iterations damped, not damped, and content with less."""
        damped = Newton(form="diagonal", damping=0.1)
        content = Newton(form="diagonal", tolerance=0.1)
        ys = [read(GRU(), s, params, carry, x)[1] for s in (damped, PLAIN)]
        told = (
            newton_report(GRU(), params, x, carry=carry, schedule=s)
            for s in (damped, DIAGONAL, content)
        )
        return ys, [t.iterations for t in told]

    (got, wanted), (slower, plain, sooner) = run(*given)
    assert_close_by_size(got, wanted, 1e-4)
    assert failures() == 0
    assert sooner < plain < slower


@pytest.mark.parametrize(
    ("schedule", "reverse"), [(FULL, False), (DIAGONAL, True)], ids=["full", "diagonal-reverse"]
)
def test_masks_and_resets_are_read_as_the_loop_reads_them(schedule: Newton, reverse: bool) -> None:
    mask, reset = np.ones((B, T), bool), np.zeros((B, T), bool)
    mask[0, 2:4] = mask[1, [0, -1]] = False
    reset[0, 3] = reset[1, [0, -1]] = reset[1, 2] = True
    how: dict[str, Any] = {"mask": mask, "reset": reset, "reverse": reverse}
    given = problem(LSTM(), T)
    got, wanted = (gradients(LSTM(), s, given, **how) for s in (schedule, Sequential()))
    assert_close_by_size(got, wanted, 1e-5)


@both_forms
def test_an_empty_row_returns_exactly_the_carry_it_was_given(schedule: Newton) -> None:
    params, carry, x = problem(LSTM(), T)
    run = jax.jit(partial(read, LSTM(), schedule))
    final, y = run(params, carry, x, lengths=np.array([T, 0]))
    jax.tree.map(lambda f, c: np.testing.assert_array_equal(f[1], c[1]), final, carry)
    assert not y[1].any()
    assert y[0].any()


def failing(fallback: Any, form: Any = "full") -> Newton:
    return Newton(form=form, max_iterations=2, fallback=fallback)


def test_a_chaotic_network_fails_as_nan_with_a_warning_and_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    given = problem(Elman(), CHAOTIC, gain=10.0)
    with caplog.at_level(logging.WARNING, LOGGER):
        final, y = jax.jit(partial(read, Elman(), failing("nan")))(*given)
        assert failures() == 1
    assert np.isnan(y).all()
    assert np.isnan(final.h).all()
    (record,) = caplog.records
    message = record.getMessage()
    assert message.startswith("Elman: states of 20 steps: not found in 2 iterations")
    forget_failures()
    assert failures() == 0


def test_a_report_of_failure_is_returned_and_not_told() -> None:
    params, _, x = problem(Elman(), CHAOTIC, gain=10.0)
    run = jax.jit(partial(newton_report, Elman(), schedule=failing("nan")))
    told = run(params, x)
    assert not told.converged
    assert told.iterations == 2
    assert told.residual > 0.1
    assert failures() == 0


# With its full Jacobians the adjoint is solved at once; by diagonals it fails as the states do.
@pytest.mark.parametrize(
    ("cell", "gain", "form", "told"),
    [(Elman(), 10.0, "full", 1), (Elman(activation="linear"), 1.0, "diagonal", 2)],
    ids=["full", "diagonal"],
)
def test_asked_to_fall_back_it_is_the_loop_and_still_counted(
    cell: Cell, gain: float, form: str, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    given = problem(cell, CHAOTIC, gain)
    got = gradients(cell, failing("sequential", form), given)
    assert failures() == len(caplog.records) == told
    assert_close_by_size(got, gradients(cell, Sequential(), given), 1e-4)


def test_a_gradient_that_is_not_found_is_nan() -> None:
    # Linear, so one correction by diagonals finds neither: the weights mix the units.
    cell = Elman(activation="linear")
    given = problem(cell, T)
    _, (d_params, *_) = gradients(cell, Newton(form="diagonal", max_iterations=1), given)
    assert all(np.isnan(leaf).all() for leaf in d_params)
    assert failures() == 2


def test_under_vmap_the_one_that_fails_is_told_and_the_other_is_right() -> None:
    calm, carry, x = problem(Elman(), CHAOTIC, gain=0.1)
    wild, *_ = problem(Elman(), CHAOTIC, gain=10.0)
    both = jax.tree.map(lambda *leaves: np.stack(leaves), calm, wild)
    schedule = Newton(max_iterations=6)
    _, y = jax.jit(jax.vmap(lambda p: read(Elman(), schedule, p, carry, x)))(both)
    assert failures() == 1
    assert np.isnan(y[1]).all()
    assert_close_by_size(y[0], read(Elman(), PLAIN, calm, carry, x)[1], 1e-5)


def everywhere(jaxpr: Jaxpr) -> list[Any]:
    """All equations, nested ones included."""
    inner = (part for e in jaxpr.eqns for part in jaxprs_in_params(e.params))
    return [*jaxpr.eqns, *(e for part in inner for e in everywhere(part))]


def program(schedule: Schedule, steps: int) -> list[Any]:
    given = problem(LSTM(), steps)
    run = jax.make_jaxpr(lambda *given: gradients(LSTM(), schedule, given))
    return everywhere(run(*given).jaxpr)


def scans(equations: list[Any]) -> set[int]:
    return {e.params["length"] for e in equations if e.primitive.name == "scan"}


def test_no_loop_runs_over_the_steps() -> None:
    steps, numbers = 64, 2 * H
    assert steps in scans(program(Sequential(), steps))
    assert not scans(program(FULL, steps))
    # The diagonal is read column by column, and there are as many columns as numbers in a carry.
    assert scans(program(DIAGONAL, steps)) == {numbers}
    # Four times the steps are two more rounds in each of the solves, forward and back, and not four times as much.
    few, many = (len(program(FULL, s)) for s in (64, 256))
    assert many < 1.5 * few


def test_without_a_logger_the_program_makes_no_call_to_its_host() -> None:
    def calls(schedule: Schedule) -> int:
        return sum(e.primitive.name == "debug_callback" for e in program(schedule, T))

    assert calls(FULL)
    assert not calls(Newton(logger=""))


@pytest.mark.parametrize(
    "schedule", [pytest.param(FULL, marks=pytest.mark.variant), DIAGONAL], ids=name
)
def test_second_derivatives_under_jit_and_vmap_are_those_of_the_plain_loop(
    schedule: Newton,
) -> None:
    with jax.enable_x64(True):
        params, carry, x = jax.tree.map(np.float64, problem(Elman(), T))
        xs = np.stack([x, draw(x, 4)])

        def second(schedule: Schedule) -> Any:
            def loss(params: Any, x: Array) -> Array:
                out = read(Elman(), schedule, params, carry, x)
                return sum((jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(out)), jnp.zeros(()))

            def slope(params: Any, x: Array) -> Array:
                first = jax.grad(loss, (0, 1))(params, x)
                return sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(first)), jnp.zeros(()))

            return jax.grad(slope, (0, 1))

        got = jax.jit(jax.vmap(second(schedule), (None, 0)))(params, xs)
        wanted = jax.jit(jax.vmap(second(PLAIN), (None, 0)))(params, xs)
        assert_close_by_size(got, wanted, 1e-9)


def test_a_batch_split_over_two_devices_is_the_batch_kept_whole() -> None:
    params, _, x = problem(GRU(), T)
    mesh = Mesh(np.array(jax.devices()), ("batch",))
    whole, rows = PartitionSpec(), PartitionSpec("batch")

    def run(params: Any, x: Array) -> Any:
        y, pull = jax.vjp(lambda x: unroll(GRU(), params, x, schedule=FULL)[1], x)
        return y, pull(y)

    split = jax.shard_map(run, mesh=mesh, in_specs=(whole, rows), out_specs=rows)
    assert_close_by_size(jax.jit(split)(params, x), jax.jit(run)(params, x), 1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"form": "half"}, "form: 'half': give"),
        ({"fallback": "none"}, "fallback: 'none': give"),
        ({"damping": 0.1}, "damping: 0.1 with form=full: give"),
        ({"damping": -1.0, "form": "diagonal"}, "damping: -1 with form=diagonal: give"),
        ({"max_iterations": 0}, "max-iterations: 0: give"),
        ({"tolerance": -1e-3}, "tolerance: -0.001: give"),
    ],
)
def test_settings_that_mean_nothing_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Newton(**fields)
