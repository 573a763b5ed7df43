"""`flax.nnx.RNN` over `SimpleCell`, `OptimizedLSTMCell` and `GRUCell`, trained as Flax's guides do."""

from typing import Any

import numpy as np

from lstm_lab.bench.contenders.base import LEARNING_RATE, Arrays, Contender
from lstm_lab.bench.workload import Workload, valid


class FlaxNNX(Contender):
    """Flax NNX: a jitted step called from a Python loop."""

    name = "Flax NNX"
    layout = "flax"
    package = "flax"
    lacks = ("c_n",)

    def __init__(self, workload: Workload, data: Arrays, weights: Arrays) -> None:
        import jax.numpy as jnp
        import optax
        from flax import nnx

        from lstm_lab.bench.contenders.jax_loss import mean_square

        kind = {"Elman": nnx.SimpleCell, "LSTM": nnx.OptimizedLSTMCell, "GRU": nnx.GRUCell}

        def rnn(d_in: int) -> Any:
            return nnx.RNN(kind[workload.cell](d_in, workload.hidden, rngs=nnx.Rngs(0)))

        class Model(nnx.Module):
            def __init__(self) -> None:
                sides = [rnn(d_in) for _, d_in in workload.widths()]
                if workload.bidirectional:
                    pairs = zip(sides[::2], sides[1::2], strict=True)
                    sides = [nnx.Bidirectional(ahead, back) for ahead, back in pairs]
                self.layers = nnx.List(sides)

            def __call__(self, x: Any) -> Any:
                for layer in self.layers:
                    x = layer(x, seq_lengths=lengths)
                return x

        lengths = jnp.asarray(data["lengths"]) if workload.lengths else None
        counts = jnp.asarray(valid(dict(data))) if workload.lengths else None
        self.x, self.target = jnp.asarray(data["x"]), jnp.asarray(data["target"])
        self.model = Model()
        self.cells: dict[str, Any] = {}
        for n, (layer, _) in enumerate(workload.widths()):
            both = self.model.layers[layer]
            direction = n % workload.directions
            side = (
                (both.forward_rnn, both.backward_rnn)[direction] if workload.bidirectional else both
            )
            self.cells[f"{layer}/{direction}"] = side.cell
        for name, value in weights.items():
            _at(self.cells, name)[...] = jnp.asarray(value)
        self.optimizer = nnx.Optimizer(self.model, optax.sgd(LEARNING_RATE), wrt=nnx.Param)
        self.names = list(weights)

        def loss(model: Any, x: Any, target: Any) -> Any:
            return mean_square(model(x), target, counts)

        @nnx.jit
        def train_step(model: Any, optimizer: Any, x: Any, target: Any) -> Any:
            value, gradients = nnx.value_and_grad(loss)(model, x, target)
            optimizer.update(model, gradients)
            return value

        self._train_step = train_step
        self._forward = nnx.jit(lambda model, x: model(x))
        self._gradient = nnx.jit(
            nnx.grad(loss, argnums=(nnx.DiffState(0, nnx.Param), 1)),
        )

    def forward(self) -> np.ndarray:
        return np.asarray(self._forward(self.model, self.x))

    def gradient(self) -> dict[str, np.ndarray]:
        import jax

        state, d_x = jax.block_until_ready(self._gradient(self.model, self.x, self.target))
        return {
            **{name: np.asarray(self._of(state, name)) for name in self.names},
            "x": np.asarray(d_x),
        }

    def train(self, steps: int) -> None:
        import jax

        for _ in range(steps):
            value = self._train_step(self.model, self.optimizer, self.x, self.target)
        jax.block_until_ready((value, self.model))

    def _of(self, state: Any, name: str) -> Any:
        layer, direction, path = name.split("/")
        found = state["layers"][int(layer)]
        if "forward_rnn" in found:
            found = found[("forward_rnn", "backward_rnn")[int(direction)]]
        found = found["cell"]
        for part in path.split("."):
            found = found[part]
        return found[...]


def _at(cells: dict[str, Any], name: str) -> Any:
    layer, direction, path = name.split("/")
    found = cells[f"{layer}/{direction}"]
    for part in path.split("."):
        found = getattr(found, part)
    return found
