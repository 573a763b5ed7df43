"""Continuation: a sequence begun by the task and carried on by the network from its own predictions.

The network is given the first two terms of a start it has never seen, and from then on what it predicted
one step before, for twice the length it was trained on. The error is relative to the true term, the
median over starts; an error made once is fed back and grows with everything that follows it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_lab.probe.base import Probe
from lstm_lab.tasks.base import Task
from lstm_lab.tasks.fibonacci import Fibonacci

if TYPE_CHECKING:
    from lstm_lab.model import Model
    from lstm_lab.train import Network


@dataclass(frozen=True)
class Continuation(Probe):
    """Predictions fed back, beside the truth, with the relative error of every term.

    Attributes:
        starts: unseen starts the error is taken over.
    """

    starts: int = 256

    name: ClassVar[str] = "continuation"

    def applies(self, model: "Model", task: Task) -> bool:
        """Whether the task has a true continuation and the model reads one way."""
        return isinstance(task, Fibonacci) and model.bidirectional is None

    def measure(self, network: "Network", params: Any, data: Any) -> dict[str, Any]:
        """Run every seed on its own predictions; see `Probe.measure`."""
        task = network.task
        assert isinstance(task, Fibonacci)
        length = 2 * task.length
        batch = task.evaluation_batch(data, jax.random.key(3), 0, self.starts)
        starts = batch.x[:, :2, 0]
        truth = np.asarray(task.terms(starts, length), np.float64)

        def of_one_seed(params: Any) -> jax.Array:
            carry, outputs = network.apply(params, starts[..., None])

            def step(state: Any, _: None) -> tuple[Any, jax.Array]:
                carry, term = state
                after, outputs = network.apply(params, term[:, None], carry=carry)
                return (after, outputs[:, 0]), term

            _, terms = jax.lax.scan(step, (carry, outputs[:, -1]), length=length - 2)
            return jnp.concatenate([starts, terms[..., 0].T], axis=1)

        predicted = np.asarray(jax.jit(lambda p: jax.lax.map(of_one_seed, p))(params), np.float64)
        error = np.median(np.abs(predicted - truth) / truth, axis=1)
        return {
            "truth": truth[0].tolist(),
            "prediction": predicted[:, 0].tolist(),
            "relative_error": error.tolist(),
            "trained_length": task.length,
        }
