"""Flax NNX modules around the pure core: recurrent layers, both directions, stacks, whole models.

A module holds parameters and static settings, nothing else: no cache, no random stream, no state
between calls. What a call needs beyond its input (a carry, a PRNG key for dropout) is an argument, so
`nnx.split` once and plain `jax.jit`, `grad`, `scan` and `vmap` afterwards is all there is to learn.

Here stand the layer that is one cell run over time, and what is made of layers: both directions, stacks,
models. What goes around a cell, or stands in its place, is in `layers/`; all of it is `OneWay`.

Every layer answers with `Reading(carry, y, last)`. In Keras' words: `y` is what `return_sequences=True`
gives, `last` what it gives without, `carry` what `return_state=True` adds.
"""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from lstm_lab.cells.base import Carry, Cell
from lstm_lab.errors import UsageError
from lstm_lab.unroll import Schedule, Sequential, unroll
from lstm_lab.unroll.run import steps_read, unroll_both

Merge = Literal["concat", "sum", "mul", "ave"]


class Reading(NamedTuple):
    """What a layer says of a batch of sequences.

    Attributes:
        carry: the state after the last step read, leaves `[B, H]`; a tuple of them for several layers.
        y: an output per step, `[B, T, H]`.
        last: the output at each row's own last step read, `[B, H]`; zero for a row of length zero. For
            two directions it merges the forward one's at the end with the backward one's at the start.
    """

    carry: Carry
    y: Any
    last: Any


class OneWay(nnx.Module):
    """A layer that reads in one direction: `Recurrent`, and every module a block of `layers/` builds.

    Attributes:
        d_in: features of the input, D.
        d_out: features of the output.
        reverse: whether it reads from the last step to the first.
    """

    d_in: int
    d_out: int
    reverse: bool

    @abstractmethod
    def initial_carry(self, batch: int) -> Carry:
        """The carry before the first step, leaves `[batch, ...]`."""

    @abstractmethod
    def __call__(
        self,
        x: Array,
        *,
        carry: Carry | None = None,
        mask: Array | None = None,
        lengths: Array | None = None,
        reset: Array | None = None,
        key: Array | None = None,
    ) -> Reading:
        """Read a batch of sequences; the rules of `unroll` hold.

        Args:
            x: `[B, T, D]`.
            carry: the state to begin with; the layer's own where None.
            mask: bool `[B, T]`, False where a step is skipped.
            lengths: int `[B]`, steps of each right-padded row.
            reset: bool `[B, T]`, True at the first step of a new sequence in a row.
            key: PRNG key for layers that draw at random in training; None in evaluation.
        """


class Recurrent(OneWay):
    """One cell run over time.

    Args:
        cell: the step.
        d_in: features of the input, D.
        d_hidden: units, H.
        reverse: read from the last step to the first.
        schedule: how the loop is run.
        rngs: where `rngs.params()` draws the initial parameters.
    """

    def __init__(
        self,
        cell: Cell,
        d_in: int,
        d_hidden: int,
        *,
        reverse: bool = False,
        schedule: Schedule = Sequential(),
        rngs: nnx.Rngs,
    ) -> None:
        self.cell = cell
        self.d_in = d_in
        self.d_out = d_hidden
        self.reverse = reverse
        self.schedule = schedule
        params = cell.init(rngs.params(), d_in, d_hidden)
        self.params = nnx.data(jax.tree.map(nnx.Param, params))

    def initial_carry(self, batch: int) -> Carry:
        """The carry before the first step, leaves `[batch, H]`."""
        return self.cell.carry(self._arrays(), batch)

    def __call__(
        self,
        x: Array,
        *,
        carry: Carry | None = None,
        mask: Array | None = None,
        lengths: Array | None = None,
        reset: Array | None = None,
        key: Array | None = None,
    ) -> Reading:
        """Read a batch of sequences; see `OneWay`."""
        _, mask = steps_read(x, mask, lengths, reset)
        carry, y = unroll(
            self.cell,
            self._arrays(),
            x,
            carry=carry,
            mask=mask,
            reset=reset,
            reverse=self.reverse,
            schedule=self.schedule,
            key=key,
        )
        return Reading(carry, y, last_read(y, mask, self.reverse))

    def _arrays(self) -> Any:
        return jax.tree.map(
            lambda p: p[...], self.params, is_leaf=lambda leaf: isinstance(leaf, nnx.Param)
        )


def last_read(y: Array, mask: Array | None, reverse: bool) -> Array:
    """The output `[B, H]` at the last step read, which differs by row and by direction."""
    if mask is None:
        return y[:, 0] if reverse else y[:, -1]
    first = jnp.argmax(mask, axis=1)
    final = mask.shape[1] - 1 - jnp.argmax(mask[:, ::-1], axis=1)
    index = first if reverse else final
    return jnp.take_along_axis(y, index[:, None, None], axis=1)[:, 0]


class Bidirectional(nnx.Module):
    """Two layers reading the same input, one from each end.

    M. Schuster and K. K. Paliwal, "Bidirectional recurrent neural networks" (1997), section II.C.

    Args:
        forward: the layer that reads from the first step.
        backward: the layer that reads from the last step.
        merge: how their outputs become one: `concat`, `sum`, `mul`, `ave`; None keeps the pair.
        one_loop: read both ways in one loop, which asks for two `Recurrent` layers that differ in nothing but
            direction and parameters; None does so where it is faster: on an accelerator, and on a CPU for a
            single row and few units, as measured. The answer is the same but for rounding.

    Raises:
        UsageError: the layers read the same way, their widths cannot be merged, or one loop cannot serve both.
    """

    def __init__(
        self,
        forward: OneWay,
        backward: OneWay,
        merge: Merge | None = "concat",
        *,
        one_loop: bool | None = None,
    ) -> None:
        if forward.reverse or not backward.reverse:
            raise UsageError(
                f"bidirectional: reverse={forward.reverse} and {backward.reverse}: "
                "give a forward layer, then one built with reverse=True"
            )
        if merge not in ("concat", None) and forward.d_out != backward.d_out:
            raise UsageError(
                f"bidirectional: {forward.d_out} and {backward.d_out} units: "
                f"merge={merge!r} needs equal widths, or use 'concat'"
            )
        if one_loop and not _alike(forward, backward):
            raise UsageError(
                "bidirectional: one_loop: give two Recurrent layers of the same cell, sizes and Sequential "
                "schedule, or leave it out"
            )
        self.forward = forward
        self.backward = backward
        self.merge = merge
        self.one_loop = one_loop
        self.d_in = forward.d_in
        self.d_out = forward.d_out + (backward.d_out if merge == "concat" else 0)

    def initial_carry(self, batch: int) -> Carry:
        """The two directions' carries."""
        return self.forward.initial_carry(batch), self.backward.initial_carry(batch)

    def __call__(
        self, x: Array, *, carry: Carry | None = None, key: Array | None = None, **steps: Any
    ) -> Reading:
        """Read a batch of sequences from both ends; arguments and shapes as in `OneWay`."""
        carries = (None, None) if carry is None else carry
        keys = _split(key, 2)
        pair = self._in_one_loop(x.shape[0])
        if pair is not None:
            forward, backward = _read_both(pair, x, carries, keys, **steps)
        else:
            forward = self.forward(x, carry=carries[0], key=keys[0], **steps)
            backward = self.backward(x, carry=carries[1], key=keys[1], **steps)
        return Reading(
            (forward.carry, backward.carry),
            self._merge(forward.y, backward.y),
            self._merge(forward.last, backward.last),
        )

    def _in_one_loop(self, batch: int) -> tuple[Recurrent, Recurrent] | None:
        """The layers, where they are to be read in one loop."""
        # On a CPU a product of a pair of matrices is slower than two, and only an iteration's fixed cost is saved.
        faster = jax.default_backend() != "cpu" or batch * self.forward.d_out <= _FEW_UNITS
        wanted = faster if self.one_loop is None else self.one_loop
        return _alike(self.forward, self.backward) if wanted else None

    def _merge(self, forward: Array, backward: Array) -> Any:
        match self.merge:
            case "concat":
                return jnp.concatenate([forward, backward], axis=-1)
            case "sum":
                return forward + backward
            case "mul":
                return forward * backward
            case "ave":
                return (forward + backward) / 2
            case _:
                return forward, backward


# Rows by units up to which one loop for both directions was measured to be faster on a CPU.
_FEW_UNITS = 64


def _alike(forward: OneWay, backward: OneWay) -> tuple[Recurrent, Recurrent] | None:
    """Two layers, if they are the same but for direction and parameters, and their schedule takes a pair."""
    if not (isinstance(forward, Recurrent) and isinstance(backward, Recurrent)):
        return None

    def settings(layer: Recurrent) -> tuple[Any, ...]:
        return layer.cell, layer.schedule, layer.d_in, layer.d_out

    same = settings(forward) == settings(backward) and isinstance(forward.schedule, Sequential)
    return (forward, backward) if same else None


def _read_both(
    pair: tuple[Recurrent, Recurrent],
    x: Array,
    carries: Any,
    keys: Any,
    *,
    mask: Array | None = None,
    lengths: Array | None = None,
    reset: Array | None = None,
) -> tuple[Reading, Reading]:
    """What the two layers say, read in one loop."""
    _, mask = steps_read(x, mask, lengths, reset)
    forward, backward = pair
    ahead, back = unroll_both(
        forward.cell,
        (forward._arrays(), backward._arrays()),
        x,
        carry=carries,
        mask=mask,
        reset=reset,
        schedule=forward.schedule,
        key=keys,
    )
    return (
        Reading(*ahead, last_read(ahead[1], mask, reverse=False)),
        Reading(*back, last_read(back[1], mask, reverse=True)),
    )


class Stack(nnx.Module):
    """Layers on top of each other, each handing its full sequence to the next.

    What stands between layers acts on every layer's input but the first's, in this order: layer
    normalisation, dropout (W. Zaremba, I. Sutskever and O. Vinyals 2014, section 3.1: never on the
    recurrent path), the layer, and with `residual` the layer's input added to its output.

    Args:
        layers: from the input upwards.
        residual: add each upper layer's input to its output; needs equal widths.
        norm: normalise each upper layer's input.
        dropout: fraction of each upper layer's input set to zero in training, 0 to 1.
        rngs: unused draws aside, the norms' parameters.

    Raises:
        UsageError: there is no layer, widths do not fit, a layer hands on a pair, or dropout is
            outside [0, 1).
    """

    def __init__(
        self,
        layers: Sequence[OneWay | Bidirectional],
        *,
        residual: bool = False,
        norm: bool = False,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
    ) -> None:
        if not 0 <= dropout < 1:
            raise UsageError(f"dropout: {dropout}: give a fraction from 0 to below 1")
        if not layers:
            raise UsageError("stack: no layers: give at least one")
        for layer in layers:
            _refuse_pair("stack", layer)
        for below, above in pairwise(layers):
            if above.d_in != below.d_out:
                raise UsageError(
                    f"stack: a layer of {below.d_out} outputs below one of {above.d_in} inputs"
                )
            if residual and above.d_out != above.d_in:
                raise UsageError(
                    f"stack: residual needs equal widths, not {above.d_in} and {above.d_out}"
                )
        self.layers = nnx.List(layers)
        self.norms = nnx.List(
            [nnx.LayerNorm(layer.d_in, rngs=rngs) for layer in layers[1:]] if norm else []
        )
        self.residual = residual
        self.dropout = dropout
        self.d_in = layers[0].d_in
        self.d_out = layers[-1].d_out

    def initial_carry(self, batch: int) -> Carry:
        """One carry per layer."""
        return tuple(layer.initial_carry(batch) for layer in self.layers)

    def __call__(
        self, x: Array, *, carry: Carry | None = None, key: Array | None = None, **steps: Any
    ) -> Reading:
        """Read a batch of sequences; arguments and shapes as in `OneWay`, dropout only with a key."""
        carries = [None] * len(self.layers) if carry is None else carry
        keys = _split(key, 2 * len(self.layers))
        reading = self.layers[0](x, carry=carries[0], key=keys[0], **steps)
        after = [reading.carry]
        for n, layer in enumerate(self.layers[1:], start=1):
            below, y = reading, reading.y
            if self.norms:
                y = self.norms[n - 1](y)
            y = _dropout(y, self.dropout, keys[2 * n + 1])
            reading = layer(y, carry=carries[n], key=keys[2 * n], **steps)
            after.append(reading.carry)
            if self.residual:
                reading = Reading(reading.carry, below.y + reading.y, below.last + reading.last)
        return reading._replace(carry=tuple(after))


def _refuse_pair(reader: str, layer: nnx.Module) -> None:
    if isinstance(layer, Bidirectional) and layer.merge is None:
        raise UsageError(
            f"{reader}: a layer with merge=None hands on a pair: merge it, as by 'concat'"
        )


def _split(key: Array | None, n: int) -> Any:
    return [None] * n if key is None else jax.random.split(key, n)


def _dropout(x: Array, rate: float, key: Array | None) -> Array:
    """Zero a fraction of x and scale the rest to keep its expectation; nothing without a key."""
    if key is None or rate == 0:
        return x
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), jnp.zeros_like(x))


class SequenceModel(nnx.Module):
    """From tokens or features to a label per step or per sequence.

    Args:
        embed: for tokens, their count V (read as one-hot vectors) or an `nnx.Embed`; None for features.
        body: the recurrent part.
        d_out: outputs of the dense head, such as the number of classes.
        per_step: one output per step, or one per sequence, from each row's own last step.
        embedding_dropout: fraction of the tokens whose embedding is zero for a whole call in training.
        rngs: where the head's parameters are drawn.

    Raises:
        UsageError: the body hands on a pair, or embedding dropout is no fraction or has no embedding.
    """

    def __init__(
        self,
        embed: nnx.Embed | int | None,
        body: OneWay | Bidirectional | Stack,
        d_out: int,
        *,
        per_step: bool = True,
        embedding_dropout: float = 0.0,
        rngs: nnx.Rngs,
    ) -> None:
        _refuse_pair("sequence model", body)
        if not 0 <= embedding_dropout < 1:
            raise UsageError(
                f"embedding dropout: {embedding_dropout}: give a fraction from 0 to below 1"
            )
        if embedding_dropout and not isinstance(embed, nnx.Embed):
            raise UsageError(
                f"embedding dropout: {embedding_dropout}: there is no embedding: give an nnx.Embed"
            )
        self.embed = embed
        self.body = body
        self.head = nnx.Linear(body.d_out, d_out, rngs=rngs)
        self.per_step = per_step
        self.embedding_dropout = embedding_dropout

    def initial_carry(self, batch: int) -> Carry:
        """The body's carry before the first step."""
        return self.body.initial_carry(batch)

    def __call__(self, x: Array, **call: Any) -> tuple[Carry, Array]:
        """Read a batch of sequences.

        Args:
            x: tokens, int `[B, T]`, or as one-hot vectors `[B, T, V]`; or features `[B, T, D]`.
            **call: `carry`, `mask`, `lengths`, `reset` and `key` as in `OneWay`.

        Returns:
            The carry, and the outputs: `[B, T, d_out]` per step or `[B, d_out]` per sequence.
        """
        reading = self.read(x, **call)
        return reading.carry, self.answer(reading)

    def read(self, x: Array, *, key: Array | None = None, **call: Any) -> Reading:
        """Run the body alone; arguments as in a call."""
        key_embed, key_body = _split(key, 2)
        return self.body(self._features(x, key_embed), key=key_body, **call)

    def answer(self, reading: Reading) -> Array:
        """Run the head on what the body said: `[B, T, d_out]` per step or `[B, d_out]` per sequence."""
        return self.head(reading.y if self.per_step else reading.last)

    def _features(self, x: Array, key: Array | None) -> Array:
        """What the body reads, `[B, T, D]`; one-hot vectors let a probe differentiate by a token.

        Embedding dropout forgets whole words, wherever in the batch they stand (Y. Gal and Z. Ghahramani
        2016; S. Merity, N. S. Keskar and R. Socher 2018, section 4.3).
        """
        one_hot = x.ndim == 3
        if isinstance(self.embed, int):
            return x if one_hot else jax.nn.one_hot(x, self.embed, dtype=self.head.kernel.dtype)
        if self.embed is None:
            return x
        embedded = x @ self.embed.embedding[...] if one_hot else self.embed(x)
        if key is None or not self.embedding_dropout:
            return embedded
        words = jnp.ones(self.embed.num_embeddings, embedded.dtype)
        words = _dropout(words, self.embedding_dropout, key)
        return embedded * (x @ words if one_hot else words[x])[..., None]
