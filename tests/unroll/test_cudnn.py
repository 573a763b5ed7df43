"""The cuDNN schedule, as far as a machine without the library can see: what it refuses, and what it sends."""

from typing import Any

import jax
import numpy as np
import pytest
from jax.experimental import rnn

from lstm_lab.cells.base import Cell
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.devices import exact
from lstm_lab.errors import UsageError
from lstm_lab.unroll import CuDNN, Sequential, unroll
from lstm_lab.unroll.cudnn import packed

B, T, D, H = 3, 5, 2, 4
on_a_gpu = pytest.mark.skipif(jax.default_backend() != "gpu", reason="needs an NVIDIA GPU")


def problem(cell: Cell) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda p: rng.normal(size=p.shape).astype(np.float32), cell.init(jax.random.key(0), D, H)
    )
    carry = jax.tree.map(
        lambda c: rng.normal(size=c.shape).astype(np.float32), cell.carry(params, B)
    )
    return params, carry, rng.normal(size=(B, T, D)).astype(np.float32)


def reference(x: Any, h: Any, c: Any, weights: Any, lengths: Any, *sizes: Any) -> Any:
    """`rnn.lstm` as its own module writes it in JAX, which runs anywhere."""
    d_in, d_hidden, layers, dropout, both, _ = sizes
    unpacked = rnn.unpack_lstm_weights(weights, d_in, d_hidden, layers, both)
    return rnn.lstm_ref(
        x, h, c, *unpacked, lengths, d_in, d_hidden, layers, dropout=dropout, bidirectional=both
    )


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_what_is_sent_to_the_library_means_the_loops_numbers(
    reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = LSTM()
    params, carry, x = problem(cell)
    wanted = unroll(cell, params, x, carry=carry, reverse=reverse)
    monkeypatch.setattr(rnn, "lstm", reference)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    got = unroll(cell, params, x, carry=carry, reverse=reverse, schedule=CuDNN())
    jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, atol=1e-6), got, wanted)


@pytest.mark.parametrize(
    ("asked", "rounds"),
    [
        (None, True),
        ("default", True),
        ("tensorfloat32", True),
        ("float32", False),
        ("highest", False),
    ],
)
def test_the_library_rounds_where_every_other_product_does(
    asked: str | None, rounds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    def noted(*given: Any) -> Any:
        sent.append(given[-1])
        return reference(*given)

    params, carry, x = problem(LSTM())
    monkeypatch.setattr(rnn, "lstm", noted)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with jax.default_matmul_precision(asked):
        unroll(LSTM(), params, x, carry=carry, schedule=CuDNN())
    precision = jax.lax.Precision.HIGH if rounds else jax.lax.Precision.HIGHEST
    assert sent == [(precision, precision)]


def test_every_weight_is_sent_once() -> None:
    params, _, _ = problem(LSTM())
    assert packed(params).shape == (rnn.get_num_params_in_lstm(D, H, 1, False),)


@pytest.mark.parametrize(
    ("cell", "how", "said"),
    [
        (GRU(), {}, "GRU is not the LSTM"),
        (LSTM(), {"lengths": np.full(B, T)}, "LSTM with a mask or lengths"),
        (LSTM(), {"reset": np.zeros((B, T), bool)}, "LSTM with resets"),
    ],
    ids=["another cell", "lengths", "resets"],
)
def test_what_the_library_cannot_is_refused_with_what_to_do(
    cell: Cell, how: dict[str, Any], said: str
) -> None:
    params, carry, x = problem(cell)
    with pytest.raises(UsageError, match=f"CuDNN: {said}.*Sequential or Auto"):
        unroll(cell, params, x, carry=carry, schedule=CuDNN(), **how)


@pytest.mark.skipif(jax.default_backend() == "gpu", reason="there is a GPU here")
def test_without_a_gpu_it_says_so() -> None:
    params, carry, x = problem(LSTM())
    with pytest.raises(UsageError, match="LSTM on cpu: it needs an NVIDIA GPU"):
        unroll(LSTM(), params, x, carry=carry, schedule=CuDNN())


@on_a_gpu
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_the_library_computes_the_loops_numbers_and_gradients(reverse: bool) -> None:
    cell = LSTM()
    given = problem(cell)

    def read(schedule: Any) -> Any:
        def loss(params: Any, carry: Any, x: Any) -> Any:
            out = unroll(cell, params, x, carry=carry, reverse=reverse, schedule=schedule)
            return sum((leaf**2).sum() for leaf in jax.tree.leaves(out))

        with exact():
            return jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(*given)

    jax.tree.map(
        lambda g, w: np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-5),
        read(CuDNN()),
        read(Sequential()),
    )
