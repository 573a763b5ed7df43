"""The sequential schedule: one `lax.scan`, and the one derivative that serves every cell.

Left to itself, reverse-mode differentiation of a scan accumulates every weight gradient inside the
backward loop: T small products and a carried `[H, G]` sum. Here the backward loop carries the adjoint of the
*carry* alone,

    (λ_{t-1}, dz_t, dr_t) = (∂gates/∂(carry, z, r))ᵀ (λ_t, dy_t),      λ_{t-1} += (∂recur/∂carry)ᵀ dr_t

and emits dz and dr. The parameters get their gradient afterwards from all steps at once: `project` and
`recur` are affine, so a product `[D, T·B] × [T·B, G]` and one `[H, T·B] × [T·B, R]` finish the work, joined into
one where dz is dr (`joined.py`); and `gates` is differentiated for all steps together when its equations hold
parameters of their own. The adjoint method is Pontryagin's; for recurrent nets see P. J. Werbos, "Backpropagation
through time" (1990), section II. The derivative of `gates` comes from `jax.vjp`: no cell writes one
(`derivative.py`).

Memory is what long sequences wait for. So on a CPU there is one array `[T, B, G]`: it holds z first, each step writes
over it what its gradient needs, and on the way back dz is written over that (`in_place.py`). Of a bias, each step adds
its own (`offset.py`): added before the loop, z would be there twice.

On a CPU the input is projected within the forward loop where that is faster: an input of few features, or a
reading that will not be differentiated and whose weights stay in a core's cache. There z need not be written for
all steps and read again, which takes longer than computing it. There too loops read weights as they lie best, which
is seen to once before them, and products of large ones are computed as their transposes (`turned.py`).

With `remat`, time is cut into chunks and only the carry between chunks is kept; each chunk's inner
quantities are computed again when its gradient is due (T. Chen et al., "Training deep nets with sublinear
memory cost", 2016). Chunks of about √T steps need the least memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_lab.cells.base import Carry, Cell, Params
from lstm_lab.errors import UsageError
from lstm_lab.unroll.base import Schedule, Steps, over
from lstm_lab.unroll.derivative import Plan, differentiate, gates, plan
from lstm_lab.unroll.in_place import Step, scan_in_place
from lstm_lab.unroll.joined import joined, true_after
from lstm_lab.unroll.offset import apart
from lstm_lab.unroll.turned import large, turned


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
        run = _with_adjoint if self.adjoint else _forward
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

    def scan(
        self, step: Step, consts: Any, carry: Any, rows: Any, inputs: Any, back: bool = False
    ) -> tuple[Any, Any, Any]:
        """`scan_in_place`, in reading order, or back."""
        reverse = self.reverse is not back
        return scan_in_place(step, consts, carry, rows, inputs, reverse=reverse, unroll=self.unroll)


def _hold(mask: Array | None, new: Any, old: Any) -> Any:
    """Take `new` where a step counts, `old` where it is masked or restarts; leaves `[B, ...]`."""
    if mask is None:
        return new
    return jax.tree.map(lambda n, o: jnp.where(over(mask, n), n, o), new, old)


def _zeros(tree: Any) -> Any:
    return jax.tree.map(jnp.zeros_like, tree)


class _Kept(NamedTuple):
    """What the gradient needs of every step: the carry before it, `[T, B, ...]`, and the numbers of `Plan.lay`."""

    before: Carry
    place: Array | None
    rest: list[Array]


def _forward(
    loop: _Loop, params: Params, carry: Carry, start: Carry, steps: Steps
) -> tuple[Carry, Array]:
    """Run the loop and keep nothing."""
    cell = loop.cell
    # JAX's own derivative would sum the input weights' gradient step by step.
    within = loop.adjoint and _read_alone_projects_within(cell, params, steps.x)
    given, offset = (steps.x, None) if within else _project(loop, params, steps.x)
    # Where gates takes z apart, XLA fuses into each use its fetching, or that of the few features it is made of, and a
    # CPU then computes number by number.
    ahead = not plan(cell, params, carry, steps.x[0]).summed
    rows, beside = (given, None) if ahead else (None, given)
    weights = _Weights(loop, steps.x.shape[1])

    def step(consts: Any, carry: Carry, row: Any, inputs: Any) -> tuple[Carry, Any, Array]:
        params, laid, start, offset = consts
        beside, mask, restart = inputs
        given = row if beside is None else beside
        z = weights.apply(cell.project, laid, given) if within else _add(given, offset)
        before = carry if restart is None else _hold(restart, start, carry)
        after, y = cell.gates(params, before, z, weights.apply(cell.recur, laid, before))
        after, y = _hold(mask, (after, y), (before, jnp.zeros_like(y)))
        return after, row, y

    inputs = (beside, steps.mask, steps.restart)
    consts = (params, weights.lay(params), start, offset)
    final, _, y = loop.scan(step, consts, carry, rows, inputs)
    return final, y


def _forward_keeping(
    loop: _Loop, how: Plan, params: Params, carry: Carry, start: Carry, steps: Steps
) -> tuple[Carry, Array, _Kept]:
    """Run the loop, and keep what its gradient needs: in the place of z, if it fits there."""
    cell = loop.cell
    within = jax.default_backend() == "cpu" and steps.x.shape[-1] <= _FEW_FEATURES
    x = steps.x if within else None
    # Where z stays in its place, whatever is added to it within the loop must be written there.
    z, offset = (None, None) if within else _project(loop, params, steps.x, whole=how.stays)
    rows, beside = (z, None) if how.placed else (None, z)
    # An output that is a leaf of the carry is written down as what the next step finds; unless that begins anew.
    leaf = how.output if steps.restart is None else None
    weights = _Weights(loop, steps.x.shape[1])

    def step(consts: Any, carry: Carry, row: Any, inputs: Any) -> tuple[Any, Any, Any]:
        params, laid, start, offset = consts
        x, z, mask, restart = inputs
        z = cell.project(params, x) if within else _add(row if z is None else z, offset)
        before = carry if restart is None else _hold(restart, start, carry)
        r = weights.apply(cell.recur, laid, before)
        done = differentiate(cell, how, params, before, z, r)
        place, rest = how.lay(done.numbers)
        after, y = _hold(mask, (done.after, done.y), (before, jnp.zeros_like(done.y)))
        return after, place, (y if leaf is None else None, before, rest)

    inputs = (x, beside, steps.mask, steps.restart)
    consts = (params, weights.lay(params), start, offset)
    final, place, (y, before, rest) = loop.scan(step, consts, carry, rows, inputs)
    if leaf is not None:
        earlier, last = jax.tree.leaves(before)[leaf], jax.tree.leaves(final)[leaf][None]
        y = jnp.concatenate([last, earlier[:-1]] if loop.reverse else [earlier[1:], last])
        y = _hold(steps.mask, y, jnp.zeros_like(y))
    return final, y, _Kept(before, place, rest)


def _project(
    loop: _Loop, params: Params, x: Array, whole: bool = False
) -> tuple[Array, Array | None]:
    """z of all steps, `[T, B, G]`, and what each step has yet to add to its own, `[G]` or None."""
    project = partial(loop.cell.project, params)
    # JAX's own derivative would sum the gradient of what is added step by step.
    if whole or not loop.adjoint or jax.default_backend() != "cpu":
        return project(x), None
    return apart(project, x)


def _add(z: Array, offset: Array | None) -> Array:
    return z if offset is None else z + offset


# Features of an input that are projected sooner than z is written for all steps and read again.
_FEW_FEATURES = 16
# Bytes of input weights that a core's cache holds beside the rest; fewer rows than these make poor products.
_CACHED_BYTES = 2**20
_FEW_ROWS = 16


def _read_alone_projects_within(cell: Cell, params: Params, x: Array) -> bool:
    """Whether a reading that keeps nothing projects `x [T, B, D]` step by step, by what was measured on a CPU."""
    if jax.default_backend() != "cpu":
        return False
    z = jax.eval_shape(cell.project, params, x[0])
    weights = x.shape[-1] * z.shape[-1] * z.dtype.itemsize
    return x.shape[1] >= _FEW_ROWS and weights <= _CACHED_BYTES


@dataclass(frozen=True)
class _Weights:
    """How a loop multiplies by weights on a CPU: each as it lies best for that, which is seen to once before it.

    Of large ones the products are turned, and ask for `x @ W` that Wᵀ lies there (`turned.py`); of others that loop
    back asks for `d @ Wᵀ` that Wᵀ does, by weights that lie otherwise a CPU takes twice as long to multiply.

    Attributes:
        loop: whose these are.
        batch: its rows, B.
        back: whether it goes back.
    """

    loop: _Loop
    batch: int
    back: bool = False

    def lay(self, params: Params) -> Params:
        """Put them as they lie best, leaves `[K, N]` or `[N, K]`."""
        # Without the barrier the compiler would see two transposes in a row and undo both.
        return self._transposed(params, lax.optimization_barrier)

    def apply(self, f: Callable[[Params, Any], Array], laid: Params, read: Any) -> Array:
        """`f(params, read)`, of weights that were laid."""
        params = self._transposed(laid)
        return turned(f, params, _parts(self.batch))(read) if self._chosen else f(params, read)

    @property
    def _chosen(self) -> bool:
        return self.loop.adjoint and jax.default_backend() == "cpu"

    def _transposed(self, params: Params, then: Callable[[Array], Array] = lambda w: w) -> Params:
        return jax.tree.map(lambda w: then(w.T) if self._lies_transposed(w) else w, params)

    def _lies_transposed(self, w: Array) -> bool:
        # Of a single row, XLA would transpose them back at every step.
        if not self._chosen or self.batch == 1:
            return False
        return w.ndim == 2 and large(w, self.batch // _parts(self.batch)) is not self.back


_with_adjoint = jax.custom_vjp(_forward, nondiff_argnums=(0,))


def _fwd(
    loop: _Loop, params: Params, carry: Carry, start: Carry, steps: Steps
) -> tuple[tuple[Carry, Array], Any]:
    how = plan(loop.cell, params, carry, steps.x[0])
    final, y, kept = _forward_keeping(loop, how, params, carry, start, steps)
    return (final, y), (how, params, start, steps, kept)


def _bwd(loop: _Loop, given: Any, cotangents: tuple[Carry, Array]) -> tuple[Any, Any, Any, Any]:
    how, params, start, steps, kept = given
    d_final, dy = cotangents
    cell = loop.cell
    weights = _Weights(loop, steps.x.shape[1], back=True)
    # Where the parameters' own part of gates' derivative is yet to come, what was read must stay.
    rows, beside = (None, kept.place) if how.own else (kept.place, None)

    def step(consts: Any, adjoint: Any, row: Any, inputs: Any) -> tuple[Any, Any, Any]:
        params, laid = consts
        d_after, d_start = adjoint
        before, beside, rest, mask, restart, dy = inputs
        held = _zeros(d_after) if mask is None else _hold(mask, _zeros(d_after), d_after)
        d_after, dy = _hold(mask, (d_after, dy), (_zeros(d_after), jnp.zeros_like(dy)))
        # Done again for the form of its derivative alone: the numbers are those that were kept.
        done = differentiate(cell, how, params, before, *_zeros((how.z, how.r)))
        numbers = how.take(row if beside is None else beside, rest)
        d_before, dz, dr = done.pull(numbers)((d_after, dy))

        def pulled(params: Params, dr: Array) -> Carry:
            return jax.vjp(partial(cell.recur, params), before)[1](dr)[0]

        through = weights.apply(pulled, laid, dr)
        d_before = jax.tree.map(lambda *parts: sum(parts), d_before, through, held)
        if restart is not None:
            taken = _hold(restart, d_before, _zeros(d_before))
            d_start = jax.tree.map(jnp.add, d_start, taken)
            d_before = _hold(restart, _zeros(d_before), d_before)
        # Where gates adds z and r, their adjoints are one array: it is written once.
        apart = None if dr is dz else dr
        return (d_before, d_start), dz, (apart, (d_after, dy) if how.own else None)

    (d_carry, d_start), dz, (dr, d_out) = loop.scan(
        step,
        (params, weights.lay(params)),
        (d_final, _zeros(start)),
        rows,
        (kept.before, beside, kept.rest, steps.mask, steps.restart, dy),
        back=True,
    )
    x, kept, dz, dr, d_out = _all_steps((steps.x, kept, dz, dr, d_out))
    dx = jax.vjp(partial(cell.project, params), x)[1](dz)[0]
    d_params = _weight_gradient(cell, params, x, kept.before, dz, dr)
    if how.own:
        read = how.take(kept.place, kept.rest)
        own = jax.vjp(lambda p: gates(cell, p, kept.before, *read), params)[1](d_out)[0]
        d_params = jax.tree.map(jnp.add, d_params, own)
    return d_params, d_carry, d_start, Steps(_step_by_step(dx, *steps.x.shape[:2]), None, None)


_with_adjoint.defvjp(_fwd, _bwd)


def _weight_gradient(
    cell: Cell, params: Params, x: Array, before: Carry, dz: Array, dr: Array | None
) -> Params:
    """The gradient of `project` and `recur` by the parameters, of all steps at once; `dr` is None where it is dz.

    JAX forms dzᵀ x and transposes it. A CPU computes xᵀ dz in half the time, and where the batch is parted over
    devices XLA does not see that the one is the other: it sums over the devices in between. Nor does it read dz
    once for all of them.
    """

    def of_one_part(x: Array, before: Carry, dz: Array, dr: Array | None) -> Params:
        # x came batch first: it is turned when this product's time has come.
        x = jnp.where(true_after(dz), x, 0)

        def pulled(read: Callable[[Params], Array], adjoint: Array) -> Params:
            return joined(lambda adjoint: jax.vjp(read, params)[1](adjoint)[0])(adjoint)

        if dr is None:
            return pulled(lambda p: cell.project(p, x) + cell.recur(p, before), dz)
        project = pulled(lambda p: cell.project(p, x), dz)
        recur = pulled(lambda p: cell.recur(p, before), dr)
        return jax.tree.map(jnp.add, project, recur)

    if dz.ndim == 2:
        return of_one_part(x, before, dz, dr)
    parts = jax.vmap(of_one_part)(x, before, dz, dr)
    return jax.tree.map(lambda a: jnp.sum(a, axis=0), parts)


def _all_steps(tree: Any) -> Any:
    """Make time and batch one axis, `[T, B, ...]` to `[T·B, ...]`.

    XLA's CPU compiler contracts over one axis as it lies; over two it first turns the arrays round, which takes
    longer than the product. Where XLA parts the batch over n devices, that axis would lie across them all: there it
    is `[n, T·B/n, ...]`, each device's own steps.
    """
    return jax.tree.map(lambda a: _cut(a, _parts(a.shape[1])), tree)


def _cut(a: Array, n: int) -> Array:
    T, B, *rest = a.shape
    if n == 1:
        return a.reshape(T * B, *rest)
    return jnp.swapaxes(a.reshape(T, n, B // n, *rest), 0, 1).reshape(n, T * B // n, *rest)


def _step_by_step(a: Array, T: int, B: int) -> Array:
    """Undo `_all_steps`."""
    n = _parts(B)
    rest = a.shape[1:] if n == 1 else a.shape[2:]
    return jnp.swapaxes(a.reshape(n, T, B // n, *rest), 0, 1).reshape(T, B, *rest)


def _parts(batch: int) -> int:
    """Into how many parts XLA cuts a batch: by the mesh in context, but for axes that a `shard_map` made its own."""
    mesh = jax.sharding.get_abstract_mesh()
    n = prod(mesh.shape[name] for name in (*mesh.auto_axes, *mesh.explicit_axes))
    return n if batch % n == 0 else 1
