"""Optimiser settings as a value, and the optax chain they stand for.

The chain, in order: clip the gradient's global norm, the method's own update, decoupled weight decay
(I. Loshchilov and F. Hutter 2019) for AdamW, then the learning rate of the step: a linear warm-up, and
after it constant, a cosine to zero, or steps down by a factor.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lstm_lab.errors import UsageError

if TYPE_CHECKING:
    import optax


class Numbers(NamedTuple):
    """The settings that a training step takes as arguments, so that all their values share one program."""

    learning_rate: Any
    clip: Any
    weight_decay: Any


@dataclass(frozen=True)
class Optimizer:
    """How a gradient becomes an update.

    Attributes:
        method: Adam (Kingma and Ba 2015), AdamW, RMSprop (Tieleman and Hinton 2012) or SGD.
        learning_rate: the peak, after warm-up.
        clip: largest global norm of the gradient; 0 for no clipping.
        warmup: steps of linear growth from 0.
        decay: what follows warm-up.
        decay_every: steps between reductions, for `decay="step"`.
        decay_factor: what each reduction multiplies by, for `decay="step"`.
        momentum: fraction of the last update kept, for SGD and RMSprop.
        memory: decay of the running mean of squared gradients, for RMSprop.
        weight_decay: decoupled, for AdamW.

    Raises:
        UsageError: a setting is out of range, or the method has no use for it.
    """

    method: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    learning_rate: float = 1e-3
    clip: float = 1.0
    warmup: int = 0
    decay: Literal["constant", "cosine", "step"] = "constant"
    decay_every: int = 0
    decay_factor: float = 0.5
    momentum: float = 0.0
    memory: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "clip", "warmup", "decay_every", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"optimizer.{name}: {getattr(self, name)}: give 0 or more")
        for name in ("momentum", "memory", "decay_factor"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(
                    f"optimizer.{name}: {getattr(self, name)}: give a fraction from 0 to below 1"
                )
        if self.momentum and self.method not in ("sgd", "rmsprop"):
            self._refuse("momentum", "sgd or rmsprop")
        if self.weight_decay and self.method != "adamw":
            self._refuse("weight_decay", "adamw")
        if (self.decay == "step") != (self.decay_every > 0):
            raise UsageError(
                f"optimizer.decay_every: {self.decay_every} with decay={self.decay!r}: "
                "give steps between reductions with decay='step', and none otherwise"
            )

    def _refuse(self, name: str, methods: str) -> None:
        raise UsageError(
            f"optimizer.{name}: {getattr(self, name)}: {self.method} does not use it; take {methods}"
        )

    @property
    def numbers(self) -> Numbers:
        """Its own."""
        return Numbers(self.learning_rate, self.clip, self.weight_decay)

    def chain(self, steps: int, numbers: Numbers | None = None) -> "optax.GradientTransformation":
        """Build the optax transformation.

        Args:
            steps: training steps in all, where the cosine ends.
            numbers: scalars, traced or not, in place of its own; whether it clips at all its own says.

        Returns:
            A transformation from gradients to updates.
        """
        import optax

        if numbers is None:
            numbers = self.numbers
        methods = {
            "adam": lambda: [optax.scale_by_adam()],
            "adamw": lambda: [
                optax.scale_by_adam(),
                optax.add_decayed_weights(numbers.weight_decay),
            ],
            "rmsprop": lambda: [optax.scale_by_rms(self.memory), *self._trace()],
            "sgd": self._trace,
        }
        clip = [optax.clip_by_global_norm(numbers.clip)] if self.clip else []
        rate = optax.scale_by_learning_rate(self._rate(steps, numbers.learning_rate))
        return optax.chain(*clip, *methods[self.method](), rate)

    def _trace(self) -> list["optax.GradientTransformation"]:
        import optax

        return [optax.trace(self.momentum)] if self.momentum else []

    def _rate(self, steps: int, peak: Any) -> "optax.Schedule":
        import optax

        after = max(steps - self.warmup, 1)
        shapes = {
            "constant": lambda: optax.constant_schedule(peak),
            "cosine": lambda: optax.cosine_decay_schedule(peak, after),
            "step": lambda: optax.exponential_decay(
                peak, self.decay_every, self.decay_factor, staircase=True
            ),
        }
        shape = shapes[self.decay]()
        if not self.warmup:
            return shape
        # The first step already moves: a rate of exactly zero would waste it.
        rise = optax.linear_schedule(peak / (self.warmup + 1), peak, self.warmup)
        return optax.join_schedules([rise, shape], [self.warmup])
