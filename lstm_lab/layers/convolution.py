"""The temporal convolutional network: a control that has no state and sees a fixed window.

    conv_d(u)_t = b + Σ_j W_j u_(t-jd),     0 ≤ j < k              zeros before a sequence begins
    f(u) = relu(conv_d(relu(conv_d(u))))                           two convolutions of its own
    u_(l+1) = relu(f(u_l) + u_l),     d = 2^l,     u_0 = x,     y = u_L

S. Bai, J. Z. Kolter and V. Koltun, "An empirical evaluation of generic convolutional and recurrent networks for
sequence modeling" (2018), sections 3.2 (causal), 3.3 (dilated) and 3.4 (residual). Where widths differ, u_l is
mapped by a matrix and a bias before it is added. An output reaches 2 (k - 1) (2^L - 1) steps back and no further.

Differs from the paper: no weight normalisation and no dropout. The filters are drawn with variance 2/(k C) for C
input features (K. He et al. 2015), which keeps a signal's size through ReLUs, where the authors' code draws all
weights with standard deviation 0.01.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from lstm_lab.cells.base import check_sizes
from lstm_lab.errors import UsageError
from lstm_lab.layers.base import Block
from lstm_lab.layers.window import Windowed
from lstm_lab.modules import OneWay
from lstm_lab.unroll import Schedule


@dataclass(frozen=True)
class TemporalConvolution(Block):
    """A temporal convolutional network: a control without recurrence.

    Attributes:
        kernel: taps of a filter, k; at least 2.
        levels: residual blocks, L, with dilations 1, 2, 4 and so on.

    Raises:
        UsageError: a filter sees the present step only, or there is no block.
    """

    kernel: int = 3
    levels: int = 4

    def __post_init__(self) -> None:
        if self.kernel < 2:
            raise UsageError(f"kernel: {self.kernel}: give at least 2 taps")
        if self.levels < 1:
            raise UsageError(f"levels: {self.levels}: give at least 1")

    def build(
        self, d_in: int, d_hidden: int, *, reverse: bool, schedule: Schedule, rngs: nnx.Rngs
    ) -> OneWay:
        del schedule
        check_sizes(d_in, d_hidden)
        return ConvolutionLayer(
            d_in, d_hidden, kernel=self.kernel, levels=self.levels, reverse=reverse, rngs=rngs
        )

    @property
    def label(self) -> str:
        return f"TCN kernel {self.kernel} levels {self.levels}"


class ConvolutionLayer(Windowed):
    """What `TemporalConvolution` builds.

    Args:
        d_in: features of the input, D.
        d_hidden: features of every level, H.
        kernel: taps of a filter, k.
        levels: residual blocks, L.
        reverse: read from the last step to the first.
        rngs: where `rngs.params()` draws the initial parameters.
    """

    def __init__(
        self,
        d_in: int,
        d_hidden: int,
        *,
        kernel: int,
        levels: int,
        reverse: bool,
        rngs: nnx.Rngs,
    ) -> None:
        width = 2 * (kernel - 1) * (2**levels - 1)
        super().__init__(d_in, d_hidden, width=width, reverse=reverse)
        widths = [d_in] + (levels - 1) * [d_hidden]
        self.levels = nnx.List(
            [
                _Level(d, d_hidden, kernel=kernel, dilation=2**level, rngs=rngs)
                for level, d in enumerate(widths)
            ]
        )

    def outputs(self, x: Array, sequence: Array) -> Array:
        for level in self.levels:
            x = level(x, sequence)
        return x[:, self.width :]


class _Level(nnx.Module):
    """A residual block: two convolutions, and the input added to what they give."""

    def __init__(
        self, d_in: int, d_out: int, *, kernel: int, dilation: int, rngs: nnx.Rngs
    ) -> None:
        self.first = _Convolution(d_in, d_out, kernel, dilation, rngs)
        self.second = _Convolution(d_out, d_out, kernel, dilation, rngs)
        self.map = None if d_in == d_out else nnx.Linear(d_in, d_out, rngs=rngs)

    def __call__(self, u: Array, sequence: Array) -> Array:
        f = jax.nn.relu(self.second(jax.nn.relu(self.first(u, sequence)), sequence))
        return jax.nn.relu(f + (u if self.map is None else self.map(u)))


class _Convolution(nnx.Module):
    """A causal convolution within sequences: `filters [k, C, H]`, the present step's first, and `bias [H]`."""

    def __init__(self, d_in: int, d_out: int, kernel: int, dilation: int, rngs: nnx.Rngs) -> None:
        draw = jax.nn.initializers.he_normal()
        self.filters = nnx.Param(draw(rngs.params(), (kernel, d_in, d_out), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(d_out, jnp.float32))
        self.dilation = dilation

    def __call__(self, u: Array, sequence: Array) -> Array:
        filters = self.filters[...]

        def tap(j: int) -> Array:
            past, of = (_delayed(a, j * self.dilation) for a in (u, sequence))
            return jnp.where((of == sequence)[..., None], past, jnp.zeros_like(past))

        taps = jnp.concatenate([tap(j) for j in range(len(filters))], axis=-1)
        return taps @ filters.reshape(-1, filters.shape[-1]) + self.bias[...]


def _delayed(a: Array, steps: int) -> Array:
    """The value some places earlier, `[B, N, ...]`, zeros before the first."""
    padded = jnp.pad(a, [(0, 0), (steps, 0)] + [(0, 0)] * (a.ndim - 2))
    return padded[:, : a.shape[1]]
