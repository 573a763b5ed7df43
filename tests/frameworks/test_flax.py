"""Stacks handed to `flax.nnx` and taken over from it."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_lab.cells.base import Cell
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.mgu import MGU
from lstm_lab.errors import UsageError
from lstm_lab.frameworks import from_flax, to_flax
from lstm_lab.frameworks.parts import Body, apart, together
from tests.frameworks.common import every_shape, inputs, network, reads, same

PEERS: dict[str, Cell] = {
    "SimpleCell": Elman(),
    "SimpleCell relu": Elman(activation="relu"),
    "OptimizedLSTMCell": LSTM(),
    "GRUCell": GRU(),
}
every_peer = pytest.mark.parametrize("peer", PEERS)


def body_for(cell: Cell, layers: int, both: bool) -> Body:
    """One that Flax has, too: without c_n."""
    body = network(cell, layers, "concat" if both else None, seed=layers).body
    if not isinstance(cell, GRU):
        return body
    parts = [
        part._replace(params=tuple(p._replace(c_n=0 * p.c_n) for p in part.params))
        for part in apart(body)
    ]
    return together(parts)


def outputs(modules: Sequence[Any], x: np.ndarray) -> Any:
    graph, state = nnx.split(nnx.List(modules))

    @jax.jit
    def run(state: Any, x: Any) -> Any:
        for module in nnx.merge(graph, state):
            x = module(x)
        return x

    return run(state, x)


@every_peer
@every_shape
def test_ours_come_back_bit_for_bit_and_compute_the_same_there(
    peer: str, layers: int, both: bool
) -> None:
    body = body_for(PEERS[peer], layers, both)
    theirs = to_flax(body)
    same(from_flax(theirs), body)
    x = inputs(1, body.d_in)
    reads(body, x, outputs(theirs, x))


@pytest.mark.parametrize("make", [nnx.SimpleCell, nnx.GRUCell, nnx.OptimizedLSTMCell])
def test_theirs_come_back_with_the_same_outputs(make: Any) -> None:
    rngs = nnx.Rngs(3)
    theirs = [
        nnx.Bidirectional(*(nnx.RNN(make(D, 3, rngs=rngs)) for _ in range(2))) for D in (2, 6)
    ]
    x = inputs(2, 2)
    wanted = outputs(theirs, x)
    reads(from_flax(theirs), x, wanted)
    np.testing.assert_array_equal(outputs(to_flax(from_flax(theirs)), x), wanted)


def test_what_flax_does_not_have_is_refused_by_name() -> None:
    for cell, said in (
        (MGU(), "MGU: Flax has no such layer"),
        (Elman(activation="linear"), "Elman linear: Flax has no such layer"),
        (GRU(), "c_n is not zero"),
    ):
        with pytest.raises(UsageError, match=said):
            to_flax(network(cell, 1, None, seed=1).body)
    with pytest.raises(UsageError, match="merge: 'mul'"):
        to_flax(network(LSTM(), 1, "mul", seed=1).body)


RNGS = nnx.Rngs(0)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nnx.RNN(nnx.LSTMCell(2, 3, rngs=RNGS)), "LSTMCell: no counterpart here"),
        (nnx.Linear(2, 3, rngs=RNGS), "Linear: no counterpart here"),
        (nnx.RNN(nnx.GRUCell(2, 3, activation_fn=jnp.sin, rngs=RNGS)), "GRUCell: activation_fn"),
        (nnx.RNN(nnx.SimpleCell(2, 3, residual=True, rngs=RNGS)), "SimpleCell: reverse, residual"),
        (
            nnx.Bidirectional(
                *(nnx.RNN(nnx.GRUCell(2, 3, rngs=RNGS)) for _ in range(2)), merge_fn=jnp.add
            ),
            "merge_fn: give one that concatenates",
        ),
    ],
)
def test_what_has_no_counterpart_here_is_refused_by_name(module: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        from_flax([module])
