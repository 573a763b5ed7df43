"""What one accelerator makes of the lab, within minutes: `make accelerator`.

Needs jax, flax, optax and numpy alone, so that it runs where nothing can be installed. In this order, and each
only while there is time: does every schedule that serves a cell agree with the loop here; how long does a
training step take at the benchmark's shapes, by the loop and by cuDNN; what do more seeds cost; from how many
steps on does another schedule beat the loop. Products are in float32, as on a CPU; the LSTM's training step is also
timed as the device multiplies unless asked, which on NVIDIA and TPU rounds to fewer bits. What fails, for want of
memory say, is written down and does not keep the rest from being asked.

It prints as it goes, keeps a file of what it has so far, and ends with its tables: beside that file, and in
README.md where that has a place for them. `--tables FILE` makes them again of a file measured elsewhere.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from lstm_lab.bench import accelerator_tables as tables
from lstm_lab.bench import crossover, problem
from lstm_lab.bench.contenders.jax_cudnn import JaxCuDNN
from lstm_lab.bench.contenders.ours import Ours
from lstm_lab.bench.results import write
from lstm_lab.bench.schedules import every_cell, every_schedule, pairs
from lstm_lab.bench.workload import CELLS, SHAPES, Workload
from lstm_lab.cells.base import Cell
from lstm_lab.cells.lru import LRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.devices import exact, use_all_cores
from lstm_lab.errors import one_line
from lstm_lab.provenance import environment
from lstm_lab.unroll import Auto, Sequential, unroll

SEEDS = (1, 4, 16, 64, 256)
LENGTHS = (100, 1_000, 10_000, 100_000)
# Steps of training in a compiled call, and how often each call is timed.
STEPS, ROUNDS = 10, 5

Results = dict[str, Any]


class Item(NamedTuple):
    """One thing that is asked; what it answers comes as records."""

    label: str
    ask: Callable[[], Iterator[Results]]


def in_turns(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, one number per round; every call once before, to compile."""
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def parity(cells: Sequence[Cell]) -> Iterator[Results]:
    """Cells under every schedule: the greatest difference from the loop, or why there is none."""
    schedules = [one for one in every_schedule() if not isinstance(one, Auto | Sequential)]
    for pair in pairs(cells, schedules):
        yield {**pair._asdict(), "verdict": pair.verdict}


# What JAX calls the ways of multiplying, by their names in tables.
PRECISIONS: Mapping[str, str | None] = {"float32": "highest", "default": None}


def shape(workload: Workload, precision: str, steps: int, rounds: int) -> Iterator[Results]:
    """Milliseconds of a training step, by the loop and, where it serves, by cuDNN."""
    weights = problem.laid_out("own", problem.parameters(workload))
    kinds: list[type[Ours]] = [Ours]
    if jax.default_backend() == "gpu" and not JaxCuDNN.refusal(workload):
        kinds.append(JaxCuDNN)
    with jax.default_matmul_precision(PRECISIONS[precision]):
        running = {kind.name: kind(workload, workload.data(), weights) for kind in kinds}
        calls = {name: lambda one=one: one.train(steps) for name, one in running.items()}
        for name, seconds in in_turns(calls, rounds).items():
            milliseconds = [1e3 * s / steps for s in seconds]
            yield {
                "network": workload.label,
                "precision": precision,
                "by": name,
                "milliseconds": milliseconds,
                "operations per second": workload.flops("train") / min(milliseconds) * 1e3,
            }


def seeds(count: int, workload: Workload, rounds: int) -> Iterator[Results]:
    """Milliseconds of a training step of several seeds in one program, `vmap` over their parameters."""
    cell = LSTM()
    data = jax.tree.map(jnp.asarray, workload.data())

    def loss(params: Any) -> jax.Array:
        _, y = unroll(cell, params, data["x"])
        return jnp.mean((y - data["target"]) ** 2)

    def train(params: Any, _: Any) -> Any:
        gradient = jax.vmap(jax.grad(loss))(params)
        return jax.tree.map(lambda p, g: p - 1e-3 * g, params, gradient), None

    run = jax.jit(lambda params: lax.scan(train, params, length=STEPS)[0])
    keys = jax.random.split(jax.random.key(0), count)
    drawn = jax.vmap(lambda key: cell.init(key, workload.inputs, workload.hidden))(keys)
    with exact():
        seconds = in_turns({"": lambda: jax.block_until_ready(run(drawn))}, rounds)[""]
    milliseconds = [1e3 * s / STEPS for s in seconds]
    yield {
        "network": workload.label,
        "seeds": count,
        "milliseconds": milliseconds,
        "milliseconds per seed": median(milliseconds) / count,
    }


def crossovers(steps: int, cell: Cell, rounds: int) -> Iterator[Results]:
    """Every schedule's time by the loop's, of one cell at one length."""
    for timing in crossover.measure((steps,), replace(crossover.Shape(), rounds=rounds), (cell,)):
        yield asdict(timing)


def parts(tiny: bool) -> dict[str, list[Item]]:
    """What is asked, in order; `tiny` asks the same of sizes that take seconds."""
    steps, rounds = (2, 2) if tiny else (STEPS, ROUNDS)
    small = Workload("LSTM", 4, 10, 3, 8)
    cells = [LRU(), LSTM()] if tiny else every_cell()
    workloads = [small] if tiny else [Workload(cell, *sizes) for sizes in SHAPES for cell in CELLS]
    lstm = [workload for workload in workloads if workload.cell == "LSTM"]
    timed = [(w, "float32") for w in workloads] + [(w, "default") for w in lstm]
    many = small if tiny else Workload("LSTM", 32, 128, 128, 128)
    return {
        "parity": [Item("every cell", partial(parity, cells))],
        "shapes": [Item(f"{w.label}, {p}", partial(shape, w, p, steps, rounds)) for w, p in timed],
        "seeds": [
            Item(f"{n} seeds", partial(seeds, n, many, rounds)) for n in ((1, 2) if tiny else SEEDS)
        ],
        "crossovers": [
            Item(f"{cell.label}, {T:,} steps", partial(crossovers, T, cell, rounds))
            for T in ((10,) if tiny else LENGTHS)
            for cell in crossover.CELLS
        ],
    }


def measure(asked: Mapping[str, Sequence[Item]], minutes: float, out: Path) -> Path:
    """Ask as much as there is time for, and write it down.

    Args:
        asked: by part, in order.
        minutes: after which no further item is begun.
        out: folder of the record, which is written after every item.

    Returns:
        The record's file.
    """
    end = time.monotonic() + 60 * minutes
    record: Results = {
        "device": jax.devices()[0].device_kind,
        "environment": environment(),
        "failed": [],
        "left out": [],
        **{name: [] for name in asked},
    }
    for name, label, ask in ((name, *item) for name, items in asked.items() for item in items):
        if time.monotonic() > end:
            record["left out"].append(f"{name}: {label}")
            continue
        try:
            for answer in ask():
                record[name].append(answer)
                print(name, json.dumps(answer), flush=True)
        except Exception as error:  # whatever it is, the device is still there for the rest
            why = f"{name}: {label}: {type(error).__name__}: {one_line(error)[:300]}"
            record["failed"].append(why)
            print(f"failed: {why}", flush=True)
        write(out, record, "accelerator")
    return write(out, record, "accelerator")


def main() -> None:
    """Measure and make tables, or make tables alone."""
    parser = argparse.ArgumentParser(prog="make accelerator", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("experiments/results"))
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--minutes", type=float, default=8.5, help="stop asking after as many")
    parser.add_argument("--tiny", action="store_true", help="sizes that take seconds, to try it")
    parser.add_argument("--tables", type=Path, metavar="FILE", help="measure nothing")
    options = parser.parse_args()
    path = options.tables
    if path is None:
        use_all_cores()
        if jax.default_backend() == "cpu" and not options.tiny:
            parser.error(
                "JAX finds a CPU alone here: install it for the accelerator, or try this with --tiny"
            )
        device = jax.devices()[0].device_kind
        print(f"{device} x{jax.device_count()}, jax {jax.__version__}", flush=True)
        path = measure(parts(options.tiny), options.minutes, options.out)
    record = json.loads(path.read_text())
    path.with_suffix(".md").write_text(tables.page(record))
    print(tables.page(record))
    placed = not options.tiny and tables.place(options.readme, record)
    print(f"wrote {path}, its tables beside it{f' and in {options.readme}' if placed else ''}")
    bad = record["failed"] + tables.wrong(record)
    if bad:
        sys.exit(f"error: {len(bad)} of what was asked failed or disagrees: {'; '.join(bad)}")


if __name__ == "__main__":
    main()
