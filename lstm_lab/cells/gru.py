"""Gated recurrent unit.

    r_t = σ(W_r x_t + U_r h_{t-1} + b_r)                          how much of the past the candidate sees
    u_t = σ(W_u x_t + U_u h_{t-1} + b_u)                          how much of the past to keep
    n_t = tanh(W_n x_t + b_n + r_t ∘ (U_n h_{t-1} + c_n))         reset after the product, or
    n_t = tanh(W_n x_t + b_n + U_n (r_t ∘ h_{t-1}))               reset before it
    h_t = (1 - u_t) ∘ n_t + u_t ∘ h_{t-1},      y_t = h_t

K. Cho et al., "Learning phrase representations using RNN encoder-decoder" (2014), equations 5 to 8, resets
before the product; its first arXiv version, `torch.nn.GRU` and cuDNN reset after it, which needs only one
product per step. The paper calls the update gate z, a letter that here means the input projection. The
three blocks stand in torch's order: r u n.

Resetting before puts a second product into the loop: correct through the same engine, but slower.
Differs from torch in having one bias for r and u; c_n is torch's `b_hn`. Biases are drawn as zero.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell, check_sizes, kept, squash
from lstm_lab.cells.initial import Uniform, Weights, unlike_torch


class GRUParams(NamedTuple):
    """Weights of a GRU, blocks r u n: `W [D, 3H]`, `U [H, 3H]`, `b [3H]`, and `c_n [H]` if reset after."""

    W: Array
    U: Array
    b: Array
    c_n: Array | None


class GRUCarry(NamedTuple):
    """The hidden state `h [..., H]`."""

    h: Array


@dataclass(frozen=True)
class GRU(Cell):
    """A gated recurrent unit.

    Attributes:
        reset: whether the reset gate acts after the recurrent product (torch, cuDNN) or before (Cho et al.).
        recurrent: how each gate's U is drawn.
        input: how each gate's W is drawn.
    """

    reset: Literal["after", "before"] = "after"
    recurrent: Weights = Uniform()
    input: Weights = Uniform()

    def init(self, key: Array, d_in: int, d_hidden: int) -> GRUParams:
        check_sizes(d_in, d_hidden)
        key_w, key_u = jax.random.split(key)
        return GRUParams(
            W=self.input.draw(key_w, d_in, d_hidden, gates=3),
            U=self.recurrent.draw(key_u, d_hidden, d_hidden, gates=3),
            b=jnp.zeros(3 * d_hidden, jnp.float32),
            c_n=jnp.zeros(d_hidden, jnp.float32) if self.reset == "after" else None,
        )

    def carry(self, params: GRUParams, batch: int) -> GRUCarry:
        return GRUCarry(jnp.zeros((batch, params.U.shape[0]), params.U.dtype))

    def project(self, params: GRUParams, x: Array) -> Array:
        return x @ params.W + params.b

    def recur(self, params: GRUParams, carry: GRUCarry) -> Array:
        H = params.U.shape[0]
        if params.c_n is None:
            return carry.h @ params.U[:, : 2 * H]
        return carry.h @ params.U + jnp.pad(params.c_n, (2 * H, 0))

    def gates(
        self, params: GRUParams, carry: GRUCarry, z: Array, r: Array
    ) -> tuple[GRUCarry, Array]:
        H = params.U.shape[0]
        z_gates, z_n = jnp.split(z, (2 * H,), axis=-1)
        r_gates, r_n = jnp.split(r, (2 * H,), axis=-1)
        r_n = kept(r_n)
        reset, update = squash(z_gates + r_gates, ("sigmoid", "sigmoid"))
        before = params.c_n is None
        past = (reset * carry.h) @ params.U[:, 2 * H :] if before else reset * r_n
        (n,) = squash(z_n + past, ("tanh",))
        h = (1 - update) * n + update * carry.h
        return GRUCarry(h), h

    @property
    def label(self) -> str:
        reset = "" if self.reset == "after" else "reset before"
        drawn = unlike_torch(self.recurrent, self.input)
        return " ".join(["GRU", *filter(None, (reset, drawn))])
