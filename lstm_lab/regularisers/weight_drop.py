"""Weight drop: DropConnect on the recurrent matrices.

    U' = m ∘ U,      m = Bernoulli(1 - rate) / (1 - rate), drawn once per call

S. Merity, N. S. Keskar and R. Socher, "Regularizing and optimizing LSTM language models" (2018), section 2:
the AWD-LSTM. Weights are dropped, not activations, and the same for all steps and all rows of the batch; so
the step itself is untouched and runs as fast as ever. An entry that is dropped gets no gradient.

A matrix is recurrent if the cell's `recur` reads it. It is dropped after the cell has prepared it, and
wherever it is used: also in the product inside `gates` of a GRU that resets before the product.
"""

from dataclasses import dataclass

import jax
from jax import Array

from lstm_lab.cells.base import Params
from lstm_lab.errors import UsageError
from lstm_lab.regularisers.base import Around, check_rate, dropped, recurrent_matrices


@dataclass(frozen=True)
class WeightDrop(Around):
    """A cell whose recurrent weights are dropped at random.

    Attributes:
        cell: the step inside.
        rate: fraction of the entries of each recurrent matrix set to zero, 0 to below 1.

    Raises:
        UsageError: the rate is out of range.
    """

    rate: float = 0.5

    def __post_init__(self) -> None:
        check_rate("rate", self.rate)

    def check(self, params: Params, d_in: int) -> None:
        del d_in
        if not any(recurrent_matrices(self.core, jax.eval_shape(self.core.prepare, params))):
            raise UsageError(
                f"WeightDrop: {self.cell.label} has no recurrent matrix to drop weights from: "
                "take a cell that has one, or VariationalDropout"
            )

    def prepare(self, params: Params, key: Array | None = None) -> Params:
        if key is None:
            return self.cell.prepare(params)
        inside, key = jax.random.split(key)
        params = self.cell.prepare(params, inside)
        leaves, tree = jax.tree.flatten(params)
        keys = jax.random.split(key, len(leaves))
        recurrent = recurrent_matrices(self.core, params)
        dropped_leaves = [
            dropped(k, self.rate, leaf) if so else leaf
            for k, leaf, so in zip(keys, leaves, recurrent, strict=True)
        ]
        return jax.tree.unflatten(tree, dropped_leaves)

    @property
    def label(self) -> str:
        return f"{self.cell.label}, weight drop {self.rate:g}"
