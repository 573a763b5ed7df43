"""Stacks handed to Keras layers and taken over from them."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
import pytest

from lstm_lab.cells.base import Cell
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.mgu import MGU
from lstm_lab.errors import UsageError
from lstm_lab.frameworks import from_keras, to_keras
from lstm_lab.modules import Merge
from tests.frameworks.common import every_shape, inputs, network, reads, same, sizes

# Read when Keras is first imported; it would also write its defaults into the home directory.
os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault(
    "KERAS_HOME", os.path.join(os.environ.get("TMPDIR", "/tmp"), "lstm-lab-keras")
)
keras = pytest.importorskip("keras", reason="Keras is not installed: `make peers` adds it")

# What Keras says of itself where NumPy is new.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")
PEERS: dict[str, tuple[Cell, str, dict[str, Any]]] = {
    "tanh": (Elman(), "SimpleRNN", {}),
    "linear": (Elman(activation="linear"), "SimpleRNN", {"activation": "linear"}),
    "LSTM": (LSTM(), "LSTM", {}),
    "GRU after": (GRU(), "GRU", {}),
    "GRU before": (GRU(reset="before"), "GRU", {"reset_after": False}),
}
every_peer = pytest.mark.parametrize("peer", PEERS)


@pytest.fixture(autouse=True)
def keras_promotes_types() -> Iterator[None]:
    """Keras relies on JAX's standard type promotion; ours stays strict."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def stacked(
    peer: str, layers: int, merge: Merge | None, seed: int, **settings: Any
) -> tuple[list[Any], int]:
    """Built layers, drawn at random with biases, and the features they read."""
    D, H = sizes(seed)
    made, width = [], D
    for _ in range(layers):
        _, kind, own = PEERS[peer]
        layer = getattr(keras.layers, kind)(H, return_sequences=True, **own, **settings)
        layer = keras.layers.Bidirectional(layer, merge_mode=merge) if merge else layer
        layer.build((None, None, width))
        rng = np.random.default_rng(seed)
        layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
        made.append(layer)
        width = 2 * H if merge == "concat" else H
    return made, D


def outputs(layers: Sequence[Any], x: Any) -> Any:
    for layer in layers:
        x = layer(x)
    return np.asarray(x)


@every_peer
@every_shape
def test_ours_come_back_bit_for_bit_and_compute_the_same_there(
    peer: str, layers: int, both: bool
) -> None:
    merge: Merge | None = "concat" if both else None
    body = network(PEERS[peer][0], layers, merge, seed=layers).body
    theirs, D = stacked(peer, layers, merge, seed=layers)
    for layer, weights in zip(theirs, to_keras(body), strict=True):
        layer.set_weights(weights)
    same(from_keras(theirs), body)
    x = inputs(1, D)
    reads(body, x, outputs(theirs, x))


@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no biases"])
@every_peer
def test_theirs_come_back_with_the_same_outputs(peer: str, bias: bool) -> None:
    theirs, D = stacked(peer, 2, "sum", seed=3, use_bias=bias)
    again, _ = stacked(peer, 2, "sum", seed=3)
    for layer, weights in zip(again, to_keras(from_keras(theirs)), strict=True):
        layer.set_weights(weights)
    x = inputs(2, D)
    np.testing.assert_allclose(outputs(again, x), outputs(theirs, x), rtol=1e-5, atol=1e-5)


def test_what_keras_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="MGU: Keras has no such layer"):
        to_keras(network(MGU(), 1, None, seed=1).body)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda k: k.LSTM(2, activation="relu"), "LSTM .*: activation='relu'"),
        (lambda k: k.GRU(2, recurrent_activation="hard_sigmoid"), "recurrent_activation='hard_s"),
        (lambda k: k.SimpleRNN(2, go_backwards=True), "go_backwards=True"),
        (lambda k: k.Dense(2), "Dense .*: no counterpart here"),
        (
            lambda k: k.Bidirectional(k.LSTM(2), backward_layer=k.GRU(2, go_backwards=True)),
            "both ways: LSTM forget bias 1 and GRU",
        ),
    ],
)
def test_what_has_no_counterpart_here_is_refused_by_name(make: Any, said: str) -> None:
    layer = make(keras.layers)
    layer.build((None, None, 3))
    with pytest.raises(UsageError, match=said):
        from_keras([layer])
