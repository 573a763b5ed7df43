"""What is said of a schedule that serves a cell, refuses it, fails on the device, or is wrong."""

from dataclasses import dataclass
from typing import Any

import jax
from jax import Array

from lstm_lab.bench.schedules import pairs, table
from lstm_lab.cells.elman import Elman
from lstm_lab.unroll import Associative, Schedule, Sequential

PRECISIONS: list[str] = []


@dataclass(frozen=True)
class Failing(Schedule):
    def run(self, *given: Any) -> tuple[Any, Array]:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out\nof memory")


@dataclass(frozen=True)
class Doubling(Schedule):
    def run(self, *given: Any) -> tuple[Any, Array]:
        PRECISIONS.append(jax.config.values["jax_default_matmul_precision"])
        carry, y = Sequential().run(*given)
        return carry, 2 * y


def test_one_that_fails_is_told_from_one_that_refuses_and_one_that_is_wrong() -> None:
    schedules = [Sequential(), Associative(), Failing(), Doubling()]
    found = list(pairs([Elman()], schedules))
    assert [(pair.cell, pair.verdict.split()[0]) for pair in found] == [
        ("Elman", "yes"),
        ("Elman", "no"),
        ("Elman", "failed"),
        ("Elman", "wrong"),
    ]
    text = table(found)
    assert "| Elman | yes | no [1] | failed [2] | wrong (" in text
    assert "[1] Associative: the cell is not linear" in text
    assert text.endswith("[2] RESOURCE_EXHAUSTED: out of memory.\n")
    # Elsewhere than on a CPU, less would be no ground to call it wrong.
    assert set(PRECISIONS) == {"highest"}


@dataclass(frozen=True)
class Unable(Elman):
    """A cell that the device cannot compute."""

    def gates(self, *given: Any) -> Any:
        raise jax.errors.JaxRuntimeError("INTERNAL: no such kernel")


def test_a_cell_that_the_loop_cannot_run_keeps_no_other_from_being_tried() -> None:
    found = list(pairs([Unable(), Elman()], [Doubling(), Associative()]))
    assert [(pair.cell, pair.verdict.split()[0]) for pair in found] == [
        ("Unable", "failed"),
        ("Unable", "failed"),
        ("Elman", "wrong"),
        ("Elman", "no"),
    ]
    assert found[0].reason == "Sequential: INTERNAL: no such kernel"
