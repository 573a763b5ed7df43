"""What every layer promises, checked on whatever `lstm_lab.layers` holds, in double precision.

The rules are those of `unroll`: about masks, resets, empty rows and carries. As for cells, one compiled
reading per layer and direction (all that a layer says, and every gradient) serves most tests.
"""

import dataclasses
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_lab.cells.base import Layer
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cli import execute
from lstm_lab.config import from_json
from lstm_lab.discover import subclasses
from lstm_lab.errors import UsageError
from lstm_lab.experiment import Experiment
from lstm_lab.layers.attention import CausalAttention
from lstm_lab.layers.base import Block, build_layer
from lstm_lab.layers.convolution import TemporalConvolution
from lstm_lab.layers.heads import Heads
from lstm_lab.layers.residual import Residual
from lstm_lab.model import Hidden, Model, ParameterBudget, count
from lstm_lab.modules import OneWay, Reading
from lstm_lab.overrides import override
from lstm_lab.tasks.future_tag import FutureTag
from lstm_lab.unroll import Sequential

B, T, D, H = 3, 6, 2, 4
# Windows shorter than the sequence and its carry, so that what is read leaves them.
WINDOWS = {
    CausalAttention: CausalAttention(heads=2, context=3),
    TemporalConvolution: TemporalConvolution(kernel=2, levels=2),
}


def small(cls: type[Any]) -> Any:
    """A layer that compiles soon: a short window, or the plainest cell inside."""
    inside = {f.name: Elman() for f in dataclasses.fields(cls) if f.name in ("layer", "cell")}
    return WINDOWS.get(cls) or cls(**inside)


LAYERS: list[Layer] = [small(cls) for cls in subclasses("lstm_lab.layers", Block)]
NESTED = Residual(Heads(Residual(GRU()), heads=2))

# `make test` asks a wrapper and a control in both directions, `make contract` all.
SAMPLE = (Heads, CausalAttention)
every_layer = pytest.mark.parametrize(
    "layer",
    [
        *(
            pytest.param(
                layer,
                marks=() if isinstance(layer, SAMPLE) else pytest.mark.variant,
                id=type(layer).__name__,
            )
            for layer in LAYERS
        ),
        pytest.param(NESTED, marks=pytest.mark.variant, id="nested"),
    ],
)
both_ways = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


pytestmark = pytest.mark.usefixtures("double_precision")


class Problem(NamedTuple):
    """Arguments of a reading: values to read, and a cotangent for everything it returns."""

    params: Any
    carry: Any
    x: np.ndarray
    mask: np.ndarray
    reset: np.ndarray
    cotangents: Reading


def build(layer: Layer, reverse: bool = False) -> OneWay:
    return build_layer(layer, D, H, reverse=reverse, schedule=Sequential(), rngs=nnx.Rngs(params=0))


def draw(tree: Any, seed: int) -> Any:
    """A tree of the same shapes, filled with normal variates in double precision."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), tree)


@lru_cache
def parts(layer: Layer, reverse: bool) -> tuple[Any, Any]:
    """The static half of a layer, and its parameters in double precision, no bias left at zero."""
    graph, drawn = nnx.split(build(layer, reverse))
    noise = draw(drawn, 0)
    return graph, jax.tree.map(lambda p, n: np.asarray(p) + n / 4, drawn, noise)


def start(layer: Layer, reverse: bool = False) -> Any:
    """The layer's own initial carry."""
    graph, params = parts(layer, reverse)
    return evaluated(nnx.merge(graph, params).initial_carry(B))


@lru_cache
def reading(layer: Layer, reverse: bool) -> Callable[..., Any]:
    """A compiled `Problem -> Reading, (d_params, d_carry, d_x)`."""
    graph, _ = parts(layer, reverse)

    @jax.jit
    def read(params: Any, carry: Any, x: Any, mask: Any, reset: Any, cotangents: Any) -> Any:
        def run(params: Any, carry: Any, x: Any) -> Reading:
            return nnx.merge(graph, params)(x, carry=carry, mask=mask, reset=reset)

        out, pull = jax.vjp(run, params, carry, x)
        return out, pull(cotangents)

    return lambda *given: evaluated(read(*given))


@lru_cache
def problem(layer: Layer, reverse: bool) -> Problem:
    """Random everything: one row is empty, one has a hole, two are packed; the carry is one it can reach."""
    (_, params), own = parts(layer, reverse), start(layer, reverse)
    d_out = build(layer).d_out
    x, before, y, last = draw(
        tuple(np.empty(shape) for shape in ((B, T, D), (B, T, D), (B, T, d_out), (B, d_out))), 1
    )
    mask = np.ones((B, T), bool)
    reset = np.zeros((B, T), bool)
    cotangents = Reading(draw(own, 2), y, last)
    blank = Problem(params, own, before, mask, reset, cotangents)
    reached, _ = reading(layer, reverse)(*blank)
    mask, reset = mask.copy(), reset.copy()
    mask[1] = mask[2, 0] = mask[2, 4] = False
    reset[0, 4] = reset[2, 2] = True
    return blank._replace(carry=reached.carry, x=x, mask=mask, reset=reset)


def plain_problem(layer: Layer, reverse: bool) -> Problem:
    """The same with full rows and no resets."""
    return problem(layer, reverse)._replace(
        mask=np.ones((B, T), bool), reset=np.zeros((B, T), bool)
    )


def evaluated(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def zeros(tree: Any) -> Any:
    return jax.tree.map(np.zeros_like, tree)


def put(like: Any, *places: tuple[Any, Any]) -> Any:
    """Zeros, but for some places: a NumPy array's `.at[index].set(value)`."""
    out = np.zeros_like(like)
    for index, value in places:
        out[index] = value
    return out


def rows(tree: Any, which: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[which], tree)


def close(got: Any, wanted: Any, tolerance: float = 1e-10) -> None:
    jax.tree.map(
        lambda g, w: np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance), got, wanted
    )


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
    close((out.y[:, kept], dx[:, kept]), (wanted.y[:, :n], wanted_dx[:, :n]))
    close((out.carry, out.last), (wanted.carry, wanted.last))
    close((d_params, d_carry), (wanted_params, wanted_carry))


@every_layer
@both_ways
def test_padding_reaches_neither_outputs_nor_gradients(layer: Layer, reverse: bool) -> None:
    given, read = problem(layer, reverse), reading(layer, reverse)
    filled = given._replace(x=np.where(given.mask[..., None], given.x, np.nan))
    close(read(*filled), read(*given), 0.0)


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
        close(together[0, a], kept_apart[0, a])
        close(together[0, b], kept_apart[1, :n])
    close(rows((out.carry, out.last), 0), rows((out_apart.carry, out_apart.last), last))
    # A learned start gets its gradient by the carry given where there is one, else by the reset.
    module = lambda own: nnx.merge(parts(layer, reverse)[0], own).initial_carry(B)  # noqa: E731
    pull = jax.vjp(module, given.params)[1]
    total, total_apart = (
        jax.tree.map(np.add, grads, pull(d_carry)[0])
        for grads, d_carry in ((d_params, d_start), (d_params_apart, d_start_apart))
    )
    close(total, total_apart)


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
    close(early, late)


@every_layer
@both_ways
def test_a_sequence_of_masked_steps_leaves_the_carry_it_starts_from(
    layer: Layer, reverse: bool
) -> None:
    given = plain_problem(layer, reverse)
    given.mask[:, 0 if reverse else T - 1] = False
    given.reset[:, 1 if reverse else T - 1] = True
    close(reading(layer, reverse)(*given)[0].carry, start(layer, reverse))


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
    close((got, (d_params, d_carry, joined(dx_1, dx_2))), read(*given))


@every_layer
@both_ways
def test_an_empty_row_returns_the_carry_it_was_given(layer: Layer, reverse: bool) -> None:
    given = problem(layer, reverse)
    out, (_, _, dx) = reading(layer, reverse)(*given)
    (empty,) = np.flatnonzero(~given.mask.any(axis=1))
    close(rows(out.carry, empty), rows(given.carry, empty), 0.0)
    for nothing in (out.y, out.last, dx):
        assert not nothing[empty].any()


@every_layer
@both_ways
def test_last_is_the_output_at_each_rows_own_last_step_read(layer: Layer, reverse: bool) -> None:
    given = problem(layer, reverse)
    out, _ = reading(layer, reverse)(*given)
    for row in (0, 2):
        close(out.last[row], out.y[row, np.flatnonzero(given.mask[row])[0 if reverse else -1]])


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
    close(told(params, given.carry, lengths), masked)


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


ELMAN = D * H + H * H + H
COUNTS: dict[Layer, int] = {
    # Four heads of one unit each: W, U and b of an Elman cell of one.
    Heads(Elman()): 4 * (D + 1 + 1),
    Residual(Elman()): ELMAN + D * H,
    # Map; two norms; q k v; distances per head; the mixture; the network of 4H units.
    WINDOWS[CausalAttention]: D * H + 4 * H + 3 * H * H + 2 * 3 + H * H + 8 * H * H + 5 * H,
    # Four filters of two taps with biases, the first from D; the map of the first level.
    WINDOWS[TemporalConvolution]: 2 * D * H + 3 * 2 * H * H + 4 * H + D * H + H,
}
COUNTS |= {layer: ELMAN for layer in LAYERS if type(layer).__name__ == "Skip"}
COUNTS |= {layer: ELMAN + H for layer in LAYERS if type(layer).__name__ == "LearnedCarry"}


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_parameters_are_as_many_as_the_equations_have(layer: Layer) -> None:
    if layer not in COUNTS:
        pytest.skip(f"{type(layer).__name__} is not counted: add it to COUNTS")
    assert sum(leaf.size for leaf in jax.tree.leaves(parts(layer, False)[1])) == COUNTS[layer]


@every_layer
def test_parameters_are_all_a_layer_holds(layer: Layer) -> None:
    _, _, *rest = nnx.split(build(layer), nnx.Param, ...)
    assert not jax.tree.leaves(rest)


@every_layer
def test_a_carry_of_another_shape_is_refused(layer: Layer) -> None:
    carry = jax.tree.map(lambda leaf: leaf[:, :0], start(layer))
    with pytest.raises(UsageError, match="carry: shapes"):
        build(layer)(jnp.zeros((B, T, D), jnp.float32), carry=carry)


@every_layer
@pytest.mark.parametrize(("d_in", "d_hidden"), [(0, 4), (2, 0), (2, -4)])
def test_sizes_no_layer_can_have_are_refused(layer: Layer, d_in: int, d_hidden: int) -> None:
    with pytest.raises(UsageError, match=f"{min(d_in, d_hidden)}: .* needs"):
        build_layer(
            layer, d_in, d_hidden, reverse=False, schedule=Sequential(), rngs=nnx.Rngs(params=0)
        )


@every_layer
@pytest.mark.parametrize("bidirectional", [None, "concat", "sum"])
def test_layers_of_any_kind_stack_and_read_both_ways(layer: Layer, bidirectional: Any) -> None:
    task, model = FutureTag(), Model(layer, layers=2, bidirectional=bidirectional)

    def run() -> jax.Array:
        key = jax.random.key(0)
        _, outputs = model.build(task, H, key)(task.sample(None, key, jnp.int32(0), B).x)
        return outputs

    assert jax.eval_shape(run).shape == (B, task.length, task.d_out)


@every_layer
def test_a_budget_is_met_by_a_width_the_layer_can_share_out(layer: Layer) -> None:
    model, task, budget = Model(layer), FutureTag(), 5_000
    width = ParameterBudget(budget).width(model, task)
    assert width % layer.multiple == 0
    missed = [
        abs(count(model, task, near) - budget)
        for near in (width - layer.multiple, width, width + layer.multiple)
    ]
    assert missed[1] == min(missed)


def test_a_width_that_cannot_be_shared_out_is_refused() -> None:
    layer = Heads(Heads(GRU(), heads=2), heads=3)
    with pytest.raises(UsageError, match=r"size.units: 64: .* multiple of 6"):
        Hidden(64).width(Model(layer), FutureTag())
    with pytest.raises(UsageError, match=r"hidden units: 64: .* multiple of 6"):
        build_layer(layer, D, 64, reverse=False, schedule=Sequential(), rngs=nnx.Rngs(params=0))


def test_labels_tell_layers_and_what_is_in_them_apart() -> None:
    layers = [*LAYERS, *(cls() for cls in subclasses("lstm_lab.layers", Block)), NESTED, Elman()]
    assert len({layer.label for layer in layers}) == len(layers)


def test_settings_of_a_layer_in_a_layer_are_changed_from_the_command_line() -> None:
    words = [
        "--models.0.cell.layer.heads",
        "3",
        "--models.0.cell.layer.layer.layer.reset",
        "before",
    ]
    (model,) = override(Experiment(models=(Model(NESTED),)), words).models
    assert model.cell == Residual(Heads(Residual(GRU(reset="before")), heads=3))


def test_a_control_is_trained_from_the_command_line(tmp_path: Path) -> None:
    experiment = Path(__file__).parents[2] / "experiments" / "bidirectional.py"
    words = ["--cells", "temporalconvolution", "--models.0.cell.levels", "1", "--smoke"]
    assert execute(["run", str(experiment), *words, "--out", str(tmp_path)]) == 0
    (config,) = tmp_path.glob("bidirectional/*/config.json")
    trial = from_json(json.loads(config.read_text())["trial"])
    assert trial.model.cell == TemporalConvolution(levels=1)
    assert (config.parent / "result.json").exists()
