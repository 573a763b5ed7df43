"""The cells against Keras on its JAX backend: masks for the lengths, and every way to merge."""

import os
from collections.abc import Iterator
from typing import Any

import jax
import pytest

from lstm_lab import layouts
from lstm_lab.cells.base import Cell
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.modules import Merge
from tests.parity.common import Answer, Case, agree, case, ours

# Read when Keras is first imported; it would also write its defaults into the home directory.
os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault(
    "KERAS_HOME", os.path.join(os.environ.get("TMPDIR", "/tmp"), "lstm-lab-keras")
)
keras = pytest.importorskip("keras", reason="Keras is not installed: `make peers` adds it")

pytestmark = pytest.mark.usefixtures("optimised")


def weights(params: Any) -> list[Any]:
    """In the order of a layer's variables."""
    return list(layouts.keras(params).values())


PEERS: dict[str, tuple[Cell, Any]] = {
    "SimpleRNN": (Elman(), lambda H, **kw: keras.layers.SimpleRNN(H, **kw)),
    "LSTM": (LSTM(), lambda H, **kw: keras.layers.LSTM(H, **kw)),
    "GRU after": (GRU(), lambda H, **kw: keras.layers.GRU(H, reset_after=True, **kw)),
    "GRU before": (
        GRU(reset="before"),
        lambda H, **kw: keras.layers.GRU(H, reset_after=False, **kw),
    ),
}


@pytest.fixture(autouse=True)
def keras_promotes_types() -> Iterator[None]:
    """Keras relies on JAX's standard type promotion; ours stays strict."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def theirs(make: Any, given: Case, merge: Merge) -> Answer:
    H = jax.tree.leaves(given.d_final)[0].shape[-1]
    sides = [
        make(H, return_sequences=True, return_state=True, go_backwards=back)
        for back in (False, True)
    ]
    layer = keras.layers.Bidirectional(sides[0], merge_mode=merge, backward_layer=sides[1])
    layer.build(given.x.shape)
    fixed = [v.value for v in layer.non_trainable_variables]

    @jax.jit
    def answer(weights: Any, x: Any) -> Any:
        def run(weights: Any, x: Any) -> Any:
            flat = [*weights[0], *weights[1]]
            (y, *states), _ = layer.stateless_call(flat, fixed, x, mask=given.valid)
            half = len(states) // 2
            return given.cut(y), [states[:half], states[half:]]

        (y, final), pull = jax.vjp(run, weights, x)
        return y, final, *pull((given.d_y, [list(d) for d in given.d_final]))

    y, final, d_weights, d_x = answer([weights(p) for p in given.params], given.x)
    d_params = [
        layouts.pull_back(weights, p, d) for p, d in zip(given.params, d_weights, strict=True)
    ]
    return Answer(y, final, d_params, d_x)


CASES = [
    ("SimpleRNN", "concat"),
    ("LSTM", "concat"),
    ("LSTM", "sum"),
    ("LSTM", "mul"),
    ("LSTM", "ave"),
    ("GRU after", "concat"),
    ("GRU before", "concat"),
]
SAMPLE = [("LSTM", "concat"), ("GRU after", "concat")]


@pytest.mark.parametrize(
    ("peer", "merge"),
    [pytest.param(*c, marks=() if c in SAMPLE else pytest.mark.variant) for c in CASES],
)
def test_both_directions_agree_with_keras_however_merged(peer: str, merge: Merge) -> None:
    cell, make = PEERS[peer]
    given = case(cell, seed=4, width=2 if merge == "concat" else 1)
    agree(ours(cell, given, merge), theirs(make, given, merge))
