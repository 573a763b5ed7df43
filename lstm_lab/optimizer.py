"""Optimiser settings as a value, and the optax chain they stand for.

The chain, in order: clip the gradient's global norm, the method's own update, decoupled weight decay
(I. Loshchilov and F. Hutter 2019) for AdamW, then the learning rate of the step: a linear warm-up, and
after it constant, a cosine to zero, or steps down by a factor.

Averaged SGD takes the very steps of SGD. Once `nonmonotone` triggers, the network that is examined, kept
and probed is the mean of all iterates from then on, in place of the last:

    w̄_k = (w_T + … + w_k) / (k - T + 1)

T is the step of the first examination whose held-out loss is greater than the least of all but the newest n
before it (S. Merity, N. S. Keskar and R. Socher 2018, algorithm 1, NT-AvSGD, n = 5). The arXiv version has
another condition, which its authors call a typo; this is that of the ICLR version and of their code. Their code
examines once a pass, where `Evaluation.every` says when here, and its mean, torch's ASGD, begins with w_{T+2}.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from lstm_lab.errors import UsageError

if TYPE_CHECKING:
    import optax
    from jax import Array


class Rates(NamedTuple):
    """The numbers of an optimiser that a training step takes as arguments."""

    learning_rate: Any
    clip: Any
    weight_decay: Any


class Average(NamedTuple):
    """What averaged SGD keeps of one seed.

    Attributes:
        mean: what is examined: the mean of the iterates, or the newest before the trigger.
        iterates: how many it is the mean of, int32; 0 before the trigger.
        recent: the newest n held-out losses, `[n]`, the oldest first; infinite before there are n.
        best: the least of all older ones.
    """

    mean: Any
    iterates: "Array"
    recent: "Array"
    best: "Array"


@dataclass(frozen=True)
class Optimizer:
    """How a gradient becomes an update.

    Attributes:
        method: Adam (Kingma and Ba 2015), AdamW, RMSprop (Tieleman and Hinton 2012), SGD, or SGD averaged from
            the trigger on.
        learning_rate: the peak, after warm-up.
        clip: largest global norm of the gradient; 0 for no clipping.
        warmup: steps of linear growth from 0.
        decay: what follows warm-up.
        decay_every: steps between reductions, for `decay="step"`.
        decay_factor: what each reduction multiplies by, for `decay="step"`.
        momentum: fraction of the last update kept, for SGD and RMSprop.
        memory: decay of the running mean of squared gradients, for RMSprop.
        weight_decay: decoupled, for AdamW and averaged SGD, where it is the same as a penalty on squares.
        nonmonotone: newest examinations that the trigger overlooks, n, for averaged SGD.

    Raises:
        UsageError: a setting is out of range, or the method has no use for it.
    """

    method: Literal["adam", "adamw", "rmsprop", "sgd", "asgd"] = "adam"
    learning_rate: float = 1e-3
    clip: float = 1.0
    warmup: int = 0
    decay: Literal["constant", "cosine", "step"] = "constant"
    decay_every: int = 0
    decay_factor: float = 0.5
    momentum: float = 0.0
    memory: float = 0.9
    weight_decay: float = 0.0
    nonmonotone: int = 5

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
        if self.weight_decay and self.method not in ("adamw", "asgd"):
            self._refuse("weight_decay", "adamw or asgd")
        if self.nonmonotone < 1:
            raise UsageError(f"optimizer.nonmonotone: {self.nonmonotone}: give at least 1")
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
    def rates(self) -> Rates:
        """Its own."""
        return Rates(self.learning_rate, self.clip, self.weight_decay)

    def chain(self, steps: int, rates: Rates | None = None) -> "optax.GradientTransformation":
        """Build the optax transformation.

        Args:
            steps: training steps in all, where the cosine ends.
            rates: scalars, traced or not, in place of its own; whether it clips at all its own says.

        Returns:
            A transformation from gradients to updates.
        """
        import optax

        if rates is None:
            rates = self.rates
        methods = {
            "adam": lambda: [optax.scale_by_adam()],
            "adamw": lambda: [
                optax.scale_by_adam(),
                optax.add_decayed_weights(rates.weight_decay),
            ],
            "rmsprop": lambda: [optax.scale_by_rms(self.memory), *self._trace()],
            "sgd": self._trace,
            "asgd": lambda: [optax.add_decayed_weights(rates.weight_decay)],
        }
        clip = [optax.clip_by_global_norm(rates.clip)] if self.clip else []
        rate = optax.scale_by_learning_rate(self._rate(steps, rates.learning_rate))
        last = [_average(self.nonmonotone)] if self.averages else []
        return optax.chain(*clip, *methods[self.method](), rate, *last)

    @property
    def averages(self) -> bool:
        """Whether another network than the last iterate is examined, and its loss asked for by `judge`."""
        return self.method == "asgd"

    def examined(self, params: Any, opt_state: Any) -> Any:
        """The parameters to examine: the last iterate, or the mean that `opt_state` holds.

        Args:
            params: the last iterate.
            opt_state: what the chain made of it; any leading axes.
        """
        return cast(Average, opt_state[-1]).mean if self.averages else params

    def judge(self, opt_state: Any, loss: "Array") -> Any:
        """Tell averaged SGD of one seed what its examination said.

        Args:
            opt_state: the chain's state.
            loss: the held-out loss, a scalar.

        Returns:
            The state, in which averaging has begun where the trigger says so.
        """
        import jax.numpy as jnp

        *rest, average = opt_state
        worse = (average.iterates == 0) & (loss > average.best)
        heard = average._replace(
            iterates=jnp.where(worse, 1, average.iterates),
            recent=jnp.append(average.recent[1:], loss),
            best=jnp.minimum(average.best, average.recent[0]),
        )
        return *rest, heard

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


def _average(nonmonotone: int) -> "optax.GradientTransformation":
    """Pass updates on, and keep the mean of what they lead to."""
    import jax
    import jax.numpy as jnp
    import optax

    def init(params: Any) -> Average:
        # A copy, because a step is given both to overwrite.
        mean = jax.tree.map(jnp.copy, params)
        unknown = jnp.full(nonmonotone, jnp.inf)
        return Average(mean, jnp.zeros((), jnp.int32), unknown, unknown[0])

    def update(updates: Any, state: Average, params: Any = None) -> tuple[Any, Average]:
        iterates = jnp.where(state.iterates > 0, state.iterates + 1, 0)
        share = 1 / jnp.maximum(iterates, 1)

        def onward(mean: "Array", new: "Array") -> "Array":
            return jnp.where(iterates > 0, mean + (new - mean) * share.astype(mean.dtype), new)

        mean = jax.tree.map(onward, state.mean, optax.apply_updates(params, updates))
        return updates, state._replace(mean=mean, iterates=iterates)

    return optax.GradientTransformation(init, update)
