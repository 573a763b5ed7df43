"""A sweep makes several trials of one, alike but for a number."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from lstm_lab.errors import UsageError
from lstm_lab.trial import Trial

# The parts of a trial that a sweep may reach into; the rest is the same for all of an experiment.
_SWEPT = ("model", "task", "optimizer", "penalty")


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


def swept(trial: Trial, sweeps: Sequence[Sweep]) -> Iterator[Trial]:
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
