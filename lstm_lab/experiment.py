"""An experiment is a value: a question, and everything needed to answer it.

`Experiment` holds the question, the claim under test and its source, the models and tasks to cross, and
the settings they share. `trials()` generates its trials, each again a value.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from lstm_lab.claims import Claim
from lstm_lab.errors import AbsentError, DataError, UsageError
from lstm_lab.model import Model
from lstm_lab.optimizer import Optimizer
from lstm_lab.probe.base import Probe
from lstm_lab.regularisers.activity import Activity
from lstm_lab.size import Hidden, Size
from lstm_lab.sweep import Sweep, swept
from lstm_lab.tasks.base import Task
from lstm_lab.tasks.recall import Recall
from lstm_lab.trial import Evaluation, Trial


@dataclass(frozen=True)
class Experiment:
    """A question about recurrent networks, and how it is put to them.

    Attributes:
        name: of its directory; the file's own name where empty.
        question: what is asked, in one sentence.
        claim: the answer that is held to be true and is under test.
        source: who says so, where.
        models: what is compared.
        tasks: on what; every model meets every task.
        sweeps: numbers that take several values; every model meets every task with all their combinations.
        search: learning rates that every model tries on every task, all seeds with each; the best on validation
            is the one that counts. The optimiser's own where empty.
        longer: how many times as long the sequences are on which trained networks are examined as well.
        size: width, or a budget of parameters or operations, the same for all.
        sizes: several that every model takes in turn, in place of `size`.
        optimizer: the same for all.
        penalty: what is minimised beside the task's loss, the same for all.
        steps: most training steps of a trial.
        seconds: most that the training steps of a model on a task may take, to compare at equal time; None
            compares at equal steps.
        batch: examples per step, B.
        seeds: independent repetitions of each trial, S.
        evaluate: when and on how much a model is examined.
        solved_at: value of the headline metric at which a seed stops early, or "task" for what each task calls
            solved; None never stops.
        probes: what is measured of each network before and after training.
        claims: statements the report holds against what was measured.
    """

    name: str = ""
    question: str = ""
    claim: str = ""
    source: str = ""
    models: tuple[Model, ...] = (Model(),)
    tasks: tuple[Task, ...] = (Recall(),)
    sweeps: tuple[Sweep, ...] = ()
    search: tuple[float, ...] = ()
    longer: tuple[int, ...] = ()
    size: Size = field(default_factory=Hidden)
    sizes: tuple[Size, ...] = ()
    optimizer: Optimizer = field(default_factory=Optimizer)
    penalty: Activity = field(default_factory=Activity)
    steps: int = 1000
    seconds: float | None = None
    batch: int = 64
    seeds: int = 6
    evaluate: Evaluation = field(default_factory=Evaluation)
    solved_at: float | Literal["task"] | None = None
    probes: tuple[Probe, ...] = ()
    claims: tuple[Claim, ...] = ()

    def validate(self) -> None:
        """Refuse what could only fail later; cheap, nothing is compiled.

        A task whose data is absent does not stand in the way of the others.

        Raises:
            UsageError: a size is out of range.
            AbsentError: the data of every task is absent.
            DataError: a task's data is malformed.
        """
        for name in ("steps", "batch", "seeds"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: {getattr(self, name)}: give at least 1")
        if self.steps % self.evaluate.every and self.steps > self.evaluate.every:
            raise UsageError(
                f"evaluate.every: {self.evaluate.every}: does not divide the {self.steps} steps; "
                f"give steps as a multiple, such as {-(-self.steps // self.evaluate.every) * self.evaluate.every}"
            )
        if self.seconds is not None and not self.seconds > 0:
            raise UsageError(
                f"seconds: {self.seconds}: give more than 0, or None for no such limit"
            )
        if self.search and "optimizer.learning_rate" in [sweep.field for sweep in self.sweeps]:
            raise UsageError(
                f"search: {self.search}: the learning rate is swept as well: give one of them"
            )
        absent: list[AbsentError] = []
        for task in self.tasks:
            try:
                task.validate()
                task.check(self.batch)
            except AbsentError as error:
                absent.append(error)
        if absent and len(absent) == len(self.tasks):
            raise absent[0]
        for trial in self._settings():
            with contextlib.suppress(AbsentError):
                trial.task.validate()

    def trials(self) -> Iterator[Trial]:
        """Every model on every task, with every combination of swept values, each once."""
        # The learning rates of a search have the same width, which takes a second to find.
        width = functools.cache(lambda size, model, task: size.width(model, task))
        # An option such as `--task.lag` can have made several tasks one.
        for trial in dict.fromkeys(self._settings()):
            model, task = trial.model, trial.task
            for size in self.sizes or (self.size,):
                name = f"{model.label}, {size.label}" if self.sizes else model.name
                yield dataclasses.replace(
                    trial,
                    model=dataclasses.replace(model, name=name),
                    d_hidden=width(size, model, task),
                    probes=tuple(probe for probe in self.probes if probe.applies(model, task)),
                    also=self._also(task),
                )

    def _also(self, task: Task) -> tuple[Task, ...]:
        """The task at other lengths, as far as it has any and allows them."""
        if not task.extent:
            return ()
        longer = [task.longer(times) for times in self.longer]
        return tuple(each for each in longer if _possible(each))

    def _settings(self) -> Iterator[Trial]:
        """The trials before their width is known."""
        for task in self.tasks:
            for model in self.models:
                trial = Trial(
                    experiment=self.name,
                    model=model,
                    task=task,
                    optimizer=self.optimizer,
                    penalty=self.penalty,
                    steps=self.steps,
                    batch=self.batch,
                    seeds=self.seeds,
                    evaluate=self.evaluate,
                    solved_at=task.solved[task.metric]
                    if self.solved_at == "task"
                    else self.solved_at,
                    seconds=self.seconds,
                )
                for each in swept(trial, self.sweeps):
                    for rate in self.search or (each.optimizer.learning_rate,):
                        optimizer = dataclasses.replace(each.optimizer, learning_rate=rate)
                        yield dataclasses.replace(each, optimizer=optimizer)

    def smoke(self) -> "Experiment":
        """The same with two steps, two seeds and small batches: does every part of it run?"""
        return dataclasses.replace(
            self,
            steps=2,
            seeds=2,
            batch=min(self.batch, 4),
            evaluate=Evaluation(every=1, batch=4, batches=1),
        )


def _possible(task: Task) -> bool:
    """Whether a task's sizes are allowed; of its data this says nothing."""
    try:
        task.validate()
    except UsageError:
        return False
    except DataError:
        pass
    return True


def main(experiment: Experiment, full: Experiment | None = None) -> None:
    """Run the experiment of the file being executed, as `lstm-lab run FILE` would, and exit.

    Args:
        experiment: the form that takes minutes.
        full: the form that is published, for `--full`; the same where None.
    """
    from lstm_lab.cli import run_script

    run_script(experiment, full)
