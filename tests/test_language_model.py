"""What a language model has around its layers: an output tied to the embedding, and dropout before and after."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_lab.cells.elman import Elman
from lstm_lab.cells.lstm import LSTM
from lstm_lab.errors import UsageError
from lstm_lab.model import Model
from lstm_lab.modules import Recurrent, SequenceModel, Stack
from lstm_lab.modules.dropout import Noise
from lstm_lab.size import FlopBudget, Hidden, ParameterBudget, count, flops
from lstm_lab.tasks.copy_memory import CopyMemory
from lstm_lab.tasks.recall import Recall
from lstm_lab.tasks.text import Text

TEXT = Text(length=8)
V = TEXT.d_in
B, T, E = 3, 7, 8
TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, V, (B, T)), jnp.int32)


def built(model: Model, d_hidden: int = E) -> SequenceModel:
    return model.build(TEXT, d_hidden, jax.random.key(0))


def test_a_tied_output_is_the_product_with_the_embedding() -> None:
    model = built(Model(Elman(), embedding=E, tied=True))
    assert model.bias is not None
    model.bias[...] = jnp.arange(V, dtype=jnp.float32)
    reading = model.read(TOKENS)
    assert isinstance(model.embed, nnx.Embed)
    E_VE, y = np.asarray(model.embed.embedding[...]), np.asarray(reading.y)
    np.testing.assert_allclose(model.answer(reading), y @ E_VE.T + np.arange(V), rtol=1e-4)


def test_its_gradient_is_the_sum_of_both_uses() -> None:
    """Tied, one matrix stands twice; untied with the same numbers, each use has a gradient of its own."""
    tied, free = (built(Model(Elman(), embedding=E, tied=t)) for t in (True, False))
    assert free.head is not None
    assert isinstance(tied.embed, nnx.Embed)
    free.head.kernel[...] = tied.embed.embedding[...].T

    def slope(model: SequenceModel) -> Any:
        graph, params = nnx.split(model)
        loss = lambda params: jnp.sum(jnp.sin(nnx.merge(graph, params)(TOKENS)[1]))  # noqa: E731
        return jax.jit(jax.grad(loss))(params)

    one, two = slope(tied), slope(free)
    wanted = two["embed"]["embedding"][...] + two["head"]["kernel"][...].T
    np.testing.assert_allclose(one["embed"]["embedding"][...], wanted, rtol=1e-4, atol=1e-5)


def test_a_tied_model_counts_its_embedding_once() -> None:
    """LSTM layers 4H(D + H + 1), the last of E units; the output has nothing of its own but V biases."""
    H = 12
    lstm = lambda D, H: 4 * H * (D + H + 1)  # noqa: E731 - as the docstring says
    for layers, widths in ((1, [E]), (3, [H, H, E])):
        model = Model(LSTM(), layers=layers, embedding=E, tied=True)
        inputs = [E, *widths]
        wanted = V * E + V + sum(lstm(*pair) for pair in zip(inputs, widths, strict=False))
        assert count(model, TEXT, E if layers == 1 else H) == wanted


@pytest.mark.parametrize(
    ("size", "measure", "budget"),
    [(ParameterBudget(9_000), count, 9_000), (FlopBudget(12_000), flops, 12_000)],
)
def test_budgets_find_the_nearest_width_of_a_tied_model(
    size: Any, measure: Any, budget: int
) -> None:
    model = Model(LSTM(), layers=2, embedding=E, tied=True)
    H = size.width(model, TEXT)
    near = {width: abs(measure(model, TEXT, width) - budget) for width in (H - 1, H, H + 1)}
    assert min(near, key=lambda width: near[width]) == H


def test_tying_costs_no_operations_but_the_head_s_own() -> None:
    tied, free = (Model(Elman(), embedding=E, tied=t) for t in (True, False))
    assert flops(tied, TEXT, E) == flops(free, TEXT, E)


@pytest.mark.parametrize(
    ("settings", "task", "d_hidden", "message"),
    [
        ({"embedding": E}, TEXT, 12, "embedding 8, and a single layer of 12 units; give it 8"),
        ({"embedding": E}, Recall(), E, "has no tokens to embed"),
        ({"embedding": E}, CopyMemory(lag=3), E, "does not predict at every step"),
        ({"embedding": E, "bidirectional": "concat"}, TEXT, E, "8 features, beside 16 features"),
    ],
)
def test_what_cannot_be_tied_is_refused(
    settings: dict[str, Any], task: Any, d_hidden: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Model(Elman(), tied=True, **settings).build(task, d_hidden, jax.random.key(0))


def test_settings_that_no_task_allows_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"model\.tied: True: there is no embedding"):
        Model(tied=True)
    for name in ("input", "output", "embedding"):
        with pytest.raises(UsageError, match=rf"model\.{name}-dropout: 1.0: give a fraction"):
            Model(embedding=E, **{f"{name}_dropout": 1.0})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"model\.input-noise: -0\.1: give a standard deviation"):
        Model(input_noise=-0.1)
    body = Recurrent(Elman(), E, E, rngs=nnx.Rngs(0))
    with pytest.raises(UsageError, match=r"input noise: nan: give"):
        SequenceModel(V, body, V, input_noise=float("nan"), rngs=nnx.Rngs(0))
    with pytest.raises(UsageError, match="tied: there is no embedding to tie the head to"):
        SequenceModel(V, body, V, tied=True, rngs=nnx.Rngs(0))
    with pytest.raises(UsageError, match=r"output dropout: -0\.1: give"):
        SequenceModel(V, body, V, output_dropout=-0.1, rngs=nnx.Rngs(0))


RATE = 0.4


def features(d: int = 50) -> jnp.ndarray:
    return jnp.ones((B, T, d))


def dropped(**rates: float) -> np.ndarray:
    """What of ones comes through an identity for a body and a head, in training."""
    d = 50
    body = Recurrent(Elman("linear"), d, d, rngs=nnx.Rngs(0))
    body.params.W[...] = jnp.eye(d)
    body.params.U[...] = jnp.zeros((d, d))
    model = SequenceModel(None, body, d, rngs=nnx.Rngs(1), **rates)  # type: ignore[arg-type]
    assert model.head is not None
    model.head.kernel[...] = jnp.eye(d)
    np.testing.assert_allclose(model(features())[1], features(), rtol=1e-6)
    return np.asarray(model(features(), key=jax.random.key(2))[1])


@pytest.mark.parametrize("name", ["input_dropout", "output_dropout"])
def test_dropout_takes_the_same_features_at_every_step_and_others_of_every_row(name: str) -> None:
    y = dropped(**{name: RATE})
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    gone = y[:, 0] == 0
    np.testing.assert_allclose(y[:, 0][~gone], 1 / (1 - RATE), rtol=1e-6)
    assert abs(gone.mean() - RATE) < 4 * (RATE * (1 - RATE) / gone.size) ** 0.5
    assert (gone[0] != gone[1]).any()


def test_input_and_output_forget_different_features() -> None:
    both = dropped(input_dropout=RATE, output_dropout=RATE)[:, 0]
    values = np.unique(np.round(both, 4))
    np.testing.assert_allclose(values, [0, 1 / (1 - RATE) ** 2], rtol=1e-3)
    assert abs((both == 0).mean() - (1 - (1 - RATE) ** 2)) < 0.2


def test_input_noise_is_anew_for_every_number_and_leaves_dropout_as_it_is() -> None:
    y = dropped(input_noise=RATE)
    assert len(np.unique(y)) > 0.99 * y.size
    assert abs(y.mean() - 1) < 5 * RATE / y.size**0.5
    assert abs(y.std() / RATE - 1) < 5 / (2 * y.size) ** 0.5
    both, alone = dropped(input_noise=RATE, input_dropout=RATE), dropped(input_dropout=RATE)
    np.testing.assert_array_equal(both == 0, alone == 0)


def test_how_much_is_drawn_can_be_an_argument_of_a_program() -> None:
    own = Noise(0.1, 0.2, 0.3, 0.4, 0.5)
    model, other = (
        built(Model(Elman(), layers=2, embedding=E, **noise._asdict()))
        for noise in (own, Noise(0.5, 0.5, 0.5, 0.5, 0.1))
    )
    key = jax.random.key(3)
    given = jax.jit(lambda noise: other(TOKENS, key=key, noise=noise)[1])(own)
    np.testing.assert_allclose(given, model(TOKENS, key=key)[1], rtol=1e-4, atol=1e-6)
    quiet = Noise()
    np.testing.assert_array_equal(other(TOKENS, key=key, noise=quiet)[1], other(TOKENS)[1])


def test_output_dropout_of_a_sequence_s_one_answer() -> None:
    model = Model(Elman(), output_dropout=RATE).build(Recall(lag=3), 16, jax.random.key(0))
    x = jnp.ones((2, 5, Recall(lag=3).d_in))
    reading = model.read(x)
    assert model.head is not None
    key = jax.random.key(1)
    wanted = np.asarray(model.answer(reading))
    drawn = np.stack([model.answer(reading, key) for key in jax.random.split(key, 400)])
    assert (drawn.std(axis=0) > 0).all()
    assert (np.abs(drawn.mean(axis=0) - wanted) < 5 * drawn.std(axis=0) / 400**0.5).all()


def test_a_width_is_that_of_the_lower_layers() -> None:
    model = Model(Elman(), layers=3, embedding=E, tied=True)
    stack = built(model, Hidden(12).width(model, TEXT)).body
    assert isinstance(stack, Stack)
    assert [layer.d_out for layer in stack.layers] == [12, 12, E]
