"""All steps of a nonlinear cell at once: Newton's method on the whole sequence.

The carries s_1 ... s_T of a reading are the solution of T equations, s_t = f_t(s_{t-1}). From a guess of all
of them, each iteration linearises every step where the guess stands and solves for the correction,

    δ_t = J_t δ_{t-1} + f_t(s_{t-1}) - s_t,      s ← s + δ,      J_t = ∂f_t/∂s_{t-1}

a linear recurrence, so it takes about 2 log2 T rounds of work that is parallel over time (`linear.py`). It is
done when the residual f_t(s_{t-1}) - s_t has vanished.

- `form="full"`: J_t is the n x n Jacobian, and convergence near the solution is quadratic. Y. H. Lim,
  Q. Zhu, J. Selfridge and M. F. Kasim, "Parallelizing non-linear sequential models over the sequence
  length" (2024), who call it DEER. Memory T B n², work T B n³ in an iteration: n is all numbers of a row's carry.
- `form="diagonal"`: only the diagonal of J_t is kept, and convergence is linear. X. Gonzalez, A. Warrington,
  J. T. H. Smith and S. W. Linderman, "Towards scalable and stable parallelization of nonlinear RNNs"
  (2024), who call it quasi-DEER. Memory T B n. The diagonal is read off n columns of J_t, one after another.
- `damping` λ above 0: the diagonal form takes the step of Levenberg and Marquardt, which keeps s near where
  it was linearised; the same paper's quasi-ELK.

Each iteration makes at least one more step of every row exact, so T iterations without damping suffice
whatever the cell (Gonzalez et al. 2024). Whether few do depends on the cell: where nearby states come
together, their number hardly grows with T; where they part, as in a chaotic network, nothing is gained.
F. Danieli et al., "ParaRNN" (2025), train large cells this way, made so that J_t is block diagonal; here cells
are as their papers have them.

The gradient is that of the solution and not of the iterations (implicit function theorem). Its
adjoint recurrence is linear, with the same matrices transposed,

    λ_t = J_{t+1}ᵀ λ_{t+1} + dL/ds_t

In the full form it is solved at once; in the diagonal form by the same iteration with the diagonal, undamped.
All parameters get their gradient afterwards, from all steps together. The derivative of the adjoint is
again such a solution, so second derivatives exist; forward mode does not.

Differs from the papers in solving for the correction where they solve for s itself: equal but for rounding,
and errors of the linear solver are then mended by the next iteration. Where a correction is not finite the
guess is put back, as Gonzalez et al. put zero. λ is constant over the iterations, so the more damped, the
slower the end.

**Failure.** If the residual is not small after `max_iterations`, outputs and final carry are NaN, for all rows,
so that training stops; or, if asked for, the loop is run. Gradients likewise. Either way a warning goes to a
logger, and `failures` counts it. That takes a call from the compiled program to its host, made only then,
which `jax.export` cannot serialise: `logger=""` leaves it out. Under `vmap` a choice becomes a selection:
then the fallback's loop always runs, and so does the call, which keeps quiet if there is nothing to tell.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_lab.cells.base import Carry, Cell, Params
from lstm_lab.errors import UsageError
from lstm_lab.unroll.base import Schedule, Steps
from lstm_lab.unroll.equations import Given, System, pose
from lstm_lab.unroll.linear import damped_prefixes, prefixes
from lstm_lab.unroll.run import arguments


class Report(NamedTuple):
    """How an iteration ended: how many there were, the relative residual left, and whether it is small."""

    iterations: Array
    residual: Array
    converged: Array


@dataclass(frozen=True)
class Newton(Schedule):
    """Newton's method over all steps at once, for any cell.

    Attributes:
        form: `"full"` Jacobians, or their `"diagonal"`: more iterations, less memory and work in each.
        damping: λ of the Levenberg-Marquardt step in the diagonal form; 0 for none.
        max_iterations: corrections before it counts as failed, forward and in the gradient.
        tolerance: the residual that counts as small, relative to the greatest state (to 1 if that is less)
            and to the greatest adjoint; 0 for ε^(3/4) with ε of the dtype: 6e-6 and 2e-12.
        fallback: what a failed call returns: `"nan"`, or what the `"sequential"` loop computes.
        logger: the name of the logger told of failures; empty for none, and then none is counted.

    Raises:
        UsageError: a number is out of range, or damping is asked of the full form.
    """

    form: Literal["full", "diagonal"] = "full"
    damping: float = 0.0
    max_iterations: int = 100
    tolerance: float = 0.0
    fallback: Literal["nan", "sequential"] = "nan"
    logger: str = __name__

    def __post_init__(self) -> None:
        if self.form not in ("full", "diagonal"):
            raise UsageError(f"form: {self.form!r}: give 'full' or 'diagonal'")
        if self.fallback not in ("nan", "sequential"):
            raise UsageError(f"fallback: {self.fallback!r}: give 'nan' or 'sequential'")
        if self.damping < 0 or (self.damping and self.form == "full"):
            raise UsageError(
                f"damping: {self.damping:g} with form={self.form}: "
                "give 0, or a number above 0 with form=diagonal"
            )
        if self.max_iterations < 1:
            raise UsageError(f"max-iterations: {self.max_iterations}: give at least 1")
        if not 0 <= self.tolerance < 1:
            raise UsageError(
                f"tolerance: {self.tolerance:g}: give a relative residual below 1, or 0 for the dtype's"
            )

    def run(
        self, cell: Cell, params: Params, carry: Carry, start: Carry, steps: Steps, reverse: bool
    ) -> tuple[Carry, Array]:
        system, given = pose(cell, params, carry, start, steps, reverse)
        s, report = _solve(self, system, lax.stop_gradient(given))
        s = _implicit(self, system, given, s)
        # Once more through every step, which is where ordinary derivatives begin.
        after, y = system.advance(given, s)
        if self.fallback == "nan":
            # The first output reads the carry given, which no failure reaches.
            y = y + jnp.where(report.converged, 0.0, jnp.nan).astype(y.dtype)
        return system.carry(after[-1]), y[::-1] if reverse else y


def newton_report(
    cell: Cell, params: Params, x: Array, *, schedule: Newton = Newton(), **how: Any
) -> Report:
    """Say how the iteration over a batch goes, without its results; works under `jax.jit` and logs nothing.

    Args:
        cell: the step.
        params: the cell's parameters, as `cell.init` draws them.
        x: inputs `[B, T, D]`.
        schedule: the iteration.
        **how: `carry`, `mask`, `lengths`, `reset`, `reverse` and `key`, as in `unroll`.

    Returns:
        Iterations, relative residual and whether it converged, each a scalar array.

    Raises:
        UsageError: as `unroll`.
    """
    reverse = how.pop("reverse", False)
    system, given = pose(cell, *arguments(cell, params, x, reverse=reverse, **how), reverse)
    return _solve(replace(schedule, logger=""), system, given)[1]


_failed = 0
_counting = threading.Lock()


def failures() -> int:
    """Count the iterations that failed in this process and were told of, forward and in gradients."""
    jax.effects_barrier()
    return _failed


def forget_failures() -> None:
    """Count from zero again."""
    global _failed
    jax.effects_barrier()
    with _counting:
        _failed = 0


def _iterate(
    newton: Newton,
    residual: Callable[[Array], Array],
    correction: Callable[[Array, Array], Array],
    guess: Array,
    scale: float,
) -> tuple[Array, Report]:
    """Correct a guess until its residual is small, relative to its greatest value or to `scale`."""
    tolerance = newton.tolerance or float(jnp.finfo(guess.dtype).eps) ** 0.75

    def measured(x: Array) -> tuple[Array, Array, Array]:
        r = residual(x)
        size = jnp.maximum(jnp.max(jnp.abs(x)), jnp.array(scale, x.dtype))
        return x, r, jnp.max(jnp.abs(r)) / size

    def unfinished(state: Any) -> Array:
        i, (_, _, left) = state
        # Not `left > tolerance`: a NaN is not small.
        return (i < newton.max_iterations) & ~(left <= tolerance)

    def improve(state: Any) -> Any:
        i, (x, r, _) = state
        x = x + correction(x, r)
        return i + 1, measured(jnp.where(jnp.isfinite(x), x, guess))

    i, (x, _, left) = lax.while_loop(unfinished, improve, (jnp.int32(0), measured(guess)))
    return x, Report(i, left, left <= tolerance)


def _solve(newton: Newton, system: System, given: Given) -> tuple[Array, Report]:
    """Find s `[T, B, n]`. The guess is the carry given: right from the start for a row of length zero."""

    def correction(s: Array, r: Array) -> Array:
        J = system.jacobians(given, s, newton.form)
        return damped_prefixes(J, r, newton.damping) if newton.damping else prefixes(J, r)

    def loop() -> Array:
        def step(before: Array, steps: Any) -> tuple[Array, Array]:
            after, _ = system.step(given._replace(**steps), before)
            return after, after

        return lax.scan(step, given.carry, given.per_step())[1]

    guess = jnp.broadcast_to(given.carry, (len(given.z), *given.carry.shape))
    s, report = _iterate(
        newton, lambda s: system.advance(given, s)[0] - s, correction, guess, scale=1.0
    )
    return _settled(newton, system.cell, "states", s, report, loop), report


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _implicit(newton: Newton, system: System, given: Given, s: Array) -> Array:
    """Return the solution s unchanged; its derivative is that of the equations it solves."""
    del newton, system, given
    return s


def _implicit_fwd(newton: Newton, system: System, given: Given, s: Array) -> Any:
    # What is kept depends on the parameters too, which second derivatives must see.
    s = _implicit(newton, system, given, s)
    return s, (given, s)


def _implicit_bwd(newton: Newton, system: System, kept: Any, ds: Array) -> tuple[Given, None]:
    given, s = kept
    adjoint = _linear(newton, system, True, given, s, ds)
    _, pull = _vjp(lambda given: system.advance(given, s)[0], given)
    return pull(adjoint)[0], None


_implicit.defvjp(_implicit_fwd, _implicit_bwd)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _linear(
    newton: Newton, system: System, adjoint: bool, given: Given, s: Array, b: Array
) -> Array:
    """Solve x_t = J_t x_{t-1} + b_t for all steps, or its adjoint x_t = J_{t+1}ᵀ x_{t+1} + b_t."""
    J = system.jacobians(given, s, newton.form)
    if adjoint:
        # Step t hears of step t + 1, and the last of none.
        J = jnp.concatenate([J[1:], jnp.zeros_like(J[:1])])
        J = jnp.swapaxes(J, -1, -2) if newton.form == "full" else J
    x, report = _iterate(
        newton,
        lambda x: b + _product(system, adjoint, given, s, x) - x,
        lambda _, r: prefixes(J, r, reverse=adjoint),
        guess=b,
        scale=float(jnp.finfo(b.dtype).tiny),
    )

    def loop(b: Array) -> Array:
        def step(heard: Array, now: Any) -> tuple[Array, Array]:
            b, before, steps = now
            x = heard + b
            one = given._replace(**steps)
            return jax.vjp(lambda v: system.step(one, v)[0], before)[1](x)[0], x

        steps = (b, system.before(given, s), given.per_step())
        return lax.scan(step, jnp.zeros_like(b[0]), steps, reverse=True)[1]

    def looped() -> Array:
        return loop(b) if adjoint else jax.linear_transpose(loop, b)(b)[0]

    return _settled(newton, system.cell, "gradient", x, report, looped)


def _product(system: System, adjoint: bool, given: Given, s: Array, x: Array) -> Array:
    """J_t x_{t-1} for all steps, or J_{t+1}ᵀ x_{t+1}."""

    def advance(s: Array) -> Array:
        return system.advance(given, s)[0]

    return jax.vjp(advance, s)[1](x)[0] if adjoint else jax.jvp(advance, (s,), (x,))[1]


def _linear_fwd(
    newton: Newton, system: System, adjoint: bool, given: Given, s: Array, b: Array
) -> Any:
    x = _linear(newton, system, adjoint, given, s, b)
    return x, (given, s, x)


def _linear_bwd(
    newton: Newton, system: System, adjoint: bool, kept: Any, dx: Array
) -> tuple[Given, Array, Array]:
    given, s, x = kept
    db = _linear(newton, system, not adjoint, given, s, dx)
    _, pull = _vjp(lambda given, s: _product(system, adjoint, given, s, x), given, s)
    return (*pull(db), db)


_linear.defvjp(_linear_fwd, _linear_bwd)


def _vjp(function: Callable[..., Array], given: Given, *arrays: Array) -> Any:
    """As `jax.vjp`, of what the equations hold but its booleans."""

    def of(numbers: Given, *arrays: Array) -> Array:
        return function(numbers._replace(mask=given.mask, restart=given.restart), *arrays)

    return jax.vjp(of, given._replace(mask=None, restart=None), *arrays)


def _settled(
    newton: Newton, cell: Cell, what: str, x: Array, report: Report, loop: Callable[[], Array]
) -> Array:
    """Return x if it is the solution; if not, say so and return what was asked for."""
    if newton.logger:
        tell = partial(_tell, newton.logger, f"{type(cell).__name__}: {what} of {len(x)} steps")
        lax.cond(report.converged, lambda: None, lambda: jax.debug.callback(tell, *report))
    if newton.fallback == "nan":
        return jnp.where(report.converged, x, jnp.full_like(x, jnp.nan))
    return lax.cond(report.converged, lambda: x, loop)


def _tell(logger: str, what: str, iterations: Any, residual: Any, converged: Any) -> None:
    """Count and log one failure."""
    global _failed
    # Under `vmap` the call is made for all, also where nothing failed.
    if converged:
        return
    with _counting:
        _failed += 1
    logging.getLogger(logger).warning(
        "%s: not found in %d iterations, relative residual %.3g", what, iterations, residual
    )
