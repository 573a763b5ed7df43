"""The rule a network has inferred, read off as coefficients: ∂y_T/∂x_{T-k} for a scalar sequence.

A linear network that predicts the next term is y_T = Σ_k a_k x_{T-k}, and these derivatives *are* its
coefficients: for Fibonacci's rule a_0 = a_1 = 1 and a_k = 0 beyond. For a non-linear network they are the
coefficients of its linearisation, averaged over inputs of the task.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_lab.probe.base import Probe
from lstm_lab.tasks.base import Task

if TYPE_CHECKING:
    from lstm_lab.model import Model
    from lstm_lab.train import Network


@dataclass(frozen=True)
class Coefficients(Probe):
    """The signed derivative of the last output by the input at each lag, for scalar sequences.

    Attributes:
        examples: inputs it is averaged over.
    """

    examples: int = 64

    name: ClassVar[str] = "coefficients"

    def applies(self, model: "Model", task: Task) -> bool:
        """Whether inputs and outputs are one number per step."""
        return task.per_step and not task.tokens and task.d_in == task.d_out == 1

    def measure(self, network: "Network", params: Any, data: Any) -> dict[str, Any]:
        """Take one reverse pass per seed; see `Probe.measure`."""
        batch = network.task.evaluation_batch(data, jax.random.key(3), 0, self.examples)

        def of_one_seed(params: Any) -> jax.Array:
            def last(x: jax.Array) -> jax.Array:
                return network.apply(params, x)[1][:, -1, 0].sum()

            return jnp.mean(jax.grad(last)(batch.x)[..., 0], axis=0)[::-1]

        coefficients = np.asarray(jax.jit(lambda p: jax.lax.map(of_one_seed, p))(params))
        return {
            "lag": list(range(coefficients.shape[1])),
            "coefficient": coefficients.tolist(),
        }
