"""Dynamic evaluation: how much better a text is predicted by a network that goes on learning while it reads.

The validation part is read in order as one stream, in windows s_1, s_2, ... of W symbols. Each is predicted by
the parameters that all windows before it have made, and only then learned from:

    θ_i = θ_{i-1} - η ∇L(s_i) / (√MS + ε) + λ (θ_0 - θ_{i-1}) ∘ R,      R = √MS / avg(√MS), at most 1/λ

θ_0 is what training made, L a window's mean loss at θ_{i-1}, and MS the mean of the squared gradients of
training batches: a weight that mattered in training is pulled back harder. The state goes on from window to
window, whatever the parameters are that made it. Static evaluation reads the same windows with θ_0.

B. Krause, E. Kahembwe, I. Murray and S. Renals, "Dynamic evaluation of neural sequence models" (2018), section 5:
RMS with an RMS global prior. Differences: MS is of windows at random places, each begun from the initial state,
where the paper reads the training part in order; avg is over all numbers alike, where the authors' code averages
over those of each array first. η and λ are theirs for words, times W / 5 as their code says; they choose
them on the validation part, which here is what the result is of: take the defaults, or choose on another text.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_lab.errors import UsageError
from lstm_lab.probe.base import Probe
from lstm_lab.tasks.base import Batch, Task
from lstm_lab.tasks.text import Text

if TYPE_CHECKING:
    from lstm_lab.model import Model
    from lstm_lab.train import Network

# Windows in a training batch whose gradient is squared, as in the authors' code; more make smaller squares.
ROWS = 100


@dataclass(frozen=True)
class DynamicEvaluation(Probe):
    """The loss on the validation part, read as it is and learned from while reading.

    Attributes:
        symbols: most that are predicted, from the validation part's second on.
        window: symbols W that are predicted before they are learned from.
        learning_rate: η, above 0.
        decay: λ, above 0.
        epsilon: ε, above 0.
        batches: training batches of 100 windows that MS is the mean of.

    Raises:
        UsageError: a number is out of range.
    """

    symbols: int = 5_000
    window: int = 20
    learning_rate: float = 2e-4
    decay: float = 8e-3
    epsilon: float = 2e-5
    batches: int = 5

    name: ClassVar[str] = "dynamic_evaluation"

    def __post_init__(self) -> None:
        for name in ("symbols", "window", "batches"):
            if getattr(self, name) < 1:
                raise UsageError(
                    f"dynamic_evaluation.{name}: {getattr(self, name)}: give 1 or more"
                )
        for name in ("learning_rate", "decay", "epsilon"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(
                    f"dynamic_evaluation.{name}: {getattr(self, name)}: give more than 0"
                )

    def applies(self, model: "Model", task: Task) -> bool:
        """Whether there is text to read in order, and the model does not look ahead."""
        return isinstance(task, Text) and model.bidirectional is None

    def measure(self, network: "Network", params: Any, data: Any) -> dict[str, Any]:
        """Read with every seed; see `Probe.measure`.

        Returns:
            `static` and `dynamic`, nats per symbol, lists over seeds; `symbols` and `window`, what was read.
        """
        losses = self.losses(network, params, data)
        static, dynamic = losses.mean(axis=2).T
        return {
            "static": static.tolist(),
            "dynamic": dynamic.tolist(),
            "symbols": losses.shape[2] * self._length(data),
            "window": self._length(data),
        }

    def losses(self, network: "Network", params: Any, data: Any) -> np.ndarray:
        """The mean loss of each window, static and dynamic, `[S, 2, windows]`; arguments as of `measure`."""
        validation, train = (np.asarray(data[part]) for part in ("validation", "train"))
        W = self._length(data)
        begins = W * np.arange(min(self.symbols, len(validation) - 1) // W)
        read = _cut(validation, begins[:, None], W)
        rng = np.random.default_rng(0)
        learned = _cut(train, rng.integers(0, len(train) - W, (self.batches, ROWS)), W)

        def every_seed(params: Any, *texts: Array) -> Array:
            return jax.lax.map(lambda own: self._losses(network, own, *texts), params)

        # A probe measures the text it is given, so the program is that of its sizes.
        program = (self, read.shape, learned.shape)
        found = network.compiler.call(program, every_seed, params, read, learned)
        return np.asarray(found, np.float64)

    def _length(self, data: Any) -> int:
        """W, or what there is of a text that has less."""
        there = (len(data[part]) - 1 for part in ("validation", "train"))
        return min(self.window, self.symbols, *there)

    def _losses(self, network: "Network", start: Any, read: Array, learned: Array) -> Array:
        """One seed's losses `[2, windows]`, from windows `[windows, 1, W + 1]` and `[batches, ROWS, W + 1]`."""

        def loss(params: Any, ids: Array, carry: Any) -> tuple[Array, Any]:
            batch = Batch(ids[:, :-1], ids[:, 1:], jnp.ones(ids[:, 1:].shape, bool))
            after, outputs = network.apply(params, batch.x, carry=carry)
            return jnp.mean(network.task.loss(outputs, batch)), after

        slope = jax.value_and_grad(loss, has_aux=True)
        fresh = network.initial_carry(start, 1)

        def square(ids: Array) -> Any:
            carry = network.initial_carry(start, ROWS)
            return jax.tree.map(jnp.square, slope(start, ids, carry)[1])

        squares = jax.lax.map(square, learned)
        rms = jax.tree.map(lambda leaf: jnp.sqrt(leaf.mean(axis=0)), squares)
        average = sum(map(jnp.sum, jax.tree.leaves(rms))) / sum(map(jnp.size, jax.tree.leaves(rms)))

        def learn(own: Array, first: Array, gradient: Array, rms: Array) -> Array:
            pull = jnp.minimum(self.decay * rms / average, 1)
            step = self.learning_rate * gradient / (rms + self.epsilon)
            return own - step + pull * (first - own)

        def one(state: Any, ids: Array) -> tuple[Any, Array]:
            params, carry, beside = state
            static, beside = loss(start, ids, beside)
            (dynamic, carry), gradient = slope(params, ids, carry)
            params = jax.tree.map(learn, params, start, gradient, rms)
            return (params, carry, beside), jnp.stack([static, dynamic])

        _, losses = jax.lax.scan(one, (start, fresh, fresh), read)
        return losses.T


def _cut(text: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """The windows at some places of a text and the symbol after each, int32 `[..., length + 1]`."""
    return text[starts[..., None] + np.arange(length + 1)].astype(np.int32)
