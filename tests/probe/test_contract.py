"""What every probe promises, whatever is measured: plain JSON that the report accepts, finite, for all seeds."""

import json
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.discover import subclasses
from lstm_lab.layers.residual import Residual
from lstm_lab.model import Model
from lstm_lab.probe.base import Probe
from lstm_lab.report.schema import check
from lstm_lab.tasks.base import Task
from lstm_lab.tasks.copy_memory import CopyMemory
from lstm_lab.tasks.recall import Recall
from lstm_lab.tasks.text import Text
from lstm_lab.train import Network
from lstm_lab.trial import Trial
from tests.probe.noise import Noise

SEEDS = 2
MODELS: dict[str, tuple[Model, Task]] = {
    "stack": (
        Model(cell=Elman(), layers=2, residual=True, norm=True, embedding=4),
        CopyMemory(lag=70, items=2),
    ),
    "both ways": (Model(cell=Elman(), bidirectional="concat"), Noise(ragged=True, packed=True)),
    "text": (Model(cell=Elman(), embedding=3), Text(length=8, validation=0.01)),
    "block": (Model(cell=Residual(Elman())), Recall(lag=12, symbols=3)),
}
PROBES: list[Probe] = [probe() for probe in subclasses("lstm_lab.probe", Probe)]


def measured() -> Iterator[Any]:
    """Every probe of every model it applies to; `make test` takes the stack, and of the others what the stack lacks."""
    met = set()
    for name, (model, task) in MODELS.items():
        for probe in PROBES:
            if probe.applies(model, task):
                marks = [pytest.mark.variant] if probe.name in met else []
                met.add(probe.name)
                yield pytest.param(model, task, probe, marks=marks, id=f"{probe.name} of {name}")


@pytest.mark.parametrize(("model", "task", "probe"), list(measured()))
def test_a_probe_answers_in_finite_json_that_the_report_reads(
    model: Model, task: Task, probe: Probe
) -> None:
    network = Network(Trial(model=model, task=task, d_hidden=4))
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: rng.normal(0, 0.3, (SEEDS, *leaf.shape)).astype(leaf.dtype), network.shapes
    )
    answer = probe.measure(network, params, task.load())
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    check(_result(probe.name, answer))


def _result(name: str, measured: dict[str, Any]) -> dict[str, Any]:
    """The contents of a `result.json` with one probe."""
    return {
        "model": "a model",
        "task": "a task",
        "metric": "loss",
        "higher_is_better": False,
        "parameters": 1,
        "seeds": list(range(SEEDS)),
        "final": {"loss": [0.5] * SEEDS},
        "probes": {name: {"after": measured}},
    }
