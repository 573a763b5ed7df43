"""Keras on its JAX backend: `SimpleRNN`, `LSTM` and `GRU`, trained by `Model.fit`."""

import os
import tempfile
from typing import Any

import numpy as np

from lstm_lab.bench.contenders.base import LEARNING_RATE, Arrays, Contender
from lstm_lab.bench.workload import Workload, valid


class KerasJAX(Contender):
    """Keras on JAX; rows with lengths go in with a mask."""

    name = "Keras on JAX"
    layout = "keras"
    package = "keras"

    def __init__(self, workload: Workload, data: Arrays, weights: Arrays) -> None:
        keras = _keras()
        import jax
        import jax.numpy as jnp

        from lstm_lab.bench.contenders.jax_loss import mean_square

        layers = keras.layers
        kind = {"Elman": layers.SimpleRNN, "LSTM": layers.LSTM, "GRU": layers.GRU}[workload.cell]
        inputs = y = keras.Input((workload.steps, workload.inputs), batch_size=workload.batch)
        counts = valid(dict(data))
        given = [inputs]
        mask = None
        if workload.lengths:
            mask = keras.Input((workload.steps,), batch_size=workload.batch, dtype="bool")
            given.append(mask)
        for _ in range(workload.layers):
            layer = kind(workload.hidden, return_sequences=True)
            if workload.bidirectional:
                layer = layers.Bidirectional(layer)
            y = layer(y, mask=mask)
        self.model = keras.Model(given, y)
        places = range(len(list(workload.widths())))
        self.names = [
            f"{n // workload.directions}/{n % workload.directions}/{leaf}"
            for n in places
            for leaf in ("kernel", "recurrent_kernel", "bias")
        ]
        for variable, name in zip(self.model.trainable_variables, self.names, strict=True):
            variable.assign(weights[name])
        self.given = [data["x"], *([counts[..., 0] > 0] if workload.lengths else [])]
        self.target = data["target"]
        self.weight = counts[..., 0] if workload.lengths else None
        self.model.compile(optimizer=keras.optimizers.SGD(LEARNING_RATE), loss="mse")

        class Batches(keras.utils.PyDataset):  # type: ignore[name-defined, misc]
            """The same batch again and again."""

            def __init__(self, batch: Any, steps: int) -> None:
                super().__init__()
                self.batch, self.steps = batch, steps

            def __len__(self) -> int:
                return self.steps

            def __getitem__(self, index: int) -> Any:
                return self.batch

        self._batches = Batches
        fixed = [v.value for v in self.model.non_trainable_variables]
        target = jnp.asarray(self.target)
        mean_over = jnp.asarray(counts) if workload.lengths else None

        def read(values: Any, x: Any) -> Any:
            rest = self.given[1:]
            return self.model.stateless_call(values, fixed, [x, *rest])[0]

        # Copies: `fit` gives the variables' own memory away.
        self.values = [jnp.array(v.value) for v in self.model.trainable_variables]
        self.x = jnp.asarray(data["x"])
        self._forward = jax.jit(read)
        self._gradient = jax.jit(
            jax.grad(lambda values, x: mean_square(read(values, x), target, mean_over), (0, 1))
        )

    def forward(self) -> np.ndarray:
        return np.asarray(self._forward(self.values, self.x))

    def gradient(self) -> dict[str, np.ndarray]:
        import jax

        d_values, d_x = jax.block_until_ready(self._gradient(self.values, self.x))
        named = dict(zip(self.names, map(np.asarray, d_values), strict=True))
        return {**named, "x": np.asarray(d_x)}

    def train(self, steps: int) -> None:
        given = self.given if len(self.given) > 1 else self.given[0]
        batch = (given, self.target, *(() if self.weight is None else (self.weight,)))
        self.model.fit(self._batches(batch, steps), verbose=0, shuffle=False)


def _keras() -> Any:
    # Both are read when Keras is first imported; it would write its defaults into the home directory.
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("KERAS_HOME", os.path.join(tempfile.gettempdir(), "lstm-lab-keras"))
    import keras

    return keras
