"""The cells against `flax.nnx`, run by its own `RNN` and `Bidirectional`."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from lstm_lab import layouts
from lstm_lab.cells.base import Cell
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from tests.parity.common import Answer, Case, agree, case, ours

pytestmark = pytest.mark.usefixtures("optimised")


def plain(params: Any) -> Any:
    """A module's tree of the layout's dotted names."""
    tree: dict[str, dict[str, Any]] = {}
    for path, leaf in layouts.flax(params).items():
        module, name = path.split(".")
        tree.setdefault(module, {})[name] = leaf
    return tree


def lstm(params: Any) -> Any:
    """A layer per gate and side."""
    weights = {}
    W, U, b = (jnp.split(leaf, 4, axis=-1) for leaf in params)
    for n, gate in enumerate("ifgo"):
        inputs = "if_" if gate == "f" else f"i{gate}"
        weights[inputs] = {"kernel": W[n]}
        weights[f"h{gate}"] = {"kernel": U[n], "bias": b[n]}
    return weights


PEERS = {
    "SimpleCell": (Elman(), nnx.SimpleCell, plain),
    "SimpleCell relu": (
        Elman(activation="relu"),
        partial(nnx.SimpleCell, activation_fn=jax.nn.relu),
        plain,
    ),
    "OptimizedLSTMCell": (LSTM(), nnx.OptimizedLSTMCell, plain),
    "LSTMCell": (LSTM(), nnx.LSTMCell, lstm),
    "GRUCell": (GRU(), nnx.GRUCell, plain),
}


def carries(cell: Cell, states: Any) -> Any:
    """nnx hands back c before h."""
    return [s[::-1] if isinstance(cell, LSTM) else (s,) for s in states]


def theirs(cell: Cell, make: Any, mapping: Any, given: Case) -> Answer:
    D, H = given.x.shape[-1], jax.tree.leaves(given.d_final)[0].shape[-1]

    @jax.jit
    def answer(params: Any, x: Any) -> Answer:
        def run(params: Any, x: Any) -> Any:
            cells = [make(D, H, rngs=nnx.Rngs(0)) for _ in range(2)]
            for theirs, arrays in zip(cells, params, strict=True):
                nnx.update(theirs, mapping(arrays))
            both = nnx.Bidirectional(nnx.RNN(cells[0]), nnx.RNN(cells[1]), return_carry=True)
            states, y = both(x, seq_lengths=jnp.array(given.lengths))
            return given.cut(y), carries(cell, states)

        (y, final), pull = jax.vjp(run, params, x)
        d_final = [tuple(d) for d in given.d_final]
        return Answer(y, final, *pull((given.d_y, d_final)))

    return answer(given.params, given.x)


CASES = [*enumerate(PEERS), (5, "OptimizedLSTMCell")]
# One of each recurrence: full sequences through an LSTM, cut ones through the others.
SAMPLE = [(0, "SimpleCell"), (4, "GRUCell"), (5, "OptimizedLSTMCell")]


@pytest.mark.parametrize(
    ("seed", "peer"),
    [pytest.param(*c, marks=() if c in SAMPLE else pytest.mark.variant) for c in CASES],
)
def test_both_directions_agree_with_flax(peer: str, seed: int) -> None:
    cell, make, mapping = PEERS[peer]
    given = case(cell, seed, full=seed == 5)
    if isinstance(cell, GRU):
        given = given._replace(params=tuple(p._replace(c_n=0 * p.c_n) for p in given.params))
    got, wanted = ours(cell, given), theirs(cell, make, mapping, given)
    if isinstance(cell, GRU):
        got = got._replace(d_params=tuple(d._replace(c_n=0 * d.c_n) for d in got.d_params))
    agree(got, wanted)
