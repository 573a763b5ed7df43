"""The LSTM with a recurrent projection layer: many memory cells behind a narrow output.

    i_t = σ(W_i x_t + U_i h_{t-1} + b_i)          what to write
    f_t = σ(W_f x_t + U_f h_{t-1} + b_f)          what to keep
    g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)       what could be written
    o_t = σ(W_o x_t + U_o h_{t-1} + b_o)          what to show
    c_t = f_t ∘ c_{t-1} + i_t ∘ g_t               the memory cells
    m_t = o_t ∘ tanh(c_t)
    h_t = P m_t,      y_t = h_t                   the projection: fed back, and the output

H. Sak, A. Senior and F. Beaufays, "Long short-term memory recurrent neural network architectures for large
scale acoustic modeling" (2014). With n_c cells and n_r < n_c outputs every recurrent matrix
has n_r rows instead of n_c, so memory and parameters are chosen apart. The paper calls P W_rm, and h r.

H is the width of the output, as for every cell: here H = n_r, and c has n_c = `expansion` · H units. What the
paper measures is the number of cells; compared at one H, this network remembers more than `lstm.LSTM`.

Differs from the paper in leaving out peepholes, as torch does (`torch.nn.LSTM` with `proj_size`), and the
second, non-recurrent projection. Differs from torch in its single bias, drawn as zero but b_f, which starts
at `forget_bias`; weights are uniform within 1/√n_c. The four blocks stand in the order i f g o.

P m_t waits for the gates, so a second product stands in the loop, inside `gates`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, squash, uniform
from lstm_lab.errors import UsageError


class LSTMProjectionParams(NamedTuple):
    """Weights with C cells, blocks i f g o: `W [D, 4C]`, `U [H, 4C]`, `b [4C]`; the projection `P [C, H]`."""

    W: Array
    U: Array
    b: Array
    P: Array


class LSTMProjectionCarry(NamedTuple):
    """The projected output `h [..., H]` and the cell state `c [..., C]`."""

    h: Array
    c: Array


@dataclass(frozen=True)
class LSTMProjection(Cell):
    """A long short-term memory cell whose output is projected before it is fed back.

    Attributes:
        expansion: memory cells per output unit, C / H.
        forget_bias: initial b_f.

    Raises:
        UsageError: `expansion` is below 1.
    """

    expansion: int = 2
    forget_bias: float = 1.0

    def __post_init__(self) -> None:
        if self.expansion < 1:
            raise UsageError(
                f"expansion: {self.expansion}: give at least 1 memory cell per output unit"
            )

    def init(self, key: Array, d_in: int, d_hidden: int) -> LSTMProjectionParams:
        check_sizes(d_in, d_hidden)
        key_w, key_u, key_p = jax.random.split(key, 3)
        cells = self.expansion * d_hidden
        b = jnp.zeros(4 * cells, jnp.float32)
        return LSTMProjectionParams(
            W=uniform(key_w, (d_in, 4 * cells), cells),
            U=uniform(key_u, (d_hidden, 4 * cells), cells),
            b=b.at[cells : 2 * cells].set(self.forget_bias),
            P=uniform(key_p, (cells, d_hidden), cells),
        )

    def carry(self, params: LSTMProjectionParams, batch: int) -> LSTMProjectionCarry:
        cells, H = params.P.shape
        return LSTMProjectionCarry(
            jnp.zeros((batch, H), params.P.dtype), jnp.zeros((batch, cells), params.P.dtype)
        )

    def project(self, params: LSTMProjectionParams, x: Array) -> Array:
        return x @ params.W + params.b

    def recur(self, params: LSTMProjectionParams, carry: LSTMProjectionCarry) -> Array:
        return carry.h @ params.U

    def gates(
        self, params: LSTMProjectionParams, carry: LSTMProjectionCarry, z: Array, r: Array
    ) -> tuple[LSTMProjectionCarry, Array]:
        i, f, g, o = squash(z + r, ("sigmoid", "sigmoid", "tanh", "sigmoid"))
        c = f * carry.c + i * g
        h = (o * jnp.tanh(c)) @ params.P
        return LSTMProjectionCarry(h, c), h

    @property
    def label(self) -> str:
        changed = "" if self.forget_bias == 1 else f" forget bias {self.forget_bias:g}"
        return f"LSTM projection {self.expansion}:1{changed}"
