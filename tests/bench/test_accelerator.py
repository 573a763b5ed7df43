"""The accelerator's script: what it keeps, what it says of it, and that it runs where little is installed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lstm_lab.bench import accelerator_tables as tables
from lstm_lab.bench.accelerator import Item, measure

ROOT = Path(__file__).parents[2]
# Dependencies of the project that a machine without network may lack.
ABSENT = ("datasets", "matplotlib", "safetensors", "scipy", "tyro")
RUN = f"""
import runpy, sys
for name in {ABSENT}:
    sys.modules[name] = None
sys.argv = ["accelerator", *sys.argv[1:]]
runpy.run_module("lstm_lab.bench.accelerator", run_name="__main__")
"""


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.variant
def test_it_measures_everything_with_jax_flax_optax_and_numpy_alone(tmp_path: Path) -> None:
    done = run("--tiny", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("accelerator-*.json")
    record = json.loads(path.read_text())
    assert record["failed"] == record["left out"] == []
    verdicts = {(pair["cell"], pair["schedule"]): pair["verdict"] for pair in record["parity"]}
    assert verdicts.pop(("LSTM", "CuDNN")) == "no"
    assert verdicts == {
        ("LRU", "Associative"): "yes",
        ("LRU", "CuDNN"): "no",
        ("LRU", "Newton"): "yes",
        ("LSTM", "Associative"): "no",
        ("LSTM", "Newton"): "yes",
    }
    assert all(one["milliseconds"][0] > 0 for one in record["shapes"] + record["seeds"])
    assert [one["precision"] for one in record["shapes"]] == ["float32", "default"]
    assert {one["schedule"] for one in record["crossovers"]} == {
        "Sequential",
        "Associative",
        "Newton",
    }
    assert tables.page(record) in done.stdout
    assert path.with_suffix(".md").read_text() == tables.page(record)


def test_a_machine_without_an_accelerator_is_told_so(tmp_path: Path) -> None:
    done = run("--out", tmp_path)
    assert done.returncode == 2
    assert "JAX finds a CPU alone" in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_fails_or_comes_too_late_is_said_and_the_rest_is_kept(tmp_path: Path) -> None:
    def good() -> Iterator[dict[str, Any]]:
        yield {"number": 1}

    def bad() -> Iterator[dict[str, Any]]:
        yield {"number": 2}
        raise MemoryError("too\nlarge")

    asked = {"first": [Item("a", bad), Item("b", good)], "second": [Item("c", good)]}
    record = json.loads(measure(asked, 1.0, tmp_path).read_text())
    assert record["first"] == [{"number": 2}, {"number": 1}]
    assert record["second"] == [{"number": 1}]
    assert record["failed"] == ["first: a: MemoryError: too large"]
    record = json.loads(measure(asked, -1.0, tmp_path).read_text())
    assert record["first"] == record["second"] == []
    assert record["left out"] == ["first: a", "first: b", "second: c"]


def timed(network: str, precision: str, by: str, *milliseconds: float) -> dict[str, Any]:
    return {"network": network, "precision": precision, "by": by, "milliseconds": milliseconds}


def crossed(schedule: str, steps: int, milliseconds: float, *ratios: float) -> dict[str, Any]:
    names = ("ratio", "fewest", "most")
    return {
        "cell": "LRU",
        "schedule": schedule,
        "steps": steps,
        "milliseconds": milliseconds,
        **dict(zip(names, ratios, strict=True)),
    }


RECORD = {
    "device": "Abacus 3",
    "environment": {"versions": {"jax": "9.9"}},
    "failed": ["seeds: 256 seeds: MemoryError: too large"],
    "left out": ["crossovers: LRU, 100 steps"],
    "parity": [
        {"cell": "GRU", "schedule": "Newton", "verdict": "wrong (1e-02)"},
        {"cell": "GRU", "schedule": "CuDNN", "verdict": "no"},
        {"cell": "LSTM", "schedule": "CuDNN", "verdict": "yes"},
    ],
    "shapes": [
        timed("LSTM 1,2,3,4", "float32", "lstm_lab", 2.0, 3.0, 6.0),
        timed("LSTM 1,2,3,4", "float32", "jax.experimental.rnn", 1.0, 2.0, 3.0),
        timed("GRU 1,2,3,4", "float32", "lstm_lab", 1.0, 1.5, 2.0),
        timed("LSTM 1,2,3,4", "default", "lstm_lab", 0.5, 0.5, 0.5),
    ],
    "seeds": [
        {"network": "LSTM 1,2,3,4", "seeds": 1, "milliseconds per seed": 4.0},
        {"network": "LSTM 1,2,3,4", "seeds": 64, "milliseconds per seed": 0.25},
    ],
    "crossovers": [
        crossed("Sequential", 10, 2.0, 1.0, 1.0, 1.0),
        crossed("Associative", 10, 4.0, 2.0, 1.5, 2.5),
        crossed("Sequential", 100, 20.0, 1.0, 1.0, 1.0),
    ],
}
EXCERPT = """\
One Abacus 3, jax 9.9: of 2 pairs of a cell and a schedule that serves it, 1 agree with the loop in outputs and all \
gradients.
Not: GRU under Newton: wrong (1e-02).

| training step, ms | loop, float32 | cuDNN, float32 | loop, default | loop / cuDNN, float32 |
| --- | --- | --- | --- | --- |
| LSTM 1,2,3,4 | 3 [2, 6] | 2 [1, 3] | 0.5 [0.5, 0.5] | 2.00 [1.50, 2.00] |

| LSTM 1,2,3,4, float32: seeds in one program | 1 | 64 |
| --- | --- | --- |
| ms of a step, per seed | 4 | 0.25 |

| cell | schedule, float32; time by the loop's | T=10 | T=100 |
| --- | --- | --- | --- |
| LRU | Sequential | 2 ms | 20 ms |
| LRU | Associative | 2.00 [1.50, 2.50] |  |

Failed: seeds: 256 seeds: MemoryError: too large.

No time for: crossovers: LRU, 100 steps.
"""


def test_the_tables_have_every_number_and_what_is_missing() -> None:
    assert tables.excerpt(RECORD) == EXCERPT
    assert "| GRU 1,2,3,4 | 1.5 [1, 2] |  |  |  |\n" in tables.page(RECORD)
    assert tables.wrong(RECORD) == ["GRU under Newton: wrong (1e-02)"]


def test_a_page_gets_each_device_once_and_keeps_the_rest(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n\n<!-- accelerator none yet -->\nnone\n<!-- end -->\nafter\n")
    one = f"<!-- accelerator Abacus 3 -->\n{EXCERPT}<!-- end -->\n"
    for _ in range(2):
        assert tables.place(readme, RECORD)
        assert readme.read_text() == f"before\n\n{one}after\n"
    assert tables.place(readme, {**RECORD, "device": "Abacus 4"})
    assert readme.read_text() == f"before\n\n{one}\n{one.replace('Abacus 3', 'Abacus 4')}after\n"
    readme.write_text("no place\n")
    assert not tables.place(readme, RECORD)
    assert not tables.place(tmp_path / "absent.md", RECORD)
    assert readme.read_text() == "no place\n"


def test_the_readme_has_what_the_records_kept_beside_it_say() -> None:
    readme = (ROOT / "README.md").read_text()
    kept = list((ROOT / "experiments" / "results").glob("accelerator-*.json"))
    for path in kept:
        assert tables.excerpt(json.loads(path.read_text())) in readme
    assert (tables.BEGIN.format(device=tables.NOBODY) in readme) is not bool(kept)
