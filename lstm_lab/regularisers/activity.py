"""Activation regularisation: a price on large outputs, and on outputs that change fast.

    α mean(y_t²) + β mean((y_t - y_{t-1})²)

S. Merity, B. McCann and R. Socher, "Revisiting activation regularization for language RNNs" (2017): AR and
TAR, of the last layer's output. A mean is over units and over the steps, or pairs of steps, that count: no
padding, and no pair across the border between two sequences of a row.

In the paper the first term takes the output after dropout and the second before it. Here both take what the
layer shows, before `Model.output_dropout`; so under `VariationalDropout` both see the same mask.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from lstm_lab.errors import UsageError

Prices = tuple[Any, Any]
"""α and β: the numbers of a penalty that a training step takes as arguments."""


@dataclass(frozen=True)
class Activity:
    """A penalty on the last layer's outputs, added to the loss that is minimised.

    Attributes:
        activation: α, the price of the outputs' squares (AR); 0 or more.
        temporal: β, the price of their changes' squares (TAR); 0 or more.

    Raises:
        UsageError: a price is below 0.
    """

    activation: float = 0.0
    temporal: float = 0.0

    def __post_init__(self) -> None:
        for name in ("activation", "temporal"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"penalty.{name}: {getattr(self, name)}: give 0 or more")

    @property
    def prices(self) -> Prices:
        """Its own."""
        return self.activation, self.temporal

    def __call__(
        self, y: Array, lengths: Array | None, reset: Array | None, prices: Prices | None = None
    ) -> Array:
        """Compute the penalty.

        Args:
            y: the outputs `[B, T, H]`.
            lengths: int `[B]`, steps of each right-padded row; all of them where None.
            reset: bool `[B, T]`, True at the first step of a new sequence in a row.
            prices: scalars, traced or not, in place of its own; whether a term has a price its own say.

        Returns:
            A scalar; zero where no step counts.
        """
        counts = jnp.ones(y.shape[:2], bool)
        if lengths is not None:
            t = jnp.arange(y.shape[1])
            counts = t < lengths[:, None].astype(t.dtype)
        # Padding follows a row's steps, so a pair counts if its later step does.
        pairs = counts[:, 1:] if reset is None else counts[:, 1:] & ~reset[:, 1:]
        total = jnp.zeros((), y.dtype)
        # A term without a price must not cost a gradient: 0 · ∞ is none.
        alpha, beta = self.prices if prices is None else prices
        if self.activation:
            total += alpha * _mean_square(y, counts)
        if self.temporal:
            total += beta * _mean_square(jnp.diff(y, axis=1), pairs)
        return total


def _mean_square(a: Array, counts: Array) -> Array:
    """The mean of a² over the steps `[B, T]` that count, and over the units `[B, T, H]`."""
    squares = jnp.where(counts[..., None], a * a, jnp.zeros_like(a))
    number = jnp.sum(counts, dtype=a.dtype) * a.shape[-1]
    return jnp.sum(squares) / jnp.maximum(number, jnp.ones_like(number))
