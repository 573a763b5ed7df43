"""Causal self-attention: a control that has no state and looks back at the steps themselves.

    u_t = E x_t                                                    into H dimensions; x_t where D = H
    q_t, k_t, v_t = W_q n_t, W_k n_t, W_v n_t,     n_t = norm(u_t)         cut into heads of H/K
    w_ts = softmax_s(q_t · k_s / √(H/K) + r_(t-s)),     t - C < s ≤ t      per head
    a_t = u_t + W_o [Σ_s w_ts v_s]                                 heads side by side
    y_t = a_t + W_2 gelu(W_1 norm(a_t) + b_1) + b_2                4H units within

A. Vaswani et al., "Attention is all you need" (2017), sections 3.2 (attention) and 3.3 (the network after it).
A step sees the last C steps read, itself included, at any distance by one product, where a recurrent cell
must carry what it saw through every step between. One block; `Model(layers=...)` stacks them.

Differs from the paper: the norms stand before the sublayers (R. Xiong et al., "On layer normalization in the
transformer architecture", 2020); position is not added to the input, but a learned number r per head and
distance to the score (C. Raffel et al., "Exploring the limits of transfer learning", 2020, section 2.1, there in
buckets), so reading may begin anywhere; GELU in place of ReLU; no dropout inside. r and the biases begin at
zero, other weights as `nnx.Linear` draws them. All T (C - 1 + T) scores of a head are formed and those out of
sight left out: dear where T is far above C.
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
class CausalAttention(Block):
    """A transformer block that sees the last steps: a control without recurrence.

    Attributes:
        heads: attention heads, K.
        context: steps in sight, the present one included, C; at least 2.

    Raises:
        UsageError: there is no head, or no step in sight but the present.
    """

    heads: int = 4
    context: int = 128

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise UsageError(f"heads: {self.heads}: give at least 1")
        if self.context < 2:
            raise UsageError(f"context: {self.context}: give at least 2 steps")

    def build(
        self, d_in: int, d_hidden: int, *, reverse: bool, schedule: Schedule, rngs: nnx.Rngs
    ) -> OneWay:
        del schedule
        check_sizes(d_in, d_hidden)
        if d_hidden % self.heads:
            raise UsageError(
                f"hidden units: {d_hidden}: {self.label} needs a multiple of {self.heads}"
            )
        return AttentionLayer(
            d_in, d_hidden, heads=self.heads, context=self.context, reverse=reverse, rngs=rngs
        )

    @property
    def label(self) -> str:
        return f"attention {self.heads} heads context {self.context}"

    @property
    def multiple(self) -> int:
        return self.heads


class AttentionLayer(Windowed):
    """What `CausalAttention` builds.

    Args:
        d_in: features of the input, D.
        d_hidden: units, H.
        heads: attention heads, K.
        context: steps in sight, the present one included, C.
        reverse: read from the last step to the first.
        rngs: where `rngs.params()` draws the initial parameters.
    """

    def __init__(
        self,
        d_in: int,
        d_hidden: int,
        *,
        heads: int,
        context: int,
        reverse: bool,
        rngs: nnx.Rngs,
    ) -> None:
        super().__init__(d_in, d_hidden, width=context - 1, reverse=reverse)
        H = d_hidden
        self.heads = heads
        self.embed = None if d_in == H else nnx.Linear(d_in, H, use_bias=False, rngs=rngs)
        self.norm_attention = _Norm(H)
        self.qkv = nnx.Linear(H, 3 * H, use_bias=False, rngs=rngs)
        self.relative = nnx.Param(jnp.zeros((heads, context), jnp.float32))
        self.mix = nnx.Linear(H, H, use_bias=False, rngs=rngs)
        self.norm_network = _Norm(H)
        self.widen = nnx.Linear(H, 4 * H, rngs=rngs)
        self.narrow = nnx.Linear(4 * H, H, rngs=rngs)

    def outputs(self, x: Array, sequence: Array) -> Array:
        u = x if self.embed is None else self.embed(x)
        u, attended = u[:, self.width :], self._attend(self.norm_attention(u), sequence)
        u = u + self.mix(attended)
        return u + self.narrow(jax.nn.gelu(self.widen(self.norm_network(u)), approximate=False))

    def _attend(self, n: Array, sequence: Array) -> Array:
        """Every step's mixture of the values in its sight, `[B, T, H]`."""
        B, N, H = n.shape
        W, K = self.width, self.heads
        q, k, v = jnp.split(self.qkv(n).reshape(B, N, K, 3 * H // K), 3, axis=-1)
        t, s = jnp.arange(W, N)[:, None], jnp.arange(N)
        distance = t - s
        in_sight = (distance >= 0) & (distance <= W)
        in_sight = in_sight & (sequence[:, W:, None] == sequence[:, None, :])
        scores = jnp.einsum("btkd,bskd->bkts", q[:, W:], k) * (H // K) ** -0.5
        scores = scores + self.relative[...][:, jnp.clip(distance, 0, W)]
        # A step always sees itself, so no row of scores is empty.
        weights = jax.nn.softmax(jnp.where(in_sight[:, None], scores, -jnp.inf), axis=-1)
        return jnp.einsum("bkts,bskd->btkd", weights, v).reshape(B, N - W, H)


class _Norm(nnx.Module):
    """Layer normalisation in the input's own dtype, which `nnx.LayerNorm` leaves for float32."""

    def __init__(self, features: int) -> None:
        self.scale = nnx.Param(jnp.ones(features, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(features, jnp.float32))

    def __call__(self, u: Array) -> Array:
        centred = u - jnp.mean(u, axis=-1, keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + 1e-6) * self.scale[...] + self.bias[...]
