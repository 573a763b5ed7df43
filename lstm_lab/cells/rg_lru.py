"""Real-gated linear recurrent unit: a decay of its own for each unit, slowed down by a gate.

    r_t = σ(W_a x_t + b_a)                            how much time passes at this step
    i_t = σ(W_x x_t + b_x)                            what to let in
    a_t = a^(c r_t),      a = σ(Λ),  c = 8            what to keep
    h_t = a_t ∘ h_{t-1} + √(1 - a_t²) ∘ (i_t ∘ x̃_t),      x̃_t = W x_t,      y_t = h_t

S. De et al., "Griffin: mixing gated linear recurrences with local attention for efficient language models"
(2024), section 2.4, equations 1 to 4. With r near 0 the state stays and the input is shut out, with r near
1 the state fades at the unit's own rate; the root keeps the variance of h when x̃ is white. Neither gate
needs the carry, so the recurrence is linear and any schedule that serves linear cells runs it.

Differs from the paper in x̃: there it is x_t itself, already projected to H by the block around the unit;
here a block of W takes D to H, without bias, and the gates read x_t as it came. Nothing else of that block
is here, neither the convolution before the unit nor the branch beside it.

a_t is formed from its logarithm, as in appendix A: log a_t = c r_t log σ(Λ), and log σ(Λ) is
-softplus(-Λ). The appendix prints softplus(Λ), which is the same with Λ's sign turned. The root's slope
has no bound as a_t nears 1, so what stands under it is held at the square of the rounding error or above.

Weights are drawn after LeCun et al. (1998), biases as zero, and Λ such that a^c is uniform on
[0.9, 0.999], all as in section 2.4. Blocks stand in the order r i x̃.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import LinearCell, check_sizes

# Section 2.4.
C = 8.0
SLOWEST, FASTEST = 0.999, 0.9


class RGLRUParams(NamedTuple):
    """Weights, blocks r i x̃: `W [D, 3H]`; blocks r i: `b [2H]`; and the decay's logit `Lambda [H]`."""

    W: Array
    b: Array
    Lambda: Array


class RGLRUCarry(NamedTuple):
    """The hidden state `h [..., H]`."""

    h: Array


@dataclass(frozen=True)
class RGLRU(LinearCell):
    """A real-gated linear recurrent unit."""

    def init(self, key: Array, d_in: int, d_hidden: int) -> RGLRUParams:
        check_sizes(d_in, d_hidden)
        key_w, key_a = jax.random.split(key)
        decay = jax.random.uniform(key_a, (d_hidden,), jnp.float32, FASTEST, SLOWEST)
        log_a = jnp.log(decay) / C
        return RGLRUParams(
            W=jax.nn.initializers.lecun_normal()(key_w, (d_in, 3 * d_hidden), jnp.float32),
            b=jnp.zeros(2 * d_hidden, jnp.float32),
            # The logit of a: 1 - a itself would lose its digits, a being so near 1.
            Lambda=log_a - jnp.log(-jnp.expm1(log_a)),
        )

    def carry(self, params: RGLRUParams, batch: int) -> RGLRUCarry:
        return RGLRUCarry(jnp.zeros((batch, params.Lambda.shape[0]), params.W.dtype))

    def project(self, params: RGLRUParams, x: Array) -> Array:
        return x @ params.W + jnp.pad(params.b, (0, params.Lambda.shape[0]))

    def coefficients(self, params: RGLRUParams, z: Array) -> tuple[RGLRUCarry, RGLRUCarry]:
        r, i, x = jnp.split(z, 3, axis=-1)
        log_a = C * jax.nn.sigmoid(r) * jax.nn.log_sigmoid(params.Lambda)
        # A smaller root is lost beside a_t = 1, and its first two derivatives still fit the type.
        least = float(jnp.finfo(z.dtype).eps) ** 2
        gain = jnp.sqrt(jnp.maximum(-jnp.expm1(2 * log_a), least))
        return RGLRUCarry(jnp.exp(log_a)), RGLRUCarry(gain * (jax.nn.sigmoid(i) * x))

    @property
    def label(self) -> str:
        return "RG-LRU"
