"""What every cell can learn, by training it: to remember, and to track a state, or why it cannot.

Recall asks for one symbol five steps later, and every cell learns it.

Running parity asks for a swap: reading a 1 exchanges the two states. A nonlinear cell with a full recurrent
matrix learns it. These provably cannot, at lengths beyond what they were trained on:

- A linear recurrence whose transition matrices have real eigenvalues that are never negative (R. Grazzi et
  al., "Unlocking state-tracking in linear RNNs through negative eigenvalues", 2024, theorem 1): minGRU,
  minLSTM, SRU, RG-LRU, linear attention and mLSTM, whose gates lie above zero, and DeltaNet, whose
  I - β k kᵀ has eigenvalues 1 and 1 - β ≥ 0 for unit keys and β in (0, 1).
- A linear recurrence that is the same at every step: LRU and S4D. Their outputs are affine in the input,
  and so are the logits; but the parity of two bits is not affinely separable. Complex poles do not help.
- IndRNN. A unit's step is h -> φ(u h + w x + b) with one u for both symbols and φ increasing. For u ≥ 0 the
  steps of both symbols are increasing maps, and no composition of increasing maps exchanges two values.
  For u < 0 both are decreasing, and a decreasing map has one fixed point, so a 0 cannot keep two values.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from lstm_lab.cells.base import Cell, LinearCell
from lstm_lab.cells.co_rnn import CoRNN
from lstm_lab.model import Model
from lstm_lab.optimizer import Optimizer
from lstm_lab.program import Program
from lstm_lab.tasks.base import Task
from lstm_lab.tasks.parity import Parity
from lstm_lab.tasks.recall import Recall
from lstm_lab.trial import Evaluation, Trial
from tests.cells.contract import FIRST, heavy

TRIAL = Trial(
    d_hidden=32,
    optimizer=Optimizer(learning_rate=1e-2),
    steps=3000,
    batch=64,
    evaluate=Evaluation(every=100, batch=256, batches=1),
)
LEARNED = 0.99
# Half-way between chance and knowing.
IGNORANT = 0.75
PATIENCE = 500

# Not linear in the carry, or not unit by unit, and unable all the same: see above.
TOO_ORDERLY = ("DeltaNet", "IndRNN", "MLSTM")
SAMPLE = ("LSTM",)


def for_parity(cell: Cell) -> Cell:
    """The cell as it has to be set to swap a state in one step: coRNN's time step is its clock."""
    return CoRNN(dt=1.0, gamma=1.0, epsilon=1.0) if isinstance(cell, CoRNN) else cell


def can_swap(cell: Cell) -> bool:
    return not isinstance(cell, LinearCell) and type(cell).__name__ not in TOO_ORDERLY


@cache
def train(cell: Cell, task: Task, most: int) -> tuple[Program, object, float]:
    """Train until the task is solved or for so many steps; the program, the parameters, the accuracy."""
    program = Program(replace(TRIAL, model=Model(cell), task=task))
    state, active, accuracy = program.init(), np.ones(1, bool), 0.0
    for _ in range(most // TRIAL.evaluate.every):
        state, _ = program.advance(state, active, TRIAL.evaluate.every)
        accuracy = float(program.examine(state.params, active)["accuracy"][0])
        if accuracy >= LEARNED:
            break
    return program, state.params, accuracy


def each(cells: list[Cell]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "cell",
        [
            pytest.param(c, marks=heavy(type(c).__name__ not in SAMPLE), id=type(c).__name__)
            for c in cells
        ],
    )


@each(FIRST)
def test_every_cell_recalls_what_it_read_five_steps_before(cell: Cell) -> None:
    *_, accuracy = train(cell, Recall(lag=5, symbols=4), TRIAL.steps)
    assert accuracy >= LEARNED


@each([cell for cell in FIRST if can_swap(cell)])
def test_a_cell_that_can_swap_two_states_learns_running_parity(cell: Cell) -> None:
    *_, accuracy = train(for_parity(cell), Parity(length=12), TRIAL.steps)
    assert accuracy >= LEARNED


@each([cell for cell in FIRST if not can_swap(cell)])
def test_a_cell_that_cannot_swap_two_states_does_not_track_parity(cell: Cell) -> None:
    program, params, _ = train(cell, Parity(length=12), PATIENCE)
    longer = Program(replace(program.trial, task=Parity(length=100)))
    accuracy = float(longer.examine(params, np.ones(1, bool))["accuracy"][0])
    assert accuracy < IGNORANT


def test_there_are_cells_of_both_kinds() -> None:
    assert {can_swap(cell) for cell in FIRST} == {True, False}
