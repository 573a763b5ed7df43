"""States: how large what a network says is at each step, and how many dimensions it fills.

With y_t the outputs of the last recurrent layer, C their covariance over rows and steps and λ its eigenvalues,

    rank = (Σ_i λ_i)² / Σ_i λ_i² = tr(C)² / ‖C‖²_F,        1 ≤ rank ≤ H

is the participation ratio (L. F. Abbott, K. Rajan and H. Sompolinsky, "Interactions between intrinsic and
stimulus-evoked activity in recurrent neural networks", 2011): k where k directions vary alike and the others not at
all. From n independent states it comes out smaller, 1/rank larger by about 1/n; states that follow each other are
not independent. Only steps that are read count: padding does not.

The result, for S seeds and K steps, evenly spaced from the first to the longest row's last, 64 at most:

    step            [K]
    rms             [S][K]     root mean square of y_t over units, and over the rows that are so long
    mean            [S]        of y over rows, steps and units
    rank            [S]        0 where y never changes; null where it is not finite
    rank_fraction   [S]        rank / H
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_lab.probe.base import Probe
from lstm_lab.probe.held_out import held_out, lengths
from lstm_lab.probe.spacing import evenly_spaced
from lstm_lab.tasks.base import Batch

if TYPE_CHECKING:
    from lstm_lab.train import Network

# Steps handed over at most.
MOST = 64


@dataclass(frozen=True)
class States(Probe):
    """Size, mean and effective rank of the last layer's outputs.

    Attributes:
        examples: held-out inputs that are read.
    """

    examples: int = 64

    name: ClassVar[str] = "state"
    moments: ClassVar[tuple[str, ...]] = ("before", "after")

    def measure(self, network: "Network", params: Any, data: Any) -> dict[str, Any]:
        """Read one batch with every seed; see `Probe.measure`."""
        batch = held_out(network.task, data, self.examples)
        long = lengths(batch)
        step = evenly_spaced(long.max(), MOST)
        read = np.arange(batch.x.shape[1]) < long[:, None]

        def all_seeds(params: Any, batch: Batch, read: Array) -> tuple[Array, Array, Array]:
            return jax.lax.map(partial(_of_one_seed, network, batch, step, read), params)

        y, mean, covariance = map(
            np.asarray, network.compiler.call(self, all_seeds, params, batch, read, once=True)
        )
        squares = np.mean(y.astype(np.float64) ** 2, axis=-1)
        rank = participation_ratio(covariance)
        return {
            "step": step.tolist(),
            "rms": np.sqrt(np.mean(squares, axis=1, where=read[:, step])).tolist(),
            "mean": mean.tolist(),
            "rank": rank.tolist(),
            "rank_fraction": (rank / y.shape[-1]).tolist(),
        }


def _of_one_seed(
    network: "Network", batch: Batch, step: np.ndarray, read: Array, params: Any
) -> tuple[Array, Array, Array]:
    """Outputs `[B, K, H]` at some steps, and the mean and, but for scale, covariance `[H, H]` of all read."""
    y = network.read(params, batch.x, lengths=batch.lengths, reset=batch.reset)[0].y
    count = jnp.sum(read, dtype=y.dtype)
    # Padding says zero, so it adds to no sum.
    mean = jnp.sum(y, axis=(0, 1)) / count
    # Seen from one of them, states that never change are exactly zero, however their sum is rounded.
    seen = jnp.where(read[..., None], y - y[0, 0], jnp.zeros_like(y))
    centred = jnp.where(read[..., None], seen - jnp.sum(seen, axis=(0, 1)) / count, seen)
    centred = centred.reshape(-1, y.shape[-1])
    # The rank is free of scale, and the squares that it is made of are not.
    unit = jnp.max(jnp.abs(centred))
    centred = centred / jnp.where(unit > 0, unit, jnp.ones_like(unit))
    return y[:, step], jnp.mean(mean), centred.T @ centred


def participation_ratio(covariance: np.ndarray) -> np.ndarray:
    """Count the dimensions that something varies in.

    Args:
        covariance: `[..., H, H]`, in any unit.

    Returns:
        tr(C)² / ‖C‖²_F, float64 `[...]`; 0 where nothing varies.

    >>> participation_ratio(np.diag([4.0, 1.0, 0.0])).round(3)
    np.float64(1.471)
    """
    covariance = covariance.astype(np.float64)
    squares = np.sum(covariance**2, axis=(-2, -1))
    total = np.trace(covariance, axis1=-2, axis2=-1)
    return total**2 / np.where(squares == 0, 1, squares)
