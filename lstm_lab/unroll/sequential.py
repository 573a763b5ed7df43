"""The sequential schedule: one `lax.scan`, and the one derivative that serves every cell.

Left to itself, reverse-mode differentiation of a scan accumulates every weight gradient inside the
backward loop: T small products and a carried `[H, G]` sum. Here the backward loop carries the adjoint of the
*carry* alone,

    (λ_{t-1}, dz_t, dr_t) = (∂gates/∂(carry, z, r))ᵀ (λ_t, dy_t),      λ_{t-1} += (∂recur/∂carry)ᵀ dr_t

and emits dz and dr. The parameters get their gradient afterwards from all steps at once: `project` and
`recur` are affine, so one product `[D, T·B] × [T·B, G]` and one `[H, T·B] × [T·B, R]` finish the work, and
`gates` is differentiated for all steps together when its equations hold parameters of their own. The
adjoint method is Pontryagin's; for recurrent nets see P. J. Werbos, "Backpropagation through time" (1990),
section II. The derivative of `gates` comes from `jax.vjp`: no cell writes one.

On a CPU the input is projected within the forward loop where that is faster: an input of few features, or a
reading that will not be differentiated and whose weights stay in a core's cache. There z need not be written for
all steps and read again, which takes longer than computing it. There too the backward loop reads weights that were
transposed before it.

With `remat`, time is cut into chunks and only the carry between chunks is kept; each chunk's inner
quantities are computed again when its gradient is due (T. Chen et al., "Training deep nets with sublinear
memory cost", 2016). Chunks of about √T steps need the least memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_lab.cells.base import Carry, Cell, Params
from lstm_lab.errors import UsageError
from lstm_lab.unroll.base import Schedule, Steps, over
from lstm_lab.unroll.turned import turned


@dataclass(frozen=True)
class Sequential(Schedule):
    """Step after step in one compiled loop.

    Attributes:
        unroll: steps per iteration of the compiled loop; more compiles longer and may run faster.
        remat: steps per rematerialised chunk; 0 keeps every step's quantities for the gradient.
        adjoint: use this module's derivative; False leaves it to JAX, which forward-mode
            differentiation (`jax.jvp`, `jax.jacfwd`) needs.

    Raises:
        UsageError: `unroll` is below 1 or `remat` below 0.
    """

    unroll: int = 1
    remat: int = 0
    adjoint: bool = True

    def __post_init__(self) -> None:
        if self.unroll < 1:
            raise UsageError(f"unroll: {self.unroll}: give at least 1 step per iteration")
        if self.remat < 0:
            raise UsageError(f"remat: {self.remat}: give a chunk length in steps, or 0 for none")

    def run(
        self, cell: Cell, params: Params, carry: Carry, start: Carry, steps: Steps, reverse: bool
    ) -> tuple[Carry, Array]:
        run = _with_adjoint if self.adjoint else _plain
        chunk = partial(run, _Loop(cell, self.unroll, reverse, self.adjoint))
        if not 0 < self.remat < len(steps.x):
            return chunk(params, carry, start, steps)

        def body(carry: Carry, steps: Steps) -> tuple[Carry, Array]:
            return jax.checkpoint(chunk)(params, carry, start, steps)

        final, y = lax.scan(body, carry, _chunks(steps, self.remat), reverse=reverse)
        return final, y.reshape(-1, *y.shape[2:])[: len(steps.x)]


def _chunks(steps: Steps, size: int) -> Steps:
    """Cut `[T, ...]` into `[ceil(T / size), size, ...]`, filling the last chunk with masked steps."""
    T, B = steps.x.shape[:2]
    missing = -T % size
    if missing and steps.mask is None:
        steps = steps._replace(mask=jnp.ones((T, B), bool))

    def cut(a: Array) -> Array:
        padded = jnp.pad(a, [(0, missing)] + [(0, 0)] * (a.ndim - 1))
        return padded.reshape(-1, size, *a.shape[1:])

    return jax.tree.map(cut, steps)


@dataclass(frozen=True)
class _Loop:
    """The static part of one loop: equal loops share one compiled program."""

    cell: Cell
    unroll: int
    reverse: bool
    adjoint: bool

    def scan(self, step: Any, init: Any, inputs: Any, reverse: bool) -> tuple[Any, Any]:
        return lax.scan(step, init, inputs, reverse=reverse, unroll=self.unroll)


def _hold(mask: Array | None, new: Any, old: Any) -> Any:
    """Take `new` where a step counts, `old` where it is masked or restarts; leaves `[B, ...]`."""
    if mask is None:
        return new
    return jax.tree.map(lambda n, o: jnp.where(over(mask, n), n, o), new, old)


def _zeros(tree: Any) -> Any:
    return jax.tree.map(jnp.zeros_like, tree)


class _Kept(NamedTuple):
    """What the gradient needs of every step: the carry before it, and what `gates` read, `[T, B, ...]`.

    Where `gates` reads z and r as their sum alone, `r` holds the sum. There, and where z is computed again from
    the input, `z` is None.
    """

    before: Carry
    z: Array | None
    r: Array


def _forward(
    loop: _Loop, params: Params, carry: Carry, start: Carry, steps: Steps, keep: bool
) -> tuple[Carry, Array, Any]:
    """Run the loop; with `keep`, also return what its gradient needs."""
    cell = loop.cell
    # JAX's own derivative would sum the input weights' gradient step by step.
    within = loop.adjoint and _project_within(cell, params, steps.x, keep)
    x, z = (steps.x, None) if within else (None, cell.project(params, steps.x))
    summed = keep and uses(cell, params, carry, steps.x[0]).summed

    def step(carry: Carry, inputs: Any) -> tuple[Carry, Any]:
        x, z, mask, restart = inputs
        z = cell.project(params, x) if within else z
        before = carry if restart is None else _hold(restart, start, carry)
        r = cell.recur(params, before)
        after, y = cell.gates(params, before, z, r)
        after, y = _hold(mask, (after, y), (before, jnp.zeros_like(y)))
        return after, (y, (before, z + r if summed else r) if keep else None)

    final, (y, kept) = loop.scan(step, carry, (x, z, steps.mask, steps.restart), loop.reverse)
    if not keep:
        return final, y, None
    before, r = kept
    return final, y, _Kept(before, None if summed else z, r)


# Features of an input that a differentiated reading projects within its loop; bytes of weights that a plain one does.
_FEW_FEATURES = 16
_CACHED_BYTES = 2**20


def _project_within(cell: Cell, params: Params, x: Array, keep: bool) -> bool:
    """Whether to project `x [T, B, D]` step by step, by what was measured on a CPU; elsewhere all at once."""
    if jax.default_backend() != "cpu":
        return False
    features = x.shape[-1]
    if keep:
        return features <= _FEW_FEATURES
    # Few rows make poor products: those are better off all at once.
    z = jax.eval_shape(cell.project, params, x[0])
    weights = features * z.shape[-1] * z.dtype.itemsize
    return x.shape[1] >= _FEW_FEATURES and weights <= _CACHED_BYTES


def _recur_adjoint(cell: Cell, params: Params) -> Callable[[Carry, Array], Carry]:
    """The adjoint of `cell.recur` by the carry, for a loop.

    It multiplies by transposed weights, and a CPU takes twice as long where they do not lie so. They are laid
    down so once, before the loop.
    """

    def transpose(weights: Params) -> Params:
        return jax.tree.map(lambda w: w.T if w.ndim == 2 else w, weights)

    # Without the barrier the compiler would see two transposes in a row and undo both.
    laid = jax.tree.map(lax.optimization_barrier, transpose(params))

    def adjoint(before: Carry, dr: Array) -> Carry:
        # Of a single row, XLA would transpose the weights back at every step.
        turns = jax.default_backend() == "cpu" and len(dr) > 1
        recur = partial(cell.recur, transpose(laid) if turns else params)
        return jax.vjp(recur, before)[1](dr)[0]

    return adjoint


def _plain(
    loop: _Loop, params: Params, carry: Carry, start: Carry, steps: Steps
) -> tuple[Carry, Array]:
    final, y, _ = _forward(loop, params, carry, start, steps, keep=False)
    return final, y


_with_adjoint = jax.custom_vjp(_plain, nondiff_argnums=(0,))


def _fwd(
    loop: _Loop, params: Params, carry: Carry, start: Carry, steps: Steps
) -> tuple[tuple[Carry, Array], Any]:
    final, y, kept = _forward(loop, params, carry, start, steps, keep=True)
    return (final, y), (params, start, steps, kept)


def _bwd(loop: _Loop, given: Any, cotangents: tuple[Carry, Array]) -> tuple[Any, Any, Any, Any]:
    params, start, steps, kept = given
    d_final, dy = cotangents
    cell = loop.cell
    own, summed = uses(cell, params, start, steps.x[0])
    recur_adjoint = _recur_adjoint(cell, params)

    def read(params: Params, x: Array, kept: _Kept) -> tuple[Array, Array]:
        """What `gates` read, of one step or all."""
        if summed:
            return kept.r, jnp.zeros_like(kept.r)
        return cell.project(params, x) if kept.z is None else kept.z, kept.r

    def step(adjoint: tuple[Carry, Carry], inputs: Any) -> tuple[tuple[Carry, Carry], Any]:
        d_after, d_start = adjoint
        x, kept, mask, restart, dy = inputs
        held = _zeros(d_after) if mask is None else _hold(mask, _zeros(d_after), d_after)
        d_after, dy = _hold(mask, (d_after, dy), (_zeros(d_after), jnp.zeros_like(dy)))
        _, gates_vjp = jax.vjp(partial(cell.gates, params), kept.before, *read(params, x, kept))
        d_before, dz, dr = gates_vjp((d_after, dy))
        dr = dz if summed else dr
        through = recur_adjoint(kept.before, dr)
        d_before = jax.tree.map(lambda *parts: sum(parts), d_before, through, held)
        if restart is not None:
            taken = _hold(restart, d_before, _zeros(d_before))
            d_start = jax.tree.map(jnp.add, d_start, taken)
            d_before = _hold(restart, _zeros(d_before), d_before)
        # Where gates adds z and r, their adjoints are one array: it is written once.
        return (d_before, d_start), (dz, None if dr is dz else dr, (d_after, dy) if own else None)

    (d_carry, d_start), (dz, dr, d_out) = loop.scan(
        step,
        (d_final, _zeros(start)),
        (steps.x, kept, steps.mask, steps.restart, dy),
        not loop.reverse,
    )
    x, kept, dz, dr, d_out = _all_steps((steps.x, kept, dz, dr, d_out))
    dx = jax.vjp(partial(cell.project, params), x)[1](dz)[0]
    parts = [
        _weight_gradient(lambda p: cell.project(p, x), params, dz),
        _weight_gradient(lambda p: cell.recur(p, kept.before), params, dz if dr is None else dr),
    ]
    if own:
        z, r = read(params, x, kept)
        parts.append(jax.vjp(lambda p: cell.gates(p, kept.before, z, r), params)[1](d_out)[0])
    d_params = jax.tree.map(lambda *leaves: sum(leaves), *parts)
    return d_params, d_carry, d_start, Steps(_step_by_step(dx, *steps.x.shape[:2]), None, None)


_with_adjoint.defvjp(_fwd, _bwd)


def _weight_gradient(read: Callable[[Params], Array], params: Params, adjoint: Array) -> Params:
    """The gradient of `read` by the parameters, its products turned.

    JAX forms dzᵀ x and transposes it. A CPU computes xᵀ dz in half the time, and where the batch is parted over
    devices XLA does not see that the one is the other: it sums over the devices in between.
    """
    return turned(lambda adjoint: jax.vjp(read, params)[1](adjoint)[0])(adjoint)


def _all_steps(tree: Any) -> Any:
    """Make time and batch one axis, `[T, B, ...]` to `[T·B, ...]`.

    XLA's CPU compiler contracts over one axis as it lies; over two it first turns the arrays round, which takes
    longer than the product. Where XLA parts the batch over a mesh, the batch comes first, for it could not part
    the one axis otherwise; that costs a copy, but of whole rows.
    """

    def flat(a: Array) -> Array:
        a = jnp.swapaxes(a, 0, 1) if _parted_by_xla() else a
        return a.reshape(a.shape[0] * a.shape[1], *a.shape[2:])

    return jax.tree.map(flat, tree)


def _step_by_step(a: Array, T: int, B: int) -> Array:
    """Undo `_all_steps`."""
    if _parted_by_xla():
        return jnp.swapaxes(a.reshape(B, T, *a.shape[1:]), 0, 1)
    return a.reshape(T, B, *a.shape[1:])


def _parted_by_xla() -> bool:
    """Whether the mesh in context has axes that no `shard_map` has made its own."""
    mesh = jax.sharding.get_abstract_mesh()
    return any(mesh.shape[name] > 1 for name in (*mesh.auto_axes, *mesh.explicit_axes))


class Uses(NamedTuple):
    """What a cell's `gates` reads.

    Attributes:
        own: whether it reads parameters, as layer norms, peepholes and inner products do.
        summed: whether it reads z and r as z + r and not otherwise.
    """

    own: bool
    summed: bool


def uses(cell: Cell, params: Params, carry: Carry, x: Array) -> Uses:
    """Ask a trace of one step, at a carry with leaves `[B, ...]` and inputs `[B, D]`, what `gates` reads."""
    z = jax.eval_shape(cell.project, params, x)
    r = jax.eval_shape(cell.recur, params, carry)
    jaxpr = jax.make_jaxpr(cell.gates)(params, carry, z, r).jaxpr
    *_, z_in, r_in = jaxpr.invars
    weights = jaxpr.invars[: len(jax.tree.leaves(params))]

    def users(*variables: Any) -> list[Any]:
        return [e for e in jaxpr.eqns if any(v is w for v in e.invars for w in variables)]

    (reader, *others) = users(z_in, r_in) or [None]
    adds = reader is not None and reader.primitive is lax.add_p
    adds = adds and {*map(id, reader.invars)} == {id(z_in), id(r_in)}
    returned = any(v is z_in or v is r_in for v in jaxpr.outvars)
    return Uses(own=bool(users(*weights)), summed=adds and not others and not returned)
