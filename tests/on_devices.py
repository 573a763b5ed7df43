"""Train tiny trials on the devices of this process, or of several, and print what came of each.

A process of its own, because the number of devices is fixed when JAX starts: JAX_NUM_CPU_DEVICES=8. Each
argument is a case of `CASES`; `hlo` prints what of a training step's compiled text talks between devices, and
`fit=DIRECTORY` runs a trial whose last process is asked to stop on the way, and then the rest of it.
"""

import json
import re
import signal
import sys
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_lab import devices
from lstm_lab.errors import Interrupted
from lstm_lab.fit import fit
from lstm_lab.model import Model
from lstm_lab.processes import join
from lstm_lab.program import Program
from lstm_lab.progress import Silent
from lstm_lab.signals import Stop
from lstm_lab.tasks.base import Batch
from lstm_lab.tasks.future_tag import FutureTag
from lstm_lab.tasks.text import Text
from lstm_lab.trial import Evaluation, Trial

# These batches are small for the sake of the tests.
devices.LEAST_ROWS = 1


@dataclass(frozen=True)
class Ragged(FutureTag):
    """Future tag with rows of different lengths."""

    def sample(self, data: Any, key: Array, step: Array | int, batch: int) -> Batch:
        drawn = super().sample(data, key, step, batch)
        lengths = 2 + jnp.arange(batch, dtype=jnp.int32) % (self.length - 1)
        read = jnp.arange(self.length, dtype=jnp.int32) < lengths[:, None]
        return drawn._replace(lengths=lengths, mask=drawn.mask & read)


STEPS = 3
TWO = Trial(
    model=Model(layers=2, dropout=0.3),
    task=Ragged(length=8),
    d_hidden=4,
    steps=4 * STEPS,
    batch=8,
    seeds=2,
    # No number of devices but two divides these rows.
    evaluate=Evaluation(every=STEPS, batch=6, batches=1),
)
CASES = {
    "plain": replace(TWO, model=Model()),
    "two": TWO,
    "one": replace(TWO, seeds=1),
    "six": replace(TWO, seeds=1, batch=6),
    "text": replace(TWO, task=Text(length=8)),
}
COLLECTIVE = re.compile(
    r" (all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute)(-start)?\("
)


def train(trial: Trial) -> dict[str, Any]:
    """The mesh, the losses of two compiled calls, and the scores of an examination."""
    program = Program(trial)
    everyone = np.ones(trial.seeds, bool)
    state, first = program.advance(program.init(), everyone, STEPS)
    # By way of the host, as a run that is resumed.
    state = program.put(program.axis.take(state))
    state, then = program.advance(state, everyone, STEPS)
    losses = [program.axis.take(progress.loss) for progress in (first, then)]
    scores = program.examine(state.params, everyone)
    return {
        "mesh": list(program.axis.mesh.devices.shape),
        "loss": np.concatenate(losses, axis=1).tolist(),
        "scores": {name: values.tolist() for name, values in scores.items()},
        "rows": [leaf.sharding.shard_shape(leaf.shape)[1] for leaf in jax.tree.leaves(state.carry)],
    }


def collectives(trial: Trial) -> dict[str, int]:
    """How many talk between devices in a training step, and how many of them within a loop."""
    program = Program(trial)
    program.advance(program.init(), np.ones(trial.seeds, bool), 1)
    compiled: Any = program.compiler._functions["advance", 1]
    text: str = compiled.as_text()
    computations = {
        block.split()[1 if block.startswith("ENTRY") else 0]: block
        for block in re.split(r"\n\n+", text)
        if block.startswith(("ENTRY", "%"))
    }

    def called(names: set[str]) -> set[str]:
        found = set(names)
        for name in names:
            words = set(re.findall(r"%[\w.-]+", computations[name])) & set(computations)
            found |= called(words - found) if words - found else set()
        return found

    bodies = set(re.findall(r"body=(%[\w.-]+)", text))
    inside = called(bodies)
    counts = {name: len(COLLECTIVE.findall(block)) for name, block in computations.items()}
    return {
        "loops": len(bodies),
        "all": sum(counts.values()),
        "in loops": sum(counts[name] for name in inside),
    }


class Stopper(Silent):
    """Asks the last process, and no other, to stop on the way."""

    def __init__(self) -> None:
        self.stop = Stop()

    def update(self, step: int, loss: float, rate: float, seeds: int) -> None:
        if step == 2 * STEPS and jax.process_index() == jax.process_count() - 1:
            self.stop.signum = signal.SIGTERM


def interrupted(directory: str) -> dict[str, Any]:
    """What the interruption said, and where the rest ran."""
    stopper = Stopper()
    try:
        fit(TWO, directory, stop=stopper.stop, watcher=stopper)
    except Interrupted as error:
        return {"said": str(error), "device": fit(TWO, directory)["device"]}
    raise AssertionError("nobody stopped")


def main(names: list[str]) -> None:
    join()
    for name in names:
        case, _, directory = name.partition("=")
        if case == "hlo":
            made = collectives(CASES["plain"])
        else:
            made = interrupted(directory) if directory else train(CASES[case])
        # On a line of its own, whatever the libraries below say on this stream.
        print("\n" + json.dumps([case, made]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
