"""Equinox's `LSTMCell` and `GRUCell` under `lax.scan` and `jax.vmap`, as its documentation shows."""

from operator import attrgetter
from typing import Any

import numpy as np

from lstm_lab.bench.contenders.base import LEARNING_RATE, Arrays, Contender
from lstm_lab.bench.workload import Workload


class Equinox(Contender):
    """Equinox: a jitted step called from a Python loop."""

    name = "Equinox"
    layout = "equinox"
    package = "equinox"

    def __init__(self, workload: Workload, data: Arrays, weights: Arrays) -> None:
        import equinox as eqx
        import jax
        import jax.numpy as jnp
        import optax

        from lstm_lab.bench.contenders.jax_loss import mean_square

        kind = {"LSTM": eqx.nn.LSTMCell, "GRU": eqx.nn.GRUCell}[workload.cell]
        H = workload.hidden

        def own(cell: Any, layer: int) -> Any:
            for name, value in weights.items():
                n, _, leaf = name.split("/")
                if int(n) == layer:
                    cell = eqx.tree_at(attrgetter(leaf), cell, jnp.asarray(value))
            return cell

        cells = [own(kind(d, H, key=jax.random.key(0)), layer) for layer, d in workload.widths()]

        def read_row(cells: Any, xs: Any) -> Any:
            for cell in cells:

                def step(carry: Any, x: Any, cell: Any = cell) -> Any:
                    carry = cell(x, carry)
                    return carry, carry[0] if isinstance(carry, tuple) else carry

                zero = jnp.zeros(H, xs.dtype)
                _, xs = jax.lax.scan(step, (zero, zero) if workload.cell == "LSTM" else zero, xs)
            return xs

        def read(cells: Any, x: Any) -> Any:
            return jax.vmap(read_row, in_axes=(None, 0))(cells, x)

        self.cells, self.names = cells, list(weights)
        self.x, self.target = jnp.asarray(data["x"]), jnp.asarray(data["target"])
        optimizer = optax.sgd(LEARNING_RATE)
        self.state = optimizer.init(eqx.filter(cells, eqx.is_array))

        @eqx.filter_jit
        def train_step(cells: Any, state: Any, x: Any, target: Any) -> Any:
            loss = lambda cells: mean_square(read(cells, x), target, None)  # noqa: E731
            value, gradients = eqx.filter_value_and_grad(loss)(cells)
            updates, state = optimizer.update(gradients, state)
            return eqx.apply_updates(cells, updates), state, value

        self._train_step = train_step
        self._forward = eqx.filter_jit(read)
        self._gradient = eqx.filter_jit(
            lambda cells, x, target: jax.grad(lambda both: mean_square(read(*both), target, None))(
                (cells, x)
            )
        )

    @staticmethod
    def refusal(workload: Workload) -> str:
        if workload.cell == "Elman":
            return "it has no Elman cell"
        if workload.bidirectional or workload.lengths:
            return "its cells leave both directions and lengths to their user"
        return ""

    def forward(self) -> np.ndarray:
        return np.asarray(self._forward(self.cells, self.x))

    def gradient(self) -> dict[str, np.ndarray]:
        import jax

        cells, d_x = jax.block_until_ready(self._gradient(self.cells, self.x, self.target))
        named = {}
        for name in self.names:
            layer, _, leaf = name.split("/")
            named[name] = np.asarray(getattr(cells[int(layer)], leaf))
        return {**named, "x": np.asarray(d_x)}

    def train(self, steps: int) -> None:
        import jax

        for _ in range(steps):
            self.cells, self.state, value = self._train_step(
                self.cells, self.state, self.x, self.target
            )
        jax.block_until_ready((value, self.cells))
