"""What is shown of a cell is its carry after each symbol, and the gate that its equations have."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.mlstm import MLSTM
from lstm_lab.inspect import states as module
from lstm_lab.inspect.states import states
from lstm_lab.layers.attention import CausalAttention
from lstm_lab.model import Model
from tests.inspect.known import drawn, text


def test_an_lstm_keeps_by_its_forget_gate_and_writes_by_the_input_gate(tmp_path: Path) -> None:
    task = text(tmp_path)
    network, params = drawn(task, Model(cell=LSTM()))
    ids = task.load()["train"][:12]
    found = {
        (leaf.name, leaf.kind): leaf.value[0]
        for leaf in states(network, params, ids[None], gates=True)
    }
    assert set(found) == {("h", "state"), ("c", "state"), ("c", "kept"), ("c", "written")}
    own = params["body"]["params"]
    h = np.concatenate([np.zeros((1, 4)), found["h", "state"][:-1]])
    a = np.eye(task.d_in)[ids] @ own["W"][...] + h @ own["U"][...] + own["b"][...]
    i, f, g, _ = np.split(a, 4, axis=1)
    sigmoid = jax.nn.sigmoid
    np.testing.assert_allclose(found["c", "kept"], sigmoid(jnp.asarray(f)), atol=1e-5)
    np.testing.assert_allclose(
        found["c", "written"], sigmoid(jnp.asarray(i)) * np.tanh(g), atol=1e-5
    )


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (Model(cell=Elman(), layers=2), {(1, "h", "state"), (2, "h", "state")}),
        (Model(cell=CausalAttention(heads=1)), set()),
    ],
    ids=lambda value: value.label if isinstance(value, Model) else "",
)
def test_what_has_no_gate_shows_its_carry_alone(
    model: Model, wanted: set[tuple[int, str, str]], tmp_path: Path
) -> None:
    task = text(tmp_path)
    network, params = drawn(task, model)
    found = states(network, params, task.load()["train"][None, :6], gates=True)
    assert {(leaf.layer, leaf.name, leaf.kind) for leaf in found} == wanted


def test_a_large_state_is_shown_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNITS", 6)
    task = text(tmp_path)
    network, params = drawn(task, Model(cell=MLSTM()))
    C, *_ = states(network, params, task.load()["train"][None, :6], gates=True)
    assert (C.name, C.unit.tolist()) == ("C", [0, 3, 6, 9, 12, 15])
    assert C.value.shape == (1, 6, 6)
