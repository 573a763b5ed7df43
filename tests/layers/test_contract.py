"""What every layer promises of a reading, checked on whatever `lstm_lab.layers` holds, in double precision.

The rules are those of `unroll`: about masks, resets, empty rows and carries.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_lab.cells.base import Layer
from lstm_lab.errors import UsageError
from lstm_lab.modules import Reading
from tests.layers.contract import (
    B,
    D,
    T,
    both_ways,
    build,
    every_layer,
    parts,
    plain_problem,
    problem,
    reading,
    start,
)
from tests.trees import assert_close, put

pytestmark = pytest.mark.usefixtures("double_precision")


def zeros(tree: Any) -> Any:
    return jax.tree.map(np.zeros_like, tree)


def rows(tree: Any, which: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[which], tree)


@every_layer
@both_ways
def test_outputs_and_carries_have_the_shapes_a_layer_names(layer: Layer, reverse: bool) -> None:
    module, given = build(layer, reverse), problem(layer, reverse)
    out, _ = reading(layer, reverse)(*given)
    assert (module.d_in, module.reverse) == (D, reverse)
    assert out.y.shape == (B, T, module.d_out)
    assert out.last.shape == (B, module.d_out)
    like = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), (given.carry, out.carry))
    assert like[0] == like[1]
    assert all(leaf.shape[0] == B for leaf in jax.tree.leaves(out.carry))


@every_layer
@both_ways
def test_no_output_depends_on_what_has_not_been_read(layer: Layer, reverse: bool) -> None:
    given = plain_problem(layer, reverse)
    nothing = zeros(given.cotangents)
    for t in range(T):
        only_t = nothing._replace(y=put(nothing.y, (np.s_[:, t], given.cotangents.y[:, t])))
        _, (_, _, dx) = reading(layer, reverse)(*given._replace(cotangents=only_t))
        unread, read = (dx[:, :t], dx[:, t:]) if reverse else (dx[:, t + 1 :], dx[:, : t + 1])
        assert not unread.any()
        assert read.any()


@every_layer
@both_ways
def test_a_masked_step_emits_zero_and_is_skipped(layer: Layer, reverse: bool) -> None:
    given, hole = plain_problem(layer, reverse), 2
    kept = [t for t in range(T) if t != hole]
    n, padded = len(kept), np.arange(T) < T - 1
    d = given.cotangents
    holed = given._replace(mask=np.broadcast_to(np.arange(T) != hole, (B, T)))
    closed = given._replace(
        x=put(given.x, (np.s_[:, :n], given.x[:, kept])),
        mask=np.broadcast_to(padded, (B, T)),
        cotangents=d._replace(y=put(d.y, (np.s_[:, :n], d.y[:, kept]))),
    )
    out, (d_params, d_carry, dx) = reading(layer, reverse)(*holed)
    wanted, (wanted_params, wanted_carry, wanted_dx) = reading(layer, reverse)(*closed)
    assert not out.y[:, hole].any()
    assert not dx[:, hole].any()
    assert_close((out.y[:, kept], dx[:, kept]), (wanted.y[:, :n], wanted_dx[:, :n]))
    assert_close((out.carry, out.last), (wanted.carry, wanted.last))
    assert_close((d_params, d_carry), (wanted_params, wanted_carry))


@every_layer
@both_ways
def test_padding_reaches_neither_outputs_nor_gradients(layer: Layer, reverse: bool) -> None:
    given, read = problem(layer, reverse), reading(layer, reverse)
    filled = given._replace(x=np.where(given.mask[..., None], given.x, np.nan))
    assert_close(read(*filled), read(*given), 0.0)


@every_layer
@both_ways
def test_packed_sequences_are_the_sequences_kept_apart(layer: Layer, reverse: bool) -> None:
    given, read, border = problem(layer, reverse), reading(layer, reverse), 4
    n, d = T - border, given.cotangents
    a, b = slice(0, border), slice(border, T)
    # Row 0 holds both; kept apart, rows 0 and 1 do. The carry after it is that of the last one read.
    last = 0 if reverse else 1

    def row(tree: Any, index: int) -> Any:
        return jax.tree.map(lambda leaf: put(leaf, (index, leaf[0])), tree)

    packed = given._replace(
        carry=start(layer, reverse),
        mask=put(given.mask, (0, True)),
        reset=put(given.reset, ((0, 0), True), ((0, border), True)),
        cotangents=row(d, 0),
    )
    apart = packed._replace(
        x=put(given.x, (np.s_[0, a], given.x[0, a]), (np.s_[1, :n], given.x[0, b])),
        mask=put(given.mask, (np.s_[0, a], True), (np.s_[1, :n], True)),
        reset=np.zeros((B, T), bool),
        cotangents=Reading(
            row(d.carry, last),
            put(d.y, (np.s_[0, a], d.y[0, a]), (np.s_[1, :n], d.y[0, b])),
            row(d.last, last),
        ),
    )
    out, (d_params, d_start, dx) = read(*packed)
    out_apart, (d_params_apart, d_start_apart, dx_apart) = read(*apart)
    for together, kept_apart in ((out.y, out_apart.y), (dx, dx_apart)):
        assert_close(together[0, a], kept_apart[0, a])
        assert_close(together[0, b], kept_apart[1, :n])
    assert_close(rows((out.carry, out.last), 0), rows((out_apart.carry, out_apart.last), last))
    # A learned start gets its gradient by the carry given where there is one, else by the reset.
    module = lambda own: nnx.merge(parts(layer, reverse)[0], own).initial_carry(B)  # noqa: E731
    pull = jax.vjp(module, given.params)[1]
    total, total_apart = (
        jax.tree.map(np.add, grads, pull(d_carry)[0])
        for grads, d_carry in ((d_params, d_start), (d_params_apart, d_start_apart))
    )
    assert_close(total, total_apart)


@every_layer
@both_ways
def test_a_border_within_masked_steps_is_the_same_wherever_it_is_marked(
    layer: Layer, reverse: bool
) -> None:
    given = plain_problem(layer, reverse)
    given.mask[:, 3] = False
    early, late = (
        reading(layer, reverse)(*given._replace(reset=put(given.reset, (np.s_[:, t], True))))
        for t in (3, 4)
    )
    assert_close(early, late)


@every_layer
@both_ways
def test_a_sequence_of_masked_steps_leaves_the_carry_it_starts_from(
    layer: Layer, reverse: bool
) -> None:
    given = plain_problem(layer, reverse)
    given.mask[:, 0 if reverse else T - 1] = False
    given.reset[:, 1 if reverse else T - 1] = True
    assert_close(reading(layer, reverse)(*given)[0].carry, start(layer, reverse))


@every_layer
@both_ways
def test_a_sequence_read_in_two_parts_is_the_sequence_read_at_once(
    layer: Layer, reverse: bool
) -> None:
    given, read, cut = plain_problem(layer, reverse), reading(layer, reverse), 4
    d = given.cotangents

    def part(steps: slice, carry: Any, d_carry: Any, d_last: Any) -> Any:
        n = len(range(T)[steps])
        x, dy = (put(a, (np.s_[:, :n], a[:, steps])) for a in (given.x, d.y))
        mask = np.broadcast_to(np.arange(T) < n, (B, T))
        out, (d_params, d_before, dx) = read(
            given.params, carry, x, mask, given.reset, Reading(d_carry, dy, d_last)
        )
        return out, out.y[:, :n], d_params, d_before, dx[:, :n]

    halves = [slice(0, cut), slice(cut, T)]
    first, second = halves[::-1] if reverse else halves
    between = part(first, given.carry, d.carry, d.last)[0].carry
    final, y_2, d_params_2, d_between, dx_2 = part(second, between, d.carry, d.last)
    # The second part's gradient with respect to its carry is what the first part must be told.
    _, y_1, d_params_1, d_carry, dx_1 = part(first, given.carry, d_between, zeros(d.last))

    def joined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([b, a] if reverse else [a, b], axis=1)

    got = Reading(final.carry, joined(y_1, y_2), final.last)
    d_params = jax.tree.map(np.add, d_params_1, d_params_2)
    assert_close((got, (d_params, d_carry, joined(dx_1, dx_2))), read(*given))


@every_layer
@both_ways
def test_an_empty_row_returns_the_carry_it_was_given(layer: Layer, reverse: bool) -> None:
    given = problem(layer, reverse)
    out, (_, _, dx) = reading(layer, reverse)(*given)
    (empty,) = np.flatnonzero(~given.mask.any(axis=1))
    assert_close(rows(out.carry, empty), rows(given.carry, empty), 0.0)
    for nothing in (out.y, out.last, dx):
        assert not nothing[empty].any()


@every_layer
@both_ways
def test_last_is_the_output_at_each_rows_own_last_step_read(layer: Layer, reverse: bool) -> None:
    given = problem(layer, reverse)
    out, _ = reading(layer, reverse)(*given)
    for row in (0, 2):
        assert_close(
            out.last[row], out.y[row, np.flatnonzero(given.mask[row])[0 if reverse else -1]]
        )


@every_layer
def test_a_carry_reached_is_not_the_one_a_sequence_starts_from(layer: Layer) -> None:
    given = plain_problem(layer, False)
    fresh = given._replace(carry=start(layer))
    goes_on, starts = (reading(layer, False)(*p)[0] for p in (given, fresh))
    assert not np.allclose(goes_on.y[:, 0], starts.y[:, 0])


@every_layer
def test_gradients_reach_every_parameter(layer: Layer) -> None:
    given = problem(layer, False)
    _, (d_params, _, _) = reading(layer, False)(*given)
    for path, leaf in jax.tree_util.tree_leaves_with_path(d_params):
        assert leaf.any(), jax.tree_util.keystr(path)
        assert np.isfinite(leaf).all()


@every_layer
def test_lengths_say_what_the_mask_of_right_padding_says(layer: Layer) -> None:
    graph, params = parts(layer, False)
    given, lengths = plain_problem(layer, False), np.array([T, 0, 4], np.int32)
    mask = np.arange(T) < lengths[:, None]
    masked, _ = reading(layer, False)(*given._replace(mask=mask))
    told = jax.jit(
        lambda own, *call: nnx.merge(graph, own)(given.x, carry=call[0], lengths=call[1])
    )
    assert_close(told(params, given.carry, lengths), masked)


@every_layer
def test_bfloat16_stays_bfloat16(layer: Layer) -> None:
    given = jax.tree.map(
        lambda a: a if a.dtype == bool else a.astype(jnp.bfloat16), problem(layer, False)
    )
    graph, _ = parts(layer, False)

    def run(params: Any, carry: Any, x: Any) -> Reading:
        return nnx.merge(graph, params)(x, carry=carry, mask=given.mask, reset=given.reset)

    for leaf in jax.tree.leaves(jax.eval_shape(run, *given[:3])):
        assert leaf.dtype == jnp.bfloat16


@every_layer
def test_a_carry_of_another_shape_is_refused(layer: Layer) -> None:
    carry = jax.tree.map(lambda leaf: leaf[:, :0], start(layer))
    with pytest.raises(UsageError, match="carry: shapes"):
        build(layer)(jnp.zeros((B, T, D), jnp.float32), carry=carry)
