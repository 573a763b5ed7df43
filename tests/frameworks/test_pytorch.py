"""Stacks handed to `torch.nn` and taken over from it."""

from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from lstm_lab.cells.base import Cell
from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.lstm_projection import LSTMProjection
from lstm_lab.cells.mgu import MGU
from lstm_lab.errors import UsageError
from lstm_lab.frameworks import from_pytorch, from_state_dict, network_to_pytorch, to_pytorch
from lstm_lab.frameworks.parts import Part, apart, together
from tests.frameworks.common import every_shape, inputs, network, reads, same, sizes

torch = pytest.importorskip("torch", reason="PyTorch is not installed: `make peers` adds it")

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
PEERS: dict[str, tuple[Cell, str, dict[str, Any]]] = {
    "tanh": (Elman(), "RNN", {}),
    "relu": (Elman(activation="relu"), "RNN", {"nonlinearity": "relu"}),
    "LSTM": (LSTM(), "LSTM", {}),
    "GRU": (GRU(), "GRU", {}),
    "projection": (LSTMProjection(expansion=2), "LSTM", {}),
}
every_peer = pytest.mark.parametrize("peer", PEERS)


def layer(peer: str, layers: int, both: bool, seed: int, **settings: Any) -> Any:
    cell, kind, own = PEERS[peer]
    D, H = sizes(seed)
    if isinstance(cell, LSTMProjection):
        own, H = {"proj_size": H}, 2 * H
    torch.manual_seed(seed)
    shape = {"num_layers": layers, "bidirectional": both, "batch_first": True}
    return getattr(torch.nn, kind)(D, H, **shape, **own, **settings)


def tensors(named: Any) -> dict[str, Any]:
    return {name: torch.tensor(np.asarray(leaf)) for name, leaf in named.items()}


def outputs(module: Any, x: np.ndarray) -> Any:
    return module(torch.tensor(x))[0].detach().numpy()


@every_peer
@every_shape
def test_ours_come_back_bit_for_bit_and_compute_the_same_there(
    peer: str, layers: int, both: bool
) -> None:
    body = network(PEERS[peer][0], layers, "concat" if both else None, seed=layers).body
    module = layer(peer, layers, both, seed=layers)
    module.load_state_dict(tensors(to_pytorch(body)))
    same(from_pytorch(module), body)
    x = inputs(1, body.d_in)
    reads(body, x, outputs(module, x))


@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no biases"])
@every_peer
def test_theirs_come_back_with_the_same_outputs(peer: str, bias: bool) -> None:
    theirs = layer(peer, 2, True, seed=5, bias=bias)
    again = layer(peer, 2, True, seed=5)
    again.load_state_dict(tensors(to_pytorch(from_pytorch(theirs))))
    x = inputs(2, theirs.input_size)
    np.testing.assert_allclose(outputs(again, x), outputs(theirs, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
def test_a_whole_network_computes_the_same_there(tied: bool) -> None:
    # A tied output has as many features as the embedding: in torch one layer's units.
    layers, E = (1, sizes(3)[1]) if tied else (2, 4)
    ours = network(LSTM(), layers, None, seed=3, embedding=E, tied=tied)
    vocabulary, H = ours.embed.num_embeddings, ours.body.d_out  # type: ignore[union-attr]
    d_out = vocabulary if tied else 2

    class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(vocabulary, E)
            self.rnn = torch.nn.LSTM(E, H, layers, batch_first=True)
            self.head = torch.nn.Linear(H, d_out)

        def forward(self, x: Any) -> Any:
            return self.head(self.rnn(self.embedding(x))[0])

    net = Net()
    net.load_state_dict(tensors(network_to_pytorch(ours)))
    x = np.random.default_rng(0).integers(0, vocabulary, (2, 4)).astype(np.int32)
    graph, params = nnx.split(ours)
    got = jax.jit(lambda params, x: nnx.merge(graph, params)(x)[1])(params, x)
    wanted = net(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_what_torch_does_not_have_is_refused_by_name() -> None:
    for cell, name in ((MGU(), "MGU"), (GRU("before"), "GRU reset before")):
        with pytest.raises(UsageError, match=f"{name}: torch.nn has no such layer"):
            to_pytorch(network(cell, 1, None, seed=1).body)
    with pytest.raises(UsageError, match=r"'sum': torch\.nn knows concat alone"):
        to_pytorch(network(GRU(), 1, "sum", seed=1).body)
    with pytest.raises(UsageError, match="residual, norm"):
        to_pytorch(network(GRU(), 2, None, seed=1, norm=True).body)
    (part,) = apart(network(GRU(), 1, None, seed=3).body)
    (wide,) = apart(network(LSTM(), 1, None, seed=3).body)
    W = np.zeros((part.params[0].U.shape[0], wide.params[0].W.shape[1]), np.float32)
    upper = Part(LSTM(), (wide.params[0]._replace(W=W),))
    with pytest.raises(UsageError, match="its layers differ"):
        to_pytorch(together([part, upper]))


def test_what_has_no_counterpart_here_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="LSTMCell: no counterpart"):
        from_pytorch(torch.nn.LSTMCell(2, 3))
    with pytest.raises(UsageError, match="Linear: no counterpart"):
        from_pytorch(torch.nn.Linear(2, 3))
    with pytest.raises(UsageError, match="proj_size 2: 5 cells"):
        from_pytorch(torch.nn.LSTM(2, 5, proj_size=2))
    named = to_pytorch(network(LSTM(), 2, "concat", seed=2).body)
    with pytest.raises(UsageError, match=r"rnn\.bias: no name of"):
        from_state_dict(LSTM(), {"rnn.bias": np.zeros(3)})
    with pytest.raises(UsageError, match="give the torch layer's own cell"):
        from_state_dict(GRU(), named)
    some = {name: leaf for name, leaf in named.items() if "l0_reverse" not in name}
    with pytest.raises(UsageError, match="give all of one"):
        from_state_dict(LSTM(), some)
    with pytest.raises(UsageError, match="give all of one"):
        from_state_dict(LSTM(), {})
