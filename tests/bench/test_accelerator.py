"""The accelerator's script, where nothing is installed but what it says it needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Dependencies of the project that a machine without network may lack.
ABSENT = ("datasets", "matplotlib", "safetensors", "scipy", "tyro")
RUN = f"""
import runpy, sys
for name in {ABSENT}:
    sys.modules[name] = None
sys.argv = ["accelerator", "--tiny", "--out", sys.argv[1]]
runpy.run_module("lstm_lab.bench.accelerator", run_name="__main__")
"""


@pytest.mark.variant
def test_it_measures_everything_with_jax_flax_optax_and_numpy_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("accelerator-*.json")
    record = json.loads(path.read_text())
    assert record["left out"] == []
    assert [pair["verdict"] for pair in record["parity"]] == ["no", "yes", "no"]
    assert all(one["milliseconds"][0] > 0 for one in record["shapes"] + record["seeds"])
    assert {one["schedule"] for one in record["crossovers"]} == {
        "Sequential",
        "Associative",
        "Newton",
    }
