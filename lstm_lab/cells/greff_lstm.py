"""The LSTM with peepholes, and the eight ways of taking one thing away or adding one.

    g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)                          what could be written
    i_t = σ(W_i x_t + U_i h_{t-1} + p_i ∘ c_{t-1} + b_i)             what to write
    f_t = σ(W_f x_t + U_f h_{t-1} + p_f ∘ c_{t-1} + b_f)             what to keep
    c_t = f_t ∘ c_{t-1} + i_t ∘ g_t
    o_t = σ(W_o x_t + U_o h_{t-1} + p_o ∘ c_t + b_o)                 what to show: it sees the new c
    h_t = o_t ∘ tanh(c_t),      y_t = h_t

K. Greff, R. K. Srivastava, J. Koutník, B. R. Steunebrink and J. Schmidhuber, "LSTM: a search space
odyssey" (2015), section II for `vanilla` and section III for the variants:

    NIG   no input gate, i = 1                    NIAF  no input activation, g without tanh
    NFG   no forget gate, f = 1                   NOAF  no output activation, h = o ∘ c
    NOG   no output gate, o = 1                   CIFG  coupled gates, f = 1 - i
    NP    no peepholes, p = 0                     FGR   full gate recurrence: every gate also sees all three
                                                        gates of the step before, through nine more matrices

NP with other initial biases is `lstm.LSTM`. Peepholes are F. Gers and J. Schmidhuber, "Recurrent nets that
time and count" (2000). The paper calls g z, y what is h here, and p the peepholes too.

Weights are drawn from a normal distribution of standard deviation 0.1, as in the paper's section IV;
biases start at zero. Blocks stand in the order i f g o, those of the variant.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes
from lstm_lab.errors import UsageError

Variant = Literal["vanilla", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR"]

# Greff et al. 2015, section IV.
STD = 0.1


class GreffLSTMParams(NamedTuple):
    """Weights, with n blocks and k peepholes: `W [D, nH]`, `U [H, nH]`, `b [nH]`, `p [kH]` or None,
    and `R [3H, 3H]` from the gates i f o to the gates i f o, or None."""

    W: Array
    U: Array
    b: Array
    p: Array | None
    R: Array | None


class GreffLSTMCarry(NamedTuple):
    """The hidden state `h [..., H]`, the cell state `c [..., H]`, and the gates i f o `[..., 3H]` or None."""

    h: Array
    c: Array
    gates: Array | None


@dataclass(frozen=True)
class GreffLSTM(Cell):
    """An LSTM with peepholes, or one of its eight variants.

    Attributes:
        variant: the paper's name for it.

    Raises:
        UsageError: there is no such variant.
    """

    variant: Variant = "vanilla"

    def __post_init__(self) -> None:
        if self.variant not in get_args(Variant):
            raise UsageError(f"variant: {self.variant!r}: use {', '.join(get_args(Variant))}")

    @property
    def blocks(self) -> str:
        """The blocks the variant computes, of i f g o."""
        missing = {"NIG": "i", "NFG": "f", "CIFG": "f", "NOG": "o"}.get(self.variant, "")
        return "ifgo".replace(missing, "") if missing else "ifgo"

    @property
    def peepholes(self) -> str:
        """The gates that see the cell state, of i f o."""
        return "" if self.variant == "NP" else self.blocks.replace("g", "")

    def init(self, key: Array, d_in: int, d_hidden: int) -> GreffLSTMParams:
        check_sizes(d_in, d_hidden)
        n, k, H = len(self.blocks), len(self.peepholes), d_hidden
        shapes = ((d_in, n * H), (H, n * H), (k * H,), (3 * H, 3 * H))
        keys = jax.random.split(key, len(shapes))
        W, U, p, R = (
            STD * jax.random.normal(k, s, jnp.float32) for k, s in zip(keys, shapes, strict=True)
        )
        return GreffLSTMParams(
            W=W,
            U=U,
            b=jnp.zeros(n * H, jnp.float32),
            p=p if k else None,
            R=R if self.variant == "FGR" else None,
        )

    def carry(self, params: GreffLSTMParams, batch: int) -> GreffLSTMCarry:
        H = params.U.shape[0]
        zero = jnp.zeros((batch, H), params.U.dtype)
        gates = jnp.zeros((batch, 3 * H), params.U.dtype) if self.variant == "FGR" else None
        return GreffLSTMCarry(zero, zero, gates)

    def project(self, params: GreffLSTMParams, x: Array) -> Array:
        return x @ params.W + params.b

    def recur(self, params: GreffLSTMParams, carry: GreffLSTMCarry) -> Array:
        r = carry.h @ params.U
        if params.R is None or carry.gates is None:
            return r
        i, f, o = jnp.split(carry.gates @ params.R, 3, axis=-1)
        return r + jnp.concatenate([i, f, jnp.zeros_like(i), o], axis=-1)

    def gates(
        self, params: GreffLSTMParams, carry: GreffLSTMCarry, z: Array, r: Array
    ) -> tuple[GreffLSTMCarry, Array]:
        a = dict(zip(self.blocks, jnp.split(z + r, len(self.blocks), axis=-1), strict=True))
        p = jnp.split(params.p, len(self.peepholes)) if params.p is not None else []
        peep = dict(zip(self.peepholes, p, strict=True))
        one = jnp.ones_like(carry.c)

        def gate(name: str, c: Array) -> Array:
            if name not in a:
                return one
            return jax.nn.sigmoid(a[name] + peep[name] * c if name in peep else a[name])

        i = gate("i", carry.c)
        f = 1 - i if self.variant == "CIFG" else gate("f", carry.c)
        g = a["g"] if self.variant == "NIAF" else jnp.tanh(a["g"])
        c = f * carry.c + i * g
        o = gate("o", c)
        h = o * (c if self.variant == "NOAF" else jnp.tanh(c))
        seen = None if carry.gates is None else jnp.concatenate([i, f, o], axis=-1)
        return GreffLSTMCarry(h, c, seen), h

    @property
    def label(self) -> str:
        return f"LSTM {self.variant}"
