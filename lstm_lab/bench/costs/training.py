"""Training by the trainer's own programs, as what is measured."""

from functools import partial
from typing import Any

import jax
import numpy as np

from lstm_lab.model import Model
from lstm_lab.program import Program
from lstm_lab.tasks.recall import Recall
from lstm_lab.train import TrainState, train_step
from lstm_lab.trial import Trial
from lstm_lab.unroll import Sequential


class Training:
    """A state that the trainer's own program takes on, K steps a call, as `fit` does.

    Args:
        program: compiled for its runs.
        state: theirs, donated.
        steps: K.
    """

    def __init__(self, program: Program, state: TrainState, steps: int) -> None:
        self.program, self.state, self.steps = program, state, steps
        self.active = np.ones(program.runs, bool)

    def call(self) -> np.ndarray:
        """Take K steps; their losses `[R, K]`."""
        self.state, progress = self.program.advance(self.state, self.active, self.steps)
        loss, _ = self.program.axis.take((progress.loss, progress.norm))
        return loss


def training_step(
    task: Recall, batch: int, hidden: int, schedule: Sequential
) -> tuple[Any, TrainState]:
    """The trainer's step of one seed, to be compiled, and the state it takes, which is donated."""
    model = Model(schedule=schedule)
    program = Program(Trial(model=model, task=task, d_hidden=hidden, batch=batch))
    axis = program.axis
    step = partial(train_step, program.network, program.optimizer, program.data, cut=axis.cut)
    return jax.jit(axis.map(step), donate_argnums=0), program.init()
