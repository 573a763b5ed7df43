"""lstm_lab itself: `Recurrent`, `Bidirectional` and `Stack` as its trainer runs them."""

from typing import TYPE_CHECKING, Any

import numpy as np

import lstm_lab
from lstm_lab.bench.contenders.base import LEARNING_RATE, Arrays, Contender
from lstm_lab.bench.workload import Workload, valid
from lstm_lab.devices import SeedAxis, use_all_cores

if TYPE_CHECKING:
    from lstm_lab.unroll import Schedule


class Ours(Contender):
    """lstm_lab: all steps of a turn in one compiled call, the batch laid over the devices."""

    name = "lstm_lab"
    layout = "own"

    @staticmethod
    def schedule() -> "Schedule":
        """How the layers are run."""
        from lstm_lab.unroll import Sequential

        return Sequential()

    @staticmethod
    def start() -> None:
        use_all_cores()

    def __init__(self, workload: Workload, data: Arrays, weights: Arrays) -> None:
        import jax
        import jax.numpy as jnp
        import optax
        from flax import nnx
        from jax import lax
        from jax.sharding import NamedSharding, PartitionSpec

        from lstm_lab.bench.contenders.jax_loss import mean_square
        from lstm_lab.bench.problem import CELLS
        from lstm_lab.modules import Bidirectional, Recurrent, Stack

        cell, H = CELLS[workload.cell], workload.hidden
        how: Any = {"schedule": self.schedule(), "rngs": nnx.Rngs(0)}
        sides = [
            Recurrent(cell, d_in, H, reverse=bool(n % workload.directions), **how)
            for n, (_, d_in) in enumerate(workload.widths())
        ]
        for name, value in weights.items():
            layer, direction, leaf = name.split("/")
            side = sides[int(layer) * workload.directions + int(direction)]
            getattr(side.params, leaf)[...] = jnp.asarray(value)
        layers: list[Any] = sides
        if workload.bidirectional:
            layers = [Bidirectional(*pair) for pair in zip(sides[::2], sides[1::2], strict=True)]
        graph, params = nnx.split(Stack(layers, rngs=nnx.Rngs(0)), nnx.Param)

        mesh = SeedAxis(1, workload.batch).mesh
        jax.set_mesh(mesh)  # `unroll` asks whether XLA parts the batch
        split = NamedSharding(mesh, PartitionSpec("batch"))
        everywhere = NamedSharding(mesh, PartitionSpec())
        self.x, self.target = (jax.device_put(data[name], split) for name in ("x", "target"))
        self.params = jax.device_put(params, everywhere)
        lengths = jax.device_put(data["lengths"], split) if workload.lengths else None
        counts = jax.device_put(valid(dict(data)), split) if workload.lengths else None
        optimizer = optax.sgd(LEARNING_RATE)
        self.names, self.sides = list(weights), workload.directions

        def read(params: Any, x: Any, lengths: Any) -> Any:
            return nnx.merge(graph, params)(x, lengths=lengths).y

        def loss(params: Any, x: Any, target: Any, lengths: Any, counts: Any) -> Any:
            return mean_square(read(params, x, lengths), target, counts)

        def train(steps: int, params: Any, *batch: Any) -> Any:
            def step(state: Any, _: Any) -> Any:
                # As if the batch were new: what is made of it is made at every step, not once before all.
                (params, optimizer_state), new = lax.optimization_barrier((state, batch))
                value, gradients = jax.value_and_grad(loss)(params, *new)
                updates, optimizer_state = optimizer.update(gradients, optimizer_state)
                return (optax.apply_updates(params, updates), optimizer_state), value

            (params, _), values = lax.scan(step, (params, optimizer.init(params)), length=steps)
            return params, values

        self.rest = (self.target, lengths, counts)
        self._forward = jax.jit(lambda params, x: read(params, x, lengths))
        self._gradient = jax.jit(jax.grad(loss, (0, 1)))
        self._train = jax.jit(train, static_argnums=0, donate_argnums=1)

    @classmethod
    def version(cls) -> str:
        return lstm_lab.__version__

    def forward(self) -> np.ndarray:
        import jax

        return jax.block_until_ready(self._forward(self.params, self.x))

    def gradient(self) -> dict[str, np.ndarray]:
        import jax

        params, d_x = jax.block_until_ready(self._gradient(self.params, self.x, *self.rest))
        named = {}
        for name in self.names:
            layer, direction, leaf = name.split("/")
            found = params["layers"][int(layer)]
            if self.sides == 2:
                found = found[("forward", "backward")[int(direction)]]
            named[name] = np.asarray(getattr(found["params"], leaf)[...])
        return {**named, "x": np.asarray(d_x)}

    def train(self, steps: int) -> None:
        import jax

        self.params, values = self._train(steps, self.params, self.x, *self.rest)
        jax.block_until_ready((self.params, values))
