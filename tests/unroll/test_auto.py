"""What Auto picks follows from the table and from nothing else, and it says so."""

import logging
from typing import Any

import jax
import numpy as np
import pytest

from lstm_lab.cells.base import Cell
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.min_gru import MinGRU
from lstm_lab.unroll import Associative, Auto, Schedule, Sequential, auto, unroll

MEASURED = {"cpu": auto.Crossover(None, 1000), "gpu": auto.Crossover(200, 1000)}


@pytest.mark.parametrize(
    ("cell", "steps", "device", "picked", "said"),
    [
        (MinGRU(), 199, "gpu", Sequential(), "faster on a gpu below 200 steps"),
        (MinGRU(), 200, "gpu", Associative(), "faster on a gpu from 200 steps"),
        (MinGRU(), 9999, "cpu", Sequential(), "at every length up to 1,000"),
        (MinGRU(), 9999, "tpu", Sequential(), "no crossover has been measured on a tpu"),
        (GRU(), 9999, "gpu", Sequential(), "not linear"),
    ],
    ids=str,
)
def test_the_table_decides(
    cell: Cell,
    steps: int,
    device: str,
    picked: Schedule,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auto, "CROSSOVERS", MEASURED)
    schedule, reason = auto.pick(cell, steps, device)
    assert schedule == picked
    assert said in reason


def test_the_choice_is_run_and_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(auto, "CROSSOVERS", {"cpu": auto.Crossover(3, 1000)})
    auto._say.cache_clear()
    cell = MinGRU()
    params = cell.init(jax.random.key(0), 2, 3)
    x: Any = np.random.default_rng(0).normal(size=(2, 4, 2)).astype(np.float32)
    with caplog.at_level(logging.INFO, "lstm_lab"):
        for _ in range(2):
            got = unroll(cell, params, x, schedule=Auto())
    wanted = unroll(cell, params, x, schedule=Associative())
    jax.tree.map(np.testing.assert_array_equal, got, wanted)
    assert [record.getMessage() for record in caplog.records] == [
        "Auto: minGRU: Associative: faster on a cpu from 3 steps"
    ]
