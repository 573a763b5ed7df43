"""The NNX shells: what they add to `unroll`, and that they hold no state of their own."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_lab.cells.base import Cell
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU, GRUCarry
from lstm_lab.cells.lstm import LSTM
from lstm_lab.errors import UsageError
from lstm_lab.modules import Bidirectional, Merge, Recurrent, SequenceModel, Stack
from lstm_lab.regularisers.weight_drop import WeightDrop
from lstm_lab.regularisers.zoneout import Zoneout
from tests.trees import assert_close_in_single

B, T, D, H = 3, 6, 2, 4
LENGTHS = np.array([6, 0, 3], np.int32)
X = jnp.asarray(np.random.default_rng(0).normal(size=(B, T, D)), jnp.float32)


def layer(d_in: int = D, *, reverse: bool = False, d_hidden: int = H, seed: int = 0) -> Recurrent:
    return Recurrent(GRU(), d_in, d_hidden, reverse=reverse, rngs=nnx.Rngs(seed))


def both(d_in: int = D, merge: Merge | None = "concat") -> Bidirectional:
    return Bidirectional(layer(d_in), layer(d_in, reverse=True, seed=1), merge)


def stack(**settings: Any) -> Stack:
    return Stack([layer(), layer(H, seed=1), layer(H, seed=2)], rngs=nnx.Rngs(3), **settings)


@partial(jax.jit, static_argnums=0)
def _run(graph: Any, state: Any, x: Any, call: dict[str, Any]) -> Any:
    return nnx.merge(graph, state)(x, **call)


def read(module: nnx.Module, x: Any, **call: Any) -> Any:
    """Call a module; modules built alike share one compiled program."""
    return _run(*nnx.split(module), x, call)


@pytest.mark.parametrize("reverse", [False, True])
def test_last_is_the_output_at_each_rows_own_last_step_read(reverse: bool) -> None:
    reading = read(layer(reverse=reverse), X, lengths=LENGTHS)
    assert_close_in_single(reading.last[0], reading.y[0, 0 if reverse else 5])
    assert_close_in_single(reading.last[2], reading.y[2, 0 if reverse else 2])
    assert not reading.last[1].any()
    # A GRU shows its state: the output at the last step read is the carry.
    assert_close_in_single(reading.last[::2], reading.carry.h[::2])


@pytest.mark.parametrize("reverse", [False, True])
def test_last_without_lengths_is_the_end_that_is_read_last(reverse: bool) -> None:
    reading = read(layer(reverse=reverse), X)
    assert_close_in_single(reading.last, reading.carry.h)


MERGES = {
    "concat": lambda a, b: np.concatenate([a, b], axis=-1),
    "sum": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "ave": lambda a, b: (a + b) / 2,
    None: lambda a, b: (a, b),
}


@pytest.mark.parametrize("merge", MERGES, ids=str)
def test_both_directions_are_merged_at_every_step_and_at_their_own_ends(merge: Any) -> None:
    layers = both(merge=merge)
    reading = read(layers, X, lengths=LENGTHS)
    ahead, back = (
        read(layers.forward, X, lengths=LENGTHS),
        read(layers.backward, X, lengths=LENGTHS),
    )
    assert_close_in_single(reading.y, MERGES[merge](ahead.y, back.y))
    assert_close_in_single(reading.last, MERGES[merge](ahead.last, back.last))
    assert_close_in_single(reading.carry, (ahead.carry, back.carry))
    if merge is not None:
        assert reading.y.shape[-1] == layers.d_out


NOISY = Zoneout(WeightDrop(GRU()))
CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "lengths": {"lengths": LENGTHS},
    "mask": {"mask": jnp.arange(B * T).reshape(B, T) % 4 != 1},
    "reset": {"reset": jnp.arange(B * T).reshape(B, T) % 3 == 1},
    "carry": {"carry": (GRUCarry(jnp.ones((B, H))), GRUCarry(-jnp.ones((B, H))))},
    "key": {"key": jax.random.key(5)},
}


def directions(cell: Cell, one_loop: bool) -> Bidirectional:
    ahead = Recurrent(cell, D, H, rngs=nnx.Rngs(0))
    back = Recurrent(cell, D, H, reverse=True, rngs=nnx.Rngs(1))
    return Bidirectional(ahead, back, one_loop=one_loop)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_one_loop_for_both_directions_is_two_loops(call: dict[str, Any]) -> None:
    def measured(one_loop: bool) -> Any:
        graph, params = nnx.split(directions(NOISY, one_loop))

        def loss(params: Any, x: Any) -> Any:
            reading = nnx.merge(graph, params)(x, **call)
            return jnp.sum(reading.y[:, 1] ** 2) + jnp.sum(reading.last**2), reading

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, X)

    assert_close_in_single(measured(True), measured(False))


def test_one_loop_is_one_loop() -> None:
    def loops(one_loop: bool) -> int:
        graph, params = nnx.split(directions(GRU(), one_loop))
        read = jax.jit(lambda params: nnx.merge(graph, params)(X).y)
        return str(read.lower(params).as_text()).count("stablehlo.while")

    assert (loops(True), loops(False)) == (1, 2)


def test_a_stack_is_one_layer_after_the_other() -> None:
    tower = stack()
    reading, y = read(tower, X, lengths=LENGTHS), X
    for n, single in enumerate(tower.layers):
        step = read(single, y, lengths=LENGTHS)
        assert_close_in_single(reading.carry[n], step.carry)
        y = step.y
    assert_close_in_single((reading.y, reading.last), (y, step.last))


def test_residual_adds_each_upper_layers_input_to_its_output() -> None:
    tower = stack(residual=True)
    reading = read(tower, X, lengths=LENGTHS)
    step = read(tower.layers[0], X, lengths=LENGTHS)
    y, last = step.y, step.last
    for single in list(tower.layers)[1:]:
        step = read(single, y, lengths=LENGTHS)
        y, last = y + step.y, last + step.last
    assert_close_in_single((reading.y, reading.last), (y, last))


def test_norm_gives_each_upper_layer_inputs_of_mean_zero_and_variance_one() -> None:
    tower = stack(norm=True)
    y = read(tower.layers[0], X).y
    centred = y - y.mean(-1, keepdims=True)
    normal = centred / jnp.sqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-6)
    second = read(tower.layers[1], normal)
    reading = read(tower, X)
    assert_close_in_single(reading.carry[:2], (read(tower.layers[0], X).carry, second.carry))


def test_dropout_acts_only_with_a_key() -> None:
    assert_close_in_single(read(stack(dropout=0.5), X), read(stack(), X))
    assert_close_in_single(read(stack(dropout=0.0), X, key=jax.random.key(0)), read(stack(), X))
    dropped, again, other = (
        read(stack(dropout=0.5), X, key=jax.random.key(k)).y for k in (0, 0, 1)
    )
    assert_close_in_single(dropped, again)
    assert not np.allclose(dropped, other)


def test_dropout_keeps_the_expectation_of_what_a_layer_is_given() -> None:
    linear = Recurrent(Elman(activation="linear"), H, H, rngs=nnx.Rngs(1))
    tower = Stack([layer(), linear], dropout=0.25, rngs=nnx.Rngs(2))
    graph, params = nnx.split(tower)
    keys = jax.random.split(jax.random.key(0), 4096)
    # Linear above the dropout, the output's mean is the output at the mean input.
    mean = jax.jit(jax.vmap(lambda key: nnx.merge(graph, params)(X, key=key).y))(keys).mean(0)
    np.testing.assert_allclose(mean, read(tower, X).y, atol=0.03)


def test_dropout_is_never_on_the_recurrent_path() -> None:
    tower = stack(dropout=0.9)
    dropped, whole = read(tower, X, key=jax.random.key(0)), read(tower, X)
    # Nothing is dropped below the first layer, so nothing of it changes over all its steps.
    assert_close_in_single(dropped.carry[0], whole.carry[0])
    # Dropping zeros changes nothing: what an upper layer hands itself over time stays whole.
    silent = layer()
    silent.params = nnx.data(jax.tree.map(lambda p: 0 * p, silent.params))
    tower = Stack([silent, layer(H, seed=1)], dropout=0.9, rngs=nnx.Rngs(3))
    still, moving = tower.initial_carry(B)
    carry = (still, jax.tree.map(lambda c: c + 1, moving))
    assert_close_in_single(
        read(tower, X, carry=carry, key=jax.random.key(0)), read(tower, X, carry=carry)
    )


@pytest.mark.parametrize("settings", [{}, {"residual": True, "norm": True}], ids=str)
def test_a_carry_over_two_calls_is_one_call(settings: dict[str, Any]) -> None:
    tower = stack(**settings)
    first = read(tower, X[:, :2], carry=tower.initial_carry(B))
    second = read(tower, X[:, 2:], carry=first.carry)
    whole = read(tower, X)
    assert_close_in_single(np.concatenate([first.y, second.y], axis=1), whole.y)
    assert_close_in_single((second.carry, second.last), (whole.carry, whole.last))


def test_a_stack_of_both_directions_reads_rows_at_their_own_lengths() -> None:
    tower = Stack([both(), both(2 * H)], rngs=nnx.Rngs(0))
    reading, short = read(tower, X, lengths=LENGTHS), read(tower, X[2:, :3])
    assert_close_in_single((reading.y[2:, :3], reading.last[2:]), (short.y, short.last))


TOKENS = jnp.asarray(np.random.default_rng(1).integers(0, D, (B, T)), jnp.int32)


def test_tokens_are_read_as_one_hot_vectors() -> None:
    tokens, dense = (SequenceModel(v, layer(), 5, rngs=nnx.Rngs(1)) for v in (D, None))
    assert_close_in_single(read(tokens, TOKENS), read(dense, np.eye(D, dtype=np.float32)[TOKENS]))


def test_tokens_are_looked_up_in_an_embedding() -> None:
    embed = nnx.Embed(7, D, rngs=nnx.Rngs(2))
    embedded, dense = (SequenceModel(e, layer(), 5, rngs=nnx.Rngs(1)) for e in (embed, None))
    assert_close_in_single(read(embedded, TOKENS), read(dense, embed.embedding[...][TOKENS]))


@pytest.mark.parametrize("embed", [D, nnx.Embed(D, D, rngs=nnx.Rngs(2))], ids=["one-hot", "Embed"])
def test_one_hot_vectors_are_read_like_their_tokens(embed: Any) -> None:
    model = SequenceModel(embed, layer(), 5, rngs=nnx.Rngs(1))
    assert_close_in_single(read(model, jax.nn.one_hot(TOKENS, D)), read(model, TOKENS))


@pytest.mark.parametrize("body", [layer, both, stack])
def test_outputs_come_per_step_or_from_each_rows_own_end(body: Any) -> None:
    steps, sequence = (
        SequenceModel(None, body(), 5, per_step=p, rngs=nnx.Rngs(1)) for p in (True, False)
    )
    assert steps.head is not None
    reading = read(steps.body, X, lengths=LENGTHS)
    carry, y = read(steps, X, lengths=LENGTHS)
    assert_close_in_single((carry, y), (reading.carry, steps.head(reading.y)))
    assert y.shape == (B, T, 5)
    _, y = read(sequence, X, lengths=LENGTHS)
    assert_close_in_single(y, steps.head(reading.last))
    assert y.shape == (B, 5)


def test_a_models_carry_goes_on_from_one_batch_to_the_next() -> None:
    model = SequenceModel(None, stack(), 5, rngs=nnx.Rngs(1))
    carry, first = read(model, X[:, :4], carry=model.initial_carry(B))
    carry, second = read(model, X[:, 4:], carry=carry)
    assert_close_in_single((carry, np.concatenate([first, second], axis=1)), read(model, X))


def test_padding_given_to_a_model_changes_no_gradient() -> None:
    graph, params = nnx.split(
        SequenceModel(None, stack(norm=True), 5, per_step=False, rngs=nnx.Rngs(1))
    )

    @jax.jit
    @jax.grad
    def gradient(params: Any, x: Any) -> Any:
        _, y = nnx.merge(graph, params)(x, lengths=LENGTHS)
        return jnp.sum(jnp.square(y[::2]))

    padding = np.arange(T) >= LENGTHS[:, None]
    assert_close_in_single(
        gradient(params, np.where(padding[..., None], np.float32(np.nan), X)), gradient(params, X)
    )


def test_split_once_and_every_leaf_is_one_param() -> None:
    model = SequenceModel(nnx.Embed(7, D, rngs=nnx.Rngs(0)), stack(norm=True), 5, rngs=nnx.Rngs(1))
    graph, params, *rest = nnx.split(model, nnx.Param, ...)
    assert not jax.tree.leaves(rest)
    # Three GRUs of W U b c_n, two norms of scale and bias, the embedding, the head's two.
    assert len(nnx.to_flat_state(params)) == 3 * 4 + 2 * 2 + 1 + 2
    twin = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), params)
    run = jax.jit(jax.vmap(lambda params: nnx.merge(graph, params)(TOKENS)))
    assert_close_in_single(jax.tree.map(lambda leaf: leaf[1], run(twin)), read(model, TOKENS))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Bidirectional(layer(), layer()), "reverse=False and False: give a forward layer"),
        (lambda: Bidirectional(layer(reverse=True), layer()), "reverse=True and False"),
        (
            lambda: Bidirectional(layer(), layer(reverse=True, d_hidden=5), one_loop=True),
            "one_loop: give two Recurrent layers of the same cell",
        ),
        (
            lambda: Bidirectional(layer(), layer(reverse=True, d_hidden=5), "sum"),
            "4 and 5 units: merge='sum' needs equal widths",
        ),
        (lambda: Stack([layer(), layer()], rngs=nnx.Rngs(0)), "4 outputs below one of 2 inputs"),
        (lambda: Stack([], rngs=nnx.Rngs(0)), "stack: .*at least one"),
        (lambda: Stack([both(merge=None)], rngs=nnx.Rngs(0)), "stack: .* merge=None"),
        (
            lambda: SequenceModel(None, both(merge=None), 5, rngs=nnx.Rngs(0)),
            "sequence model: .* merge=None",
        ),
        (
            lambda: Stack([layer(), layer(H, d_hidden=5)], residual=True, rngs=nnx.Rngs(0)),
            "residual needs equal widths, not 4 and 5",
        ),
        (lambda: stack(dropout=1.0), r"dropout: 1.0: give a fraction"),
        (lambda: stack(dropout=-0.1), r"dropout: -0.1: give a fraction"),
        (lambda: Recurrent(LSTM(), 0, H, rngs=nnx.Rngs(0)), "input features: 0"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(build: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refusal:
        build()
    assert "\n" not in str(refusal.value)
