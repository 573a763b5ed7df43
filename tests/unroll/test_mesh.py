"""A batch laid over eight devices is the batch on one: an explicit mesh, an automatic one, `shard_map`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("on_eight_devices.py")
ROOT = Path(__file__).parents[2]
KINDS = ("explicit", "auto", "shard_map")
PAIRS = (
    "LSTM,Sequential",
    "MinGRU,Associative",
    "GRU,Sequential:remat=4",
    "LRU,Associative",
    "GRU,Newton",
)
SAMPLE = (
    "LSTM,Sequential,explicit",
    "MinGRU,Associative,explicit",
    "LSTM,Sequential,shard_map",
    *(f"LSTM,Sequential,{kind}:{size}" for kind in KINDS for size in ("large", "even")),
)

SETTINGS = {"JAX_NUM_CPU_DEVICES": "8"}


def differences(cases: list[str]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, SCRIPT, *cases],
        env={**os.environ, **SETTINGS, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param(SAMPLE, id="sample"),
        *(
            pytest.param([f"{pair},{kind}" for kind in KINDS], marks=pytest.mark.variant, id=pair)
            for pair in PAIRS
        ),
    ],
)
def test_eight_devices_compute_what_one_does(cases: list[str]) -> None:
    measured = differences(list(cases))
    assert set(measured) == set(cases)
    assert max(measured.values()) < 1e-5
