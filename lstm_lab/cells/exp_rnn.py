"""The orthogonal network: a recurrent matrix that turns the state and never stretches it.

    U = exp(A - Aᵀ)                                            A strictly upper triangular, exp that of matrices
    h_t = φ(W x_t + U h_{t-1}),      y_t = h_t
    φ(a) = sign(a) max(|a| + b, 0)                             modReLU

M. Lezcano-Casado and D. Martínez-Rubio, "Cheap orthogonal constraints in neural networks: a simple
parametrization of the orthogonal and unitary group" (2019). A - Aᵀ is skew-symmetric, so U is a rotation,
and every rotation is the exponential of some A: gradient descent on A needs no projection, and U keeps the
length of the state and of the error that flows back through it. modReLU is M. Arjovsky, A. Shah and
Y. Bengio, "Unitary evolution recurrent neural networks" (2016), for real numbers: it keeps the sign, and b
says how much of the length. For b = 0 it is the identity and the network linear.

Only the H (H - 1) / 2 numbers above the diagonal are parameters, row by row; with a single unit there are
none, A is None and U = 1. U is computed once per call, in `prepare`, by scaling and squaring.

Initialisation, as in the authors' code: A turns units in pairs, 1 with 2, 3 with 4, by angles that `Henaff`
or `Cayley` draw; W is normal with variance 2/D and b uniform on [-0.01, 0.01]. The paper trains A with a
smaller step size than the rest, which is the optimizer's affair and not done here.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import expm

from lstm_lab.cells.base import Cell, check_sizes
from lstm_lab.cells.initial import Angles, Henaff

# The authors' code.
BIAS_BOUND = 0.01


class ExpRNNParams(NamedTuple):
    """Weights: `W [D, H]`, `A [H (H - 1) / 2]` above the diagonal or None for one unit, `b [H]`."""

    W: Array
    A: Array | None
    b: Array


class ExpRNNPrepared(NamedTuple):
    """What the steps read: `W [D, H]`, the orthogonal `U [H, H]`, `b [H]`."""

    W: Array
    U: Array
    b: Array


class ExpRNNCarry(NamedTuple):
    """The hidden state `h [..., H]`."""

    h: Array


@dataclass(frozen=True)
class ExpRNN(Cell):
    """A recurrent cell with an orthogonal recurrent matrix.

    Attributes:
        angles: how those of A are drawn.
    """

    angles: Angles = Henaff()

    def init(self, key: Array, d_in: int, d_hidden: int) -> ExpRNNParams:
        check_sizes(d_in, d_hidden)
        key_w, key_a, key_b = jax.random.split(key, 3)
        first = np.arange(0, d_hidden - 1, 2)
        angle = self.angles.draw(key_a, len(first))
        A = jnp.zeros((d_hidden, d_hidden), jnp.float32).at[first, first + 1].set(angle)
        return ExpRNNParams(
            W=jax.random.normal(key_w, (d_in, d_hidden), jnp.float32) * (2 / d_in) ** 0.5,
            A=A[np.triu_indices(d_hidden, 1)] if d_hidden > 1 else None,
            b=jax.random.uniform(key_b, (d_hidden,), jnp.float32, -BIAS_BOUND, BIAS_BOUND),
        )

    def prepare(self, params: ExpRNNParams, key: Array | None = None) -> ExpRNNPrepared:
        del key
        H, dtype = params.b.shape[0], params.b.dtype
        # The exponential solves a linear system, which exists for 32 bits and more.
        A = jnp.zeros((H, H), jnp.float32 if dtype.itemsize < 4 else dtype)
        if params.A is not None:
            A = A.at[np.triu_indices(H, 1)].set(params.A.astype(A.dtype))
        return ExpRNNPrepared(params.W, expm(A - A.T).astype(dtype), params.b)

    def carry(self, params: ExpRNNParams | ExpRNNPrepared, batch: int) -> ExpRNNCarry:
        return ExpRNNCarry(jnp.zeros((batch, *params.b.shape), params.b.dtype))

    def project(self, params: ExpRNNPrepared, x: Array) -> Array:
        return x @ params.W

    def recur(self, params: ExpRNNPrepared, carry: ExpRNNCarry) -> Array:
        return carry.h @ params.U

    def gates(
        self, params: ExpRNNPrepared, carry: ExpRNNCarry, z: Array, r: Array
    ) -> tuple[ExpRNNCarry, Array]:
        a = z + r
        h = jnp.sign(a) * jax.nn.relu(jnp.abs(a) + params.b)
        return ExpRNNCarry(h), h

    @property
    def label(self) -> str:
        return "expRNN" if self.angles == Henaff() else f"expRNN {self.angles.label}"
