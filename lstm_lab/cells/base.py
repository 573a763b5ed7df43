"""What a recurrent cell is: two pure functions and a size.

A step is cut in three by what it needs, because that decides where it may run:

    z_t = project(x_t)               needs no carry: all T steps in one matrix product, outside the loop
    r_t = recur(carry_{t-1})         affine in the carry: the one matrix product inside the loop
    carry_t, y_t = gates(carry_{t-1}, z_t, r_t)      elementwise: the paper's equations

A cell writes no derivative. `unroll` runs the adjoint of `gates` and `recur` backwards through time and
forms the gradient of every parameter afterwards, from all steps at once. For that, each method must
accept any number of leading axes and treat them alike: `[..., H]` is one row, a batch, or `[T, B, H]`.

A cell is a frozen dataclass of static hyper-parameters, never of arrays: it is hashable, so equal
cells share one compiled program, and it *is* its own configuration.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.ad_checkpoint import checkpoint_name

from lstm_lab.errors import UsageError

Params = Any
"""A NamedTuple of arrays, named as in the cell's paper."""

Carry = Any
"""A NamedTuple of arrays `[..., H]`, or `[..., H, H]` for a matrix: all that one step hands to the next."""


class Layer:
    """A value that names what one layer of a model is: a cell, or something around one."""

    @property
    def label(self) -> str:
        """A short name for tables and figures."""
        return type(self).__name__

    @property
    def multiple(self) -> int:
        """What the units H must be a multiple of: any number will do unless a layer shares them out."""
        return 1


class Cell(Layer, ABC):
    """One step of a recurrent network, as pure functions of its parameters.

    Subclasses are frozen dataclasses whose every field has a default.
    """

    @abstractmethod
    def init(self, key: Array, d_in: int, d_hidden: int) -> Params:
        """Draw the parameters.

        Args:
            key: PRNG key.
            d_in: features of the input, D.
            d_hidden: units of the cell, H.

        Returns:
            A NamedTuple of float32 arrays.
        """

    def prepare(self, params: Params, key: Array | None = None) -> Params:
        """Transform the parameters once per call, before the loop: the identity unless a cell needs it."""
        del key
        return params

    def disturb(self, params: Params, x: Array, key: Array | None = None) -> Array:
        """Hang noise on the input once per call, before the loop: the identity unless a cell needs it.

        Args:
            params: the prepared parameters.
            x: inputs `[B, T, D]`, zero at masked steps.
            key: PRNG key in training; None in evaluation, where noise is its own expectation.

        Returns:
            What `project` is given in place of x, `[B, T, ...]`: numbers behind x may be carried over into z.
        """
        del params, key
        return x

    @abstractmethod
    def carry(self, params: Params, batch: int) -> Carry:
        """The carry before the first step, `[batch, H]` in the parameters' dtype."""

    @abstractmethod
    def project(self, params: Params, x: Array) -> Array:
        """What a step needs of its input alone: `[..., D]` to `[..., G]`."""

    @abstractmethod
    def recur(self, params: Params, carry: Carry) -> Array:
        """What a step needs of the carry by matrix product: affine in the carry, `[..., H]` to `[..., R]`."""

    @abstractmethod
    def gates(self, params: Params, carry: Carry, z: Array, r: Array) -> tuple[Carry, Array]:
        """The step's equations, elementwise.

        Args:
            params: the prepared parameters.
            carry: the carry before the step, leaves `[..., H]`.
            z: `project` of the step's input, `[..., G]`.
            r: `recur` of the carry, `[..., R]`.

        Returns:
            The carry after the step and the output `[..., H]`.
        """


class LinearCell(Cell):
    """A cell whose carry moves linearly and unit by unit, with coefficients that need no carry:

        h_t = a_t ∘ h_{t-1} + b_t,      (a_t, b_t) = coefficients(z_t),      y_t = emit(h_t, z_t)

    Two such steps in a row are one of the same kind, (a, b) after (a', b') being (a a', a b' + b), so a
    prefix sum under this product runs all steps in log T rounds (G. E. Blelloch, "Prefix sums and their
    applications" 1990, section 1.4.1). `recur` and `gates` follow from the coefficients: the step by
    step form and the parallel one share one set of equations.
    """

    @abstractmethod
    def coefficients(self, params: Params, z: Array) -> tuple[Carry, Carry]:
        """Compute a and b, each a carry with leaves `[..., H]`, from `project`'s `[..., G]`."""

    def emit(self, params: Params, carry: Carry, z: Array) -> Array:
        """Read the output `[..., H]` off the carry after the step; the first leaf unless a cell says else."""
        del params, z
        return jax.tree.leaves(carry)[0]

    def times(self, a: Carry, h: Carry) -> Carry:
        """The product a ∘ h; a cell whose carry holds complex numbers in two parts says how."""
        return jax.tree.map(jnp.multiply, a, h)

    def one(self, a: Carry) -> Carry:
        """The neutral coefficient in the shape of a: a ∘ h is h."""
        return jax.tree.map(jnp.ones_like, a)

    def recur(self, params: Params, carry: Carry) -> Array:
        del params
        return jax.tree.leaves(carry)[0][..., :0]

    def gates(self, params: Params, carry: Carry, z: Array, r: Array) -> tuple[Carry, Array]:
        del r
        a, b = self.coefficients(params, z)
        carry = jax.tree.map(jnp.add, self.times(a, carry), b)
        return carry, self.emit(params, carry, z)


KEPT = "kept"


def kept(a: Array) -> Array:
    """Mark what the gradient should find again instead of computing it again: what is dear and not large.

    Of a step, a schedule keeps for the gradient what is marked; what is not, it computes again from that and from
    what `gates` was given. `squash` marks its `tanh`.
    """
    return checkpoint_name(a, KEPT)


def squash(a: Array, kinds: Sequence[str]) -> list[Array]:
    """Apply each gate's sigmoid or tanh to its block of a fused pre-activation, with a single `tanh`.

    `sigmoid(x) = (1 + tanh(x / 2)) / 2`, so scaling the sigmoid blocks by one half lets one `tanh` serve
    every gate. Taken gate by gate, XLA's CPU fusions evaluate each transcendental once per consumer.

    Args:
        a: pre-activations `[..., len(kinds) * H]`.
        kinds: `"sigmoid"` or `"tanh"` for each block, in order.

    Returns:
        One array `[..., H]` per block.
    """
    return _squash(tuple(kinds), a)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _squash(kinds: tuple[str, ...], a: Array) -> list[Array]:
    return _blocks(kinds, _tanh(kinds, a))


@_squash.defjvp
def _squash_jvp(
    kinds: tuple[str, ...], primals: tuple[Array], tangents: tuple[Array]
) -> tuple[list[Array], list[Array]]:
    """σ' = σ (1 - σ) and tanh' = 1 - tanh², block by block: the gradient needs the blocks alone."""
    blocks = _blocks(kinds, kept(_tanh(kinds, *primals)))
    slopes = [
        block * (1 - block) if kind == "sigmoid" else 1 - block * block
        for block, kind in zip(blocks, kinds, strict=True)
    ]
    changes = jnp.split(tangents[0], len(kinds), axis=-1)
    return blocks, [slope * change for slope, change in zip(slopes, changes, strict=True)]


def _tanh(kinds: tuple[str, ...], a: Array) -> Array:
    """The one tanh, whose sigmoid blocks are still 2 σ - 1."""
    if "sigmoid" not in kinds:
        return jnp.tanh(a)
    halves = [0.5 if kind == "sigmoid" else 1.0 for kind in kinds]
    scale = jnp.repeat(jnp.array(halves, a.dtype), a.shape[-1] // len(kinds))
    return jnp.tanh(a * scale)


def _blocks(kinds: tuple[str, ...], t: Array) -> list[Array]:
    return [
        0.5 * block + 0.5 if kind == "sigmoid" else block
        for block, kind in zip(jnp.split(t, len(kinds), axis=-1), kinds, strict=True)
    ]


def positive(v: Array) -> Array:
    """The g of Feng et al. 2024, appendix B: v + 1/2 from zero up, σ(v) below; continuous and above zero."""
    return jnp.where(v >= 0, v + 0.5, jax.nn.sigmoid(v))


def uniform(key: Array, shape: tuple[int, ...], d_hidden: int) -> Array:
    """Draw from U(-1/√H, 1/√H): the weights of `torch.nn.RNN`, `LSTM` and `GRU`."""
    bound = d_hidden**-0.5
    return jax.random.uniform(key, shape, jnp.float32, -bound, bound)


def check_sizes(d_in: int, d_hidden: int) -> None:
    """Refuse sizes no cell can have.

    Raises:
        UsageError: a size is below 1.
    """
    for name, size in (("input features", d_in), ("hidden units", d_hidden)):
        if size < 1:
            raise UsageError(f"{name}: {size}: a cell needs at least 1")
