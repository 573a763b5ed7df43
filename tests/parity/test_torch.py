"""The cells against `torch.nn`: packed sequences for the lengths, both directions at once."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.lstm_projection import LSTMProjection
from lstm_lab.errors import UsageError
from lstm_lab.layouts import from_pytorch, pull_back, pytorch
from lstm_lab.unroll import unroll
from tests.parity.common import Answer, Case, agree, case, ours

torch = pytest.importorskip("torch", reason="PyTorch is not installed: `make peers` adds it")

PEERS = {
    "RNN tanh": (Elman(), lambda *sizes, **kw: torch.nn.RNN(*sizes, nonlinearity="tanh", **kw)),
    "RNN relu": (
        Elman(activation="relu"),
        lambda *sizes, **kw: torch.nn.RNN(*sizes, nonlinearity="relu", **kw),
    ),
    "LSTM": (LSTM(), lambda *sizes, **kw: torch.nn.LSTM(*sizes, **kw)),
    "LSTM projection": (
        LSTMProjection(expansion=3),
        lambda D, H, **kw: torch.nn.LSTM(D, 3 * H, proj_size=H, **kw),
    ),
    "GRU": (GRU(), lambda *sizes, **kw: torch.nn.GRU(*sizes, **kw)),
}

pytestmark = pytest.mark.usefixtures("optimised")


def theirs(make: Any, given: Case) -> Answer:
    (_, T, D), H = given.x.shape, jax.tree.leaves(given.d_final)[0].shape[-1]
    layer = make(D, H, batch_first=True, bidirectional=True)
    tensors = [
        {name: getattr(layer, f"{name}_l0{suffix}") for name in pytorch(params)}
        for params, suffix in zip(given.params, ("", "_reverse"), strict=True)
    ]
    with torch.no_grad():
        for named, params in zip(tensors, given.params, strict=True):
            for name, value in pytorch(params).items():
                named[name].copy_(torch.tensor(np.asarray(value)))
    x = torch.tensor(given.x, requires_grad=True)
    pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    packed = pack(x, torch.tensor(given.lengths), batch_first=True, enforce_sorted=False)
    read, states = layer(packed)
    y, _ = pad(read, batch_first=True, total_length=T)
    states = states if isinstance(states, tuple) else (states,)
    d_states = [torch.tensor(np.stack(parts)) for parts in zip(*given.d_final, strict=True)]
    torch.autograd.backward([y, *states], [torch.tensor(given.d_y, dtype=y.dtype), *d_states])
    return Answer(
        y.detach().numpy(),
        [[s[way].detach().numpy() for s in states] for way in range(2)],
        [
            pull_back(pytorch, params, {k: jnp.array(t.grad.numpy()) for k, t in named.items()})
            for named, params in zip(tensors, given.params, strict=True)
        ],
        x.grad.numpy(),
    )


@pytest.mark.parametrize("seed", [2, pytest.param(3, marks=pytest.mark.variant)])
@pytest.mark.parametrize("peer", PEERS)
def test_both_directions_agree_with_torch(peer: str, seed: int) -> None:
    cell, make = PEERS[peer]
    given = case(cell, seed, full=seed == 3)
    agree(ours(cell, given), theirs(make, given))


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no biases"])
@pytest.mark.parametrize("peer", PEERS)
def test_a_layer_of_torch_is_taken_over_with_both_its_biases(peer: str, bias: bool) -> None:
    cell, make = PEERS[peer]
    D, H = 3, 4
    torch.manual_seed(0)
    layer = make(D, H, batch_first=True, bias=bias)
    named = {name.removesuffix("_l0"): p.detach().numpy() for name, p in layer.named_parameters()}
    x = np.random.default_rng(0).normal(size=(2, 5, D)).astype(np.float32)
    _, y = unroll(cell, from_pytorch(cell, named), jnp.asarray(x))
    wanted = layer(torch.tensor(x))[0].detach().numpy()
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)


def test_a_layer_of_another_cell_is_refused() -> None:
    named = {"weight_ih": np.zeros((12, 3)), "weight_hh": np.zeros((12, 4))}
    with pytest.raises(UsageError, match="give the torch layer's own cell"):
        from_pytorch(LSTM(), named)
    with pytest.raises(UsageError, match="no 'weight_hh'"):
        from_pytorch(GRU(), {"weight_ih": named["weight_ih"]})
