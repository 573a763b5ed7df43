"""What one accelerator makes of the lab, within minutes: `make accelerator`.

Needs jax, flax, optax and numpy alone, so that it runs where nothing can be installed. In this order, and each
only while there is time: does every schedule that serves a cell agree with the loop here; how long does a
training step take at the benchmark's shapes, by the loop and by cuDNN; from how many steps on does another
schedule beat the loop; what do more seeds cost. It prints as it goes and ends with a file of it all.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from lstm_lab.bench import crossover, problem
from lstm_lab.bench.contenders.jax_cudnn import JaxCuDNN
from lstm_lab.bench.contenders.ours import Ours
from lstm_lab.bench.results import write
from lstm_lab.bench.schedules import every_pair
from lstm_lab.bench.workload import CELLS, SHAPES, Workload
from lstm_lab.cells.lstm import LSTM
from lstm_lab.devices import use_all_cores
from lstm_lab.provenance import environment
from lstm_lab.unroll import unroll

SEEDS = (1, 4, 16, 64, 256)
LENGTHS = (100, 1_000, 10_000, 100_000)
# Steps of training in a compiled call, and how often each call is timed.
STEPS, ROUNDS = 10, 5

Results = dict[str, Any]


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


def parity() -> Iterator[Results]:
    """Every cell under every schedule: the greatest difference from the loop, or why it is not served."""
    for pair in every_pair():
        if pair.schedule != "Sequential":
            yield {**pair._asdict(), "verdict": pair.verdict}


def shapes(workloads: list[Workload], steps: int, rounds: int) -> Iterator[Results]:
    """Milliseconds of a training step, by the loop and, where it serves, by cuDNN."""
    for workload in workloads:
        weights = problem.laid_out("own", problem.parameters(workload))
        kinds: list[type[Ours]] = [Ours]
        if jax.default_backend() == "gpu" and not JaxCuDNN.refusal(workload):
            kinds.append(JaxCuDNN)
        running = {kind.name: kind(workload, workload.data(), weights) for kind in kinds}
        calls = {name: lambda one=one: one.train(steps) for name, one in running.items()}
        for name, seconds in in_turns(calls, rounds).items():
            milliseconds = [1e3 * s / steps for s in seconds]
            share = workload.flops("train") / min(milliseconds) * 1e3
            yield {
                "network": workload.label,
                "by": name,
                "milliseconds": milliseconds,
                "operations per second": share,
            }


def crossovers(lengths: tuple[int, ...], rounds: int) -> Iterator[Results]:
    """Every schedule's time by the loop's, at each length."""
    for timing in crossover.measure(lengths, replace(crossover.Shape(), rounds=rounds)):
        yield asdict(timing)


def seeds(counts: tuple[int, ...], workload: Workload, rounds: int) -> Iterator[Results]:
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
    for count in counts:
        keys = jax.random.split(jax.random.key(0), count)
        drawn = jax.vmap(lambda key: cell.init(key, workload.inputs, workload.hidden))(keys)
        call = lambda drawn=drawn: jax.block_until_ready(run(drawn))  # noqa: E731
        seconds = in_turns({"": call}, rounds)[""]
        milliseconds = [1e3 * s / STEPS for s in seconds]
        yield {
            "network": workload.label,
            "seeds": count,
            "milliseconds": milliseconds,
            "milliseconds per seed": median(milliseconds) / count,
        }


def parts(tiny: bool) -> dict[str, Iterator[Results]]:
    """What is asked, in order; `tiny` asks the same of sizes that take seconds."""
    small = Workload("LSTM", 4, 10, 3, 8)
    if tiny:
        return {
            "parity": islice(parity(), 3),
            "shapes": shapes([small], 2, 2),
            "crossovers": crossovers((10,), 2),
            "seeds": seeds((1, 2), small, 2),
        }
    workloads = [Workload(cell, *shape) for shape in SHAPES for cell in CELLS]
    return {
        "shapes": shapes(workloads, STEPS, ROUNDS),
        "seeds": seeds(SEEDS, Workload("LSTM", 32, 128, 128, 128), ROUNDS),
        "crossovers": crossovers(LENGTHS, ROUNDS),
        "parity": parity(),
    }


def main() -> None:
    """Ask as much as there is time for, and write it down."""
    parser = argparse.ArgumentParser(prog="make accelerator", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("experiments/results"))
    parser.add_argument("--minutes", type=float, default=8.5, help="stop asking after as many")
    parser.add_argument("--tiny", action="store_true", help="sizes that take seconds, to try it")
    options = parser.parse_args()
    use_all_cores()
    end = time.monotonic() + 60 * options.minutes
    device = jax.devices()[0].device_kind
    print(f"{device} x{jax.device_count()}, jax {jax.__version__}", flush=True)
    record: Results = {"device": device, "environment": environment(), "left out": []}
    try:
        for name, results in parts(options.tiny).items():
            record[name] = []
            for result in results:
                record[name].append(result)
                print(name, json.dumps(result), flush=True)
                if time.monotonic() > end:
                    record["left out"].append(name)
                    break
    finally:  # what was measured before something failed is worth as much
        path = write(options.out, record, "accelerator")
        print(f"wrote {path}")
    if record["left out"]:
        print(f"no time for all of: {', '.join(record['left out'])}")


if __name__ == "__main__":
    main()
