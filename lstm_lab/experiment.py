"""An experiment is a value: a question, and everything needed to answer it.

`Experiment` holds the question, the claim under test and its source, the models and tasks to cross, and
the settings they share. `trials()` generates its trials, each again a value whose identity is the hash
of its configuration: a trial that has a result is never run again, and one edit makes another trial.
"""

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from lstm_lab.cells.base import Layer
from lstm_lab.cells.lstm import LSTM
from lstm_lab.claims import Claim
from lstm_lab.config import digest
from lstm_lab.errors import UsageError
from lstm_lab.optimizer import Optimizer
from lstm_lab.probe.base import Probe
from lstm_lab.regularisers.activity import Activity
from lstm_lab.tasks.base import Task
from lstm_lab.tasks.recall import Recall
from lstm_lab.unroll import Schedule, Sequential

if TYPE_CHECKING:
    from jax import Array

    from lstm_lab.modules import SequenceModel


@dataclass(frozen=True)
class Model:
    """What is trained: cells, how many layers of them, reading which way.

    Attributes:
        cell: what every layer is: a cell, or something around one or in its place, of `layers/`.
        layers: how many stand on top of each other.
        bidirectional: how the two directions' outputs are merged; None reads forward only.
        embedding: width of a learned token embedding; 0 reads tokens as one-hot vectors.
        residual: add each upper layer's input to its output.
        norm: layer normalisation of each upper layer's input.
        dropout: fraction of each upper layer's input set to zero in training.
        embedding_dropout: fraction of the tokens whose embedding is zero for a whole batch in training.
        schedule: how the loop is run.
        name: what tables call it; made from the other fields where empty.

    Raises:
        UsageError: a size is out of range.
    """

    cell: Layer = field(default_factory=LSTM)
    layers: int = 1
    bidirectional: Literal["concat", "sum", "mul", "ave"] | None = None
    embedding: int = 0
    residual: bool = False
    norm: bool = False
    dropout: float = 0.0
    embedding_dropout: float = 0.0
    schedule: Schedule = field(default_factory=Sequential)
    name: str = ""

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise UsageError(f"model.layers: {self.layers}: give at least 1")
        if self.embedding < 0:
            raise UsageError(f"model.embedding: {self.embedding}: give a width, or 0 for one-hot")
        if not 0 <= self.embedding_dropout < 1:
            raise UsageError(
                f"model.embedding-dropout: {self.embedding_dropout}: give a fraction from 0 to below 1"
            )
        if self.embedding_dropout and not self.embedding:
            raise UsageError(
                f"model.embedding-dropout: {self.embedding_dropout}: there is no embedding to drop from; "
                "give embedding a width"
            )
        between = {"residual": self.residual, "norm": self.norm, "dropout": self.dropout}
        for name, setting in between.items():
            if setting and self.layers == 1:
                raise UsageError(
                    f"model.{name}: {setting}: acts between layers; give layers=2 or more"
                )

    @property
    def label(self) -> str:
        """A short name for tables and figures."""
        said = {
            f"{self.layers} layers": self.layers > 1,
            "both ways": self.bidirectional == "concat",
            f"both ways by {self.bidirectional}": self.bidirectional not in (None, "concat"),
            f"embedding {self.embedding}": self.embedding,
            "residual": self.residual,
            "norm": self.norm,
            f"dropout {self.dropout:g}": self.dropout,
            f"embedding dropout {self.embedding_dropout:g}": self.embedding_dropout,
        }
        return self.name or ", ".join([self.cell.label, *(part for part, so in said.items() if so)])

    def build(self, task: Task, d_hidden: int, key: "Array") -> "SequenceModel":
        """Draw a network for a task.

        Args:
            task: gives the widths of input and output, and whether a label belongs to a step.
            d_hidden: units of each layer and direction, H.
            key: PRNG key.

        Returns:
            A `SequenceModel`.

        Raises:
            UsageError: the task has no tokens to embed, or a size is out of range.
        """
        from flax import nnx

        from lstm_lab.layers.base import build_layer
        from lstm_lab.modules import Bidirectional, OneWay, SequenceModel, Stack

        if self.embedding and not task.tokens:
            raise UsageError(
                f"model.embedding: {self.embedding}: {task.label} has no tokens to embed"
            )
        rngs = nnx.Rngs(params=key)
        embed = nnx.Embed(task.d_in, self.embedding, rngs=rngs) if self.embedding else None

        def layer(d_in: int) -> OneWay | Bidirectional:
            def one_way(reverse: bool) -> OneWay:
                return build_layer(
                    self.cell, d_in, d_hidden, reverse=reverse, schedule=self.schedule, rngs=rngs
                )

            if self.bidirectional is None:
                return one_way(False)
            return Bidirectional(one_way(False), one_way(True), self.bidirectional)

        layers = [layer(self.embedding or task.d_in)]
        while len(layers) < self.layers:
            layers.append(layer(layers[-1].d_out))
        body = (
            layers[0]
            if len(layers) == 1
            else Stack(
                layers, residual=self.residual, norm=self.norm, dropout=self.dropout, rngs=rngs
            )
        )
        tokens = task.d_in if task.tokens else None
        return SequenceModel(
            embed or tokens,
            body,
            task.d_out,
            per_step=task.per_step,
            embedding_dropout=self.embedding_dropout,
            rngs=rngs,
        )


class Size(ABC):
    """How wide a model is made."""

    @abstractmethod
    def width(self, model: Model, task: Task) -> int:
        """The units H of each layer and direction, a multiple of what the model's layer asks for.

        Raises:
            UsageError: the size is out of range.
        """


@dataclass(frozen=True)
class Hidden(Size):
    """Size by width: every model has this many units per layer and direction."""

    units: int = 64

    def width(self, model: Model, task: Task) -> int:
        """The units H of each layer and direction."""
        if self.units < 1:
            raise UsageError(f"size.units: {self.units}: give at least 1")
        if self.units % model.cell.multiple:
            raise UsageError(
                f"size.units: {self.units}: {model.label} needs a multiple of {model.cell.multiple}"
            )
        return self.units


@dataclass(frozen=True)
class ParameterBudget(Size):
    """Size by equal footing: the width whose exact parameter count comes nearest to a budget.

    Attributes:
        parameters: how many, embedding and head included.
    """

    parameters: int = 20_000

    def width(self, model: Model, task: Task) -> int:
        """The units H of each layer and direction.

        Raises:
            UsageError: even the smallest width takes more than twice the budget.
        """
        unit = model.cell.multiple
        if count(model, task, unit) > 2 * self.parameters:
            raise UsageError(
                f"size.parameters: {self.parameters}: {model.label} on {task.label} has "
                f"{count(model, task, unit)} at its smallest width, {unit}; give a larger budget"
            )
        low, high = unit, 2 * unit
        while count(model, task, high) < self.parameters:
            low, high = high, 2 * high
        while high - low > unit:
            middle = (low + high) // (2 * unit) * unit
            if count(model, task, middle) < self.parameters:
                low = middle
            else:
                high = middle
        return min((low, high), key=lambda H: abs(count(model, task, H) - self.parameters))


def count(model: Model, task: Task, d_hidden: int) -> int:
    """Count a model's parameters exactly, without drawing them."""
    import jax
    from flax import nnx

    def draw() -> object:
        return nnx.state(model.build(task, d_hidden, jax.random.key(0)), nnx.Param)

    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(draw)))


@dataclass(frozen=True)
class Evaluation:
    """When and on how much a model in training is examined.

    Attributes:
        every: steps between examinations.
        batch: examples per held-out batch.
        batches: held-out batches, where the task's data does not say how many there are.

    Raises:
        UsageError: a size is below 1.
    """

    every: int = 100
    batch: int = 256
    batches: int = 4

    def __post_init__(self) -> None:
        for name in ("every", "batch", "batches"):
            if getattr(self, name) < 1:
                raise UsageError(f"evaluate.{name}: {getattr(self, name)}: give at least 1")


@dataclass(frozen=True)
class Trial:
    """One model on one task, all seeds together: what a run directory holds.

    Attributes:
        experiment: name of the experiment it belongs to.
        model: what is trained.
        task: on what.
        d_hidden: units of each layer and direction, H.
        optimizer: how.
        penalty: what is minimised beside the task's loss.
        steps: most training steps.
        batch: examples per step, B.
        seeds: independent repetitions, S, numbered from 0; the same seed gives every model the same data.
        evaluate: when and on how much it is examined.
        solved_at: value of the task's headline metric at which a seed stops; None never stops.
        probes: what is measured of the network before and after.
    """

    experiment: str = "trial"
    model: Model = field(default_factory=Model)
    task: Task = field(default_factory=Recall)
    d_hidden: int = 64
    optimizer: Optimizer = field(default_factory=Optimizer)
    penalty: Activity = field(default_factory=Activity)
    steps: int = 1000
    batch: int = 64
    seeds: int = 1
    evaluate: Evaluation = field(default_factory=Evaluation)
    solved_at: float | None = None
    probes: tuple[Probe, ...] = ()

    @property
    def id(self) -> str:
        """A readable name for its directory, ending in the hash of the configuration."""
        words = re.sub(r"[^a-z0-9]+", "-", f"{self.model.label} {self.task.label}".lower())
        return f"{words.strip('-')[:48]}-{digest(self)}"


@dataclass(frozen=True)
class Sweep:
    """A number that takes several values, each in a trial of its own.

    Attributes:
        field: where it stands in a `Trial`'s model, task, optimizer or penalty, such as
            "optimizer.learning_rate" or "model.cell.biases.value".
        values: what it is in turn.

    Raises:
        UsageError: there are no values, or one stands there twice.
    """

    field: str = "optimizer.learning_rate"
    values: tuple[float, ...] = (1e-3,)

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) < len(self.values):
            raise UsageError(
                f"sweep: {self.field}: {self.values}: give one value or more, each once"
            )

    def of(self, trial: Trial) -> Iterator[Trial]:
        """The trial with each value in turn.

        Raises:
            UsageError: there is no such number, or a value is out of its range.
        """
        steps = self.field.split(".")
        if steps[0] not in _SWEPT:
            raise UsageError(f"sweep: {self.field}: begin with {', '.join(_SWEPT)}")
        for value in self.values:
            yield self._put(trial, steps, value)

    def unsaid(self, trial: Trial) -> list[str]:
        """For each value what labels do not tell of it: nothing where they tell the values apart."""
        labels = {(changed.model.label, changed.task.label) for changed in self.of(trial)}
        *above, name = self.field.replace("_", " ").split(".")
        words = " ".join([*above[1:], name][-2:])
        told = len(labels) == len(self.values)
        return ["" if told else f"{words} {value:g}" for value in self.values]

    def _put(self, owner: Any, steps: Sequence[str], value: float) -> Any:
        name, rest = steps[0], steps[1:]
        has = [f.name for f in dataclasses.fields(owner)] if dataclasses.is_dataclass(owner) else []
        if name not in has:
            raise UsageError(
                f"sweep: {self.field}: {type(owner).__name__} has no {name}: it has {', '.join(has) or 'no fields'}"
            )
        if rest:
            inside = self._put(getattr(owner, name), rest, value)
            return dataclasses.replace(owner, **{name: inside})
        kind = get_type_hints(type(owner))[name]
        if kind not in (int, float):
            raise UsageError(
                f"sweep: {self.field}: is no number: give a trial of its own to each value"
            )
        if kind is int and value != int(value):
            raise UsageError(f"sweep: {self.field}: {value:g}: give whole numbers")
        return dataclasses.replace(owner, **{name: kind(value)})


# The parts of a trial that a sweep may reach into; the rest is the same for all of an experiment.
_SWEPT = ("model", "task", "optimizer", "penalty")


def _swept(trial: Trial, sweeps: Sequence[Sweep]) -> Iterator[Trial]:
    """A trial with every combination of values; the model's name tells what labels do not."""
    made: list[tuple[Trial, tuple[str, ...]]] = [(trial, ())]
    for sweep in sweeps:
        unsaid = sweep.unsaid(trial)
        made = [
            (changed, (*before, said))
            for each, before in made
            for changed, said in zip(sweep.of(each), unsaid, strict=True)
        ]
    for changed, said in made:
        name = ", ".join(filter(None, [changed.model.label, *said])) if any(said) else ""
        model = dataclasses.replace(changed.model, name=name or changed.model.name)
        yield dataclasses.replace(changed, model=model)


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
        size: width or parameter budget, the same for all.
        optimizer: the same for all.
        penalty: what is minimised beside the task's loss, the same for all.
        steps: most training steps of a trial.
        batch: examples per step, B.
        seeds: independent repetitions of each trial, S.
        evaluate: when and on how much a model is examined.
        solved_at: value of the headline metric at which a seed stops early; None never stops.
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
    size: Size = field(default_factory=Hidden)
    optimizer: Optimizer = field(default_factory=Optimizer)
    penalty: Activity = field(default_factory=Activity)
    steps: int = 1000
    batch: int = 64
    seeds: int = 6
    evaluate: Evaluation = field(default_factory=Evaluation)
    solved_at: float | None = None
    probes: tuple[Probe, ...] = ()
    claims: tuple[Claim, ...] = ()

    def validate(self) -> None:
        """Refuse what could only fail later; cheap, nothing is compiled.

        Raises:
            UsageError: a size is out of range.
            DataError: a task's data is missing or malformed.
        """
        for name in ("steps", "batch", "seeds"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: {getattr(self, name)}: give at least 1")
        if self.steps % self.evaluate.every and self.steps > self.evaluate.every:
            raise UsageError(
                f"evaluate.every: {self.evaluate.every}: does not divide the {self.steps} steps; "
                f"give steps as a multiple, such as {-(-self.steps // self.evaluate.every) * self.evaluate.every}"
            )
        for task in self.tasks:
            task.validate()
            task.check(self.batch)
        for trial in self._settings():
            trial.task.validate()

    def trials(self) -> Iterator[Trial]:
        """Every model on every task, with every combination of swept values."""
        for trial in self._settings():
            model, task = trial.model, trial.task
            yield dataclasses.replace(
                trial,
                d_hidden=self.size.width(model, task),
                probes=tuple(probe for probe in self.probes if probe.applies(model, task)),
            )

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
                    solved_at=self.solved_at,
                )
                yield from _swept(trial, self.sweeps)

    def smoke(self) -> "Experiment":
        """The same with two steps, two seeds and small batches: does every part of it run?"""
        return dataclasses.replace(
            self,
            steps=2,
            seeds=2,
            batch=min(self.batch, 4),
            evaluate=Evaluation(every=1, batch=4, batches=1),
        )


def main(experiment: Experiment, full: Experiment | None = None) -> None:
    """Run the experiment of the file being executed, as `lstm-lab run FILE` would, and exit.

    Args:
        experiment: the form that takes minutes.
        full: the form that is published, for `--full`; the same where None.
    """
    from lstm_lab.cli import run_script

    run_script(experiment, full)
