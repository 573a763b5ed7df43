"""The task contract: what a network is asked, how its answer is scored, and what chance scores.

A task is a frozen dataclass of static sizes, so ``CopyMemory(lag=500)`` *is* the task and hashes.
It owns no iterator: a training batch is a pure function of ``(data, key, step)``, drawn on the
device inside the traced training step, so nothing can be lost when a run resumes. One run hands
the same key to every step and the task folds the step into it; evaluation folds a constant first,
so the same key never shows a held-out batch the training batches.

Every score is per example [B], a mean over the counted steps M (the true entries of the mask)::

    loss_b = 1/|M_b| sum_{t in M_b} l(outputs_bt, y_bt)        0 where M_b is empty

and ``weight`` gives |M_b|, by which a mean over examples becomes a mean over counted steps.

Every task names two numbers that make a score mean something: ``chance``, what a predictor that
ignores the input scores, and ``solved``, from where on the task counts as done; and an ``oracle``
that computes the outputs of a perfect solver from the inputs alone, which must reach ``solved``.

Shapes: B batch, T time, D input features or vocabulary size. Where ``per_step`` is true, labels,
mask and outputs have a time axis; where it is false they belong to the whole sequence.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import optax
from jax import Array

from lstm_lab.errors import UsageError
from lstm_lab.published import Published

# Folded into the key of every held-out batch; any number would do that no training step reaches.
HELD_OUT = 0x7E57_DA7A

# Logit of the right class in an oracle's answer: e^-20 leaves 2e-9 of the probability per class.
CERTAIN = 20.0


class Batch(NamedTuple):
    """One batch of a task.

    Attributes:
        x: inputs, float [B,T,D], or int32 [B,T] token ids.
        y: labels, int32 [B,T] or [B] class ids, or float [B,T,D_out] or [B,D_out] values.
        mask: bool [B,T] (per step) or [B] (per sequence), true where the loss counts.
        lengths: int32 [B] steps in each right-padded row, or None when every row is T long.
        reset: bool [B,T], true where a row starts a new sequence, or None when none does.
        balance: float [B], what each example counts for in a mean over classes, or None where that is not asked.
    """

    x: Array
    y: Array
    mask: Array
    lengths: Array | None = None
    reset: Array | None = None
    balance: Array | None = None


class Kept(NamedTuple):
    """What a network must keep of each sequence while it reads on.

    Attributes:
        item: class ids, int32 [B], or values, float [B].
        shown: the step at which it was shown, int32 [B].
    """

    item: Array
    shown: Array


@dataclass(frozen=True)
class Task(ABC):
    """What to learn; every field of a subclass is static, hashable and has a default."""

    metric: ClassVar[str]
    """The headline metric, a key of ``metrics``, ``chance`` and ``solved``."""
    higher_is_better: ClassVar[bool]
    """Which way the headline metric improves."""
    per_step: ClassVar[bool]
    """One label per step, or one per sequence."""
    tokens: ClassVar[bool] = False
    """Whether ``x`` holds token ids rather than features."""

    @property
    @abstractmethod
    def d_in(self) -> int:
        """Input features, or the vocabulary size when ``tokens``."""

    @property
    @abstractmethod
    def d_out(self) -> int:
        """Classes, or predicted values."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Short human name for tables, with the size that experiments vary."""

    @property
    def stateful(self) -> bool:
        """Whether the carry goes on from one training batch to the next."""
        return False

    @property
    @abstractmethod
    def chance(self) -> dict[str, float]:
        """What the best predictor that sees neither the input nor the data scores, per metric."""

    @property
    @abstractmethod
    def solved(self) -> dict[str, float]:
        """The threshold from which the task counts as solved, per metric."""

    @abstractmethod
    def validate(self) -> None:
        """Refuse sizes that make no task; cheap, before anything is compiled.

        Raises:
            UsageError: a field is out of range.
            DataError: the data the fields name is missing or malformed.
        """

    def check(self, batch: int) -> None:
        """Refuse a batch size this task cannot fill.

        Args:
            batch: examples per batch.

        Raises:
            UsageError: ``batch`` is not an integer of at least 1.
        """
        require_at_least("batch", batch, 1)

    @property
    def extent(self) -> str:
        """The field that says how long sequences are: ``lag`` or ``length``; empty where data says."""
        names = {field.name for field in fields(self)}
        return next((name for name in ("lag", "length") if name in names), "")

    def longer(self, times: int) -> Self:
        """Return the same task, so many times as long.

        Args:
            times: at least 1.

        Raises:
            UsageError: the data says how long sequences are.
        """
        require_at_least("longer.times", times, 1)
        if not self.extent:
            raise UsageError(
                f"{self.label}: times {times}: its data says how long sequences are: "
                "leave it out, or give another task"
            )
        return replace(self, **{self.extent: times * getattr(self, self.extent)})

    def load(self) -> Any:
        """Return the data ``sample`` draws from, a pytree of arrays; () for a synthetic task."""
        return ()

    @abstractmethod
    def sample(self, data: Any, key: Array, step: Array | int, batch: int) -> Batch:
        """Draw the training batch of one step, traced and on the device.

        Args:
            data: what ``load`` returned.
            key: the run's data key, the same at every step.
            step: training step, int32 scalar; folded into the key.
            batch: examples B, static.

        Returns:
            The batch: equal for equal arguments, another for another step.
        """

    def evaluation(self, data: Any, batch: int) -> int | None:
        """Return the number of held-out batches the data dictates; None leaves it to the caller."""
        del data, batch
        return None

    def evaluation_batch(self, data: Any, key: Array, index: Array | int, batch: int) -> Batch:
        """Draw one held-out batch.

        Args:
            data: what ``load`` returned.
            key: any key, a training run's included.
            index: which held-out batch, int32 scalar.
            batch: examples B, static.

        Returns:
            The batch, independent of every training batch of the same key.
        """
        return self.sample(data, jax.random.fold_in(key, HELD_OUT), index, batch)

    def test_data(self, data: Any) -> Any:
        """Return the data for the final examination, whose held-out batches nothing before it has shown.

        By default the same: it comes with a key of its own, and where batches are drawn, that is enough.
        A task whose held-out batches are a part of its data puts another part in that one's place.

        Args:
            data: what ``load`` returned.

        Returns:
            What ``evaluation`` and ``evaluation_batch`` are given in its stead.
        """
        return data

    @abstractmethod
    def loss(self, outputs: Array, batch: Batch) -> Array:
        """Return what training minimises, per example.

        Args:
            outputs: float [B,T,d_out] (per step) or [B,d_out].
            batch: what was asked.

        Returns:
            float [B], the mean over counted steps; 0 where nothing counts.
        """

    @abstractmethod
    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """Return every score per example, float [B] each, "loss" included; as for ``loss``."""

    def conclude(self, scores: Mapping[str, Any], data: Any) -> dict[str, Any]:
        """Add to the means over a whole part what is no mean of its own, such as perplexity; by default nothing.

        Args:
            scores: means of ``metrics`` over all counted steps, scalars.
            data: what the part's examination was given.

        Returns:
            These scores and those made of them.
        """
        del data
        return dict(scores)

    def weight(self, batch: Batch) -> Array:
        """Return the number of counted steps per example, float32 [B]."""
        return jnp.sum(batch.mask, axis=_steps(batch.mask), dtype=jnp.float32)

    @abstractmethod
    def oracle(self, batch: Batch) -> Array:
        """Return the outputs of a perfect solver, computed from the whole of ``batch.x`` alone."""

    def remembered(self, batch: Batch) -> Kept | None:
        """Return the first thing that must be kept of every sequence; None where nothing is so simple."""
        del batch
        return None

    def baselines(self, data: Any) -> dict[str, dict[str, float]]:
        """Return the scores of named predictors without a network, per metric; none by default."""
        del data
        return {}

    def published(self, batch: int) -> Published | None:
        """Return what others have published of training on this very task, if anything.

        Args:
            batch: examples per step.
        """
        del batch
        return None


class Classification(Task):
    """A task whose labels are classes: softmax cross-entropy in nats, and the fraction right."""

    metric: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool] = True

    @property
    def chance(self) -> dict[str, float]:
        """What guessing scores when the classes are equally likely at every counted step."""
        return {"loss": math.log(self.d_out), "accuracy": 1 / self.d_out}

    @property
    def solved(self) -> dict[str, float]:
        """99 answers in 100 right."""
        return {"accuracy": 0.99}

    def loss(self, outputs: Array, batch: Batch) -> Array:
        """Return the mean cross-entropy in nats over counted steps, [B]."""
        errors = optax.losses.softmax_cross_entropy_with_integer_labels(
            at_least_float32(outputs), batch.y
        )
        return counted_mean(errors, batch.mask)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """Return "loss" (nats) and "accuracy" (fraction 0-1) over counted steps, [B] each."""
        return {
            "loss": self.loss(outputs, batch),
            "accuracy": counted_mean(hits(outputs, batch.y), batch.mask),
        }


class Regression(Task):
    """A task whose labels are values: mean squared error."""

    metric: ClassVar[str] = "mse"
    higher_is_better: ClassVar[bool] = False

    def loss(self, outputs: Array, batch: Batch) -> Array:
        """Return the mean squared error over counted steps and values, [B]."""
        errors = jnp.square(at_least_float32(outputs) - batch.y).mean(axis=-1)
        return counted_mean(errors, batch.mask)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """Return "loss" and "mse", here the same number, over counted steps, [B] each."""
        loss = self.loss(outputs, batch)
        return {"loss": loss, "mse": loss}


def counted_mean(values: Array, mask: Array) -> Array:
    """Average over the steps that count.

    Args:
        values: float [B,T] or [B].
        mask: bool of the same shape, true where a value counts.

    Returns:
        float [B]; 0 where nothing counts.

    >>> mask = jnp.array([[False, True, True], [False, False, False]])
    >>> counted_mean(jnp.array([[jnp.nan, 1.0, 2.0], [3.0, 4.0, 5.0]]), mask)
    Array([1.5, 0. ], dtype=float32)
    """
    steps = _steps(mask)
    count = jnp.maximum(jnp.sum(mask, axis=steps, dtype=values.dtype), jnp.ones((), values.dtype))
    return jnp.where(mask, values, jnp.zeros_like(values)).sum(axis=steps) / count


def hits(outputs: Array, y: Array) -> Array:
    """Return 1.0 where the largest logit is the label's, else 0.0.

    Args:
        outputs: logits, float [...,classes].
        y: class ids, int32 [...].

    Returns:
        float32 [...].
    """
    return jnp.equal(jnp.argmax(outputs, axis=-1).astype(y.dtype), y).astype(jnp.float32)


def certain(y: Array, classes: int) -> Array:
    """Return the logits of somebody sure of these classes, float [...,classes]; y int32 [...]."""
    return CERTAIN * jax.nn.one_hot(y, classes)


def at_least_float32(outputs: Array) -> Array:
    """Return outputs with half precisions widened, so that a loss is never summed in them."""
    return outputs if outputs.dtype == jnp.float64 else outputs.astype(jnp.float32)


def require_at_least(name: str, value: object, minimum: int) -> None:
    """Refuse a size that is not an integer or is too small.

    Args:
        name: what to call it, such as ``"Recall.lag"``.
        value: what was given.
        minimum: the smallest value that makes sense.

    Raises:
        UsageError: ``value`` is not an integer of at least ``minimum``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        field = name.rpartition(".")[2]
        raise UsageError(
            f"{name}: got {value!r}, wanted an integer of at least {minimum}: "
            f"set {field} to {minimum} or more"
        )


def _steps(mask: Array) -> tuple[int, ...]:
    """Return the axes of a mask that are not the batch: (1,) per step, () per sequence."""
    return tuple(range(1, mask.ndim))
