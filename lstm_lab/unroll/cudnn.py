"""NVIDIA's own LSTM: one call of the cuDNN library for all steps, forward and backward.

The library holds the recurrent matrix on the chip over all steps, where the compiled loop launches
kernels for each (J. Appleyard, T. Kočiský and P. Blunsom, "Optimizing performance of recurrent neural
networks on GPUs", 2016). It knows one LSTM: this lab's, with a second bias that is zero here. So this is
the one schedule that knows a cell, and it asks for that cell, float32, no mask and no resets, on an NVIDIA
GPU; anything else it refuses. Its gradient is the library's; there is no second derivative and no `vmap`.

Like every product on these GPUs, the library's round their inputs to 10 bits of mantissa (TF32) unless
`jax_default_matmul_precision` asks for float32.

It is called through `jax.experimental.rnn`, which reads batch first and wants all weights in one vector.
What it computes can be checked without a GPU against that module's reference, and is; that the library
computes the same only on one. Lowering for CUDA asks the library for buffer sizes, so unlike every
other schedule it cannot be lowered on a machine without it.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Carry, Cell, Params
from lstm_lab.cells.lstm import LSTM, LSTMCarry, LSTMParams
from lstm_lab.errors import UsageError
from lstm_lab.unroll.base import Schedule, Steps

INSTEAD = "run it with Sequential or Auto"


@dataclass(frozen=True)
class CuDNN(Schedule):
    """cuDNN's LSTM, for the LSTM without mask and resets on an NVIDIA GPU."""

    def run(
        self, cell: Cell, params: Params, carry: Carry, start: Carry, steps: Steps, reverse: bool
    ) -> tuple[Carry, Array]:
        del start
        self._check(cell, steps)
        # Imported late: on an ordinary CPU installation the module lacks its library and is of no use.
        from jax.experimental import rnn

        T, B, D = steps.x.shape
        H = params.U.shape[0]
        x = jnp.swapaxes(steps.x[::-1] if reverse else steps.x, 0, 1)
        y, h, c = rnn.lstm(
            x,
            carry.h[None],
            carry.c[None],
            packed(params),
            jnp.full(B, T, jnp.int32),
            D,
            H,
            1,
            0.0,
            False,
            _precision(),
        )
        y = jnp.swapaxes(y, 0, 1)
        return LSTMCarry(h[0], c[0]), y[::-1] if reverse else y

    def _check(self, cell: Cell, steps: Steps) -> None:
        name = type(cell).__name__
        if type(cell) is not LSTM:
            raise UsageError(f"CuDNN: {name} is not the LSTM that the library computes: {INSTEAD}")
        if steps.mask is not None or steps.restart is not None:
            given = "resets" if steps.mask is None else "a mask or lengths"
            raise UsageError(f"CuDNN: {name} with {given}, which the library cannot: {INSTEAD}")
        if steps.x.dtype != jnp.float32:
            raise UsageError(f"CuDNN: {name} in {steps.x.dtype}, the call is float32: {INSTEAD}")
        if jax.default_backend() != "gpu":
            raise UsageError(
                f"CuDNN: {name} on {jax.default_backend()}: it needs an NVIDIA GPU: {INSTEAD}"
            )


def _precision() -> tuple[jax.lax.Precision, jax.lax.Precision]:
    """How the library multiplies: as JAX has every other product of float32 done at this moment."""
    asked = jax.config.values["jax_default_matmul_precision"]
    full = asked in ("highest", "float32", "F32_F32_F32")
    precision = jax.lax.Precision.HIGHEST if full else jax.lax.Precision.HIGH
    return precision, precision


def packed(params: LSTMParams) -> Array:
    """All weights in the order the library reads: W, U, b and a bias of zeros, row by row of `[4H, ...]`."""
    parts = params.W.T, params.U.T, params.b, jnp.zeros_like(params.b)
    return jnp.concatenate([part.reshape(-1) for part in parts])
