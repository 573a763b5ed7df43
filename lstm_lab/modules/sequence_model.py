"""From tokens or features to labels: an embedding, a recurrent body and a dense head."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from lstm_lab.cells.base import Carry
from lstm_lab.errors import UsageError
from lstm_lab.modules.bidirectional import Bidirectional, refuse_pair
from lstm_lab.modules.dropout import Noise, blur, drawn, drop, lock, split
from lstm_lab.modules.layer import OneWay, Reading
from lstm_lab.modules.pooling import Pool, pooled
from lstm_lab.modules.stack import Stack
from lstm_lab.unroll.run import steps_read


class SequenceModel(nnx.Module):
    """From tokens or features to a label per step or per sequence.

    Dropout of input and output draws one mask for all steps of a row, so it forgets features and not steps
    (Y. Gal and Z. Ghahramani 2016; S. Merity, N. S. Keskar and R. Socher 2018, section 4.2). Input noise is
    Gaussian, drawn anew for every number (a setting that K. Greff et al. 2017 search over, from 0 to 1).

    Args:
        embed: for tokens, their count V (read as one-hot vectors) or an `nnx.Embed`; None for features.
        body: the recurrent part.
        d_out: outputs of the dense head, such as the number of classes.
        per_step: one output per step, or one per sequence.
        pool: what the one per sequence is made from, see `modules.pooling`.
        tied: the head's weights are the embedding's, so that it has a bias alone (O. Press and L. Wolf 2017;
            H. Inan, K. Khosravi and R. Socher 2017).
        embedding_dropout: fraction of the tokens whose embedding is zero for a whole call in training.
        input_noise: standard deviation of Gaussian noise added to what the body reads in training.
        input_dropout: fraction of what the body reads set to zero in training.
        output_dropout: fraction of what the head reads set to zero in training.
        rngs: where the head's parameters are drawn.

    Raises:
        UsageError: the body hands on a pair, there is an output per step and pooling, a dropout is no fraction or noise
            below 0, there is no embedding to tie the head to or to drop from, or a tied one does not fit body and
            outputs.
    """

    def __init__(
        self,
        embed: nnx.Embed | int | None,
        body: OneWay | Bidirectional | Stack,
        d_out: int,
        *,
        per_step: bool = True,
        pool: Pool = "last",
        tied: bool = False,
        embedding_dropout: float = 0.0,
        input_noise: float = 0.0,
        input_dropout: float = 0.0,
        output_dropout: float = 0.0,
        rngs: nnx.Rngs,
    ) -> None:
        refuse_pair("sequence model", body)
        if per_step and pool != "last":
            raise UsageError(
                f"pool: {pool!r}: there is an output per step: pool where there is one per sequence"
            )
        rates = {"embedding": embedding_dropout, "input": input_dropout, "output": output_dropout}
        for name, rate in rates.items():
            if not 0 <= rate < 1:
                raise UsageError(f"{name} dropout: {rate}: give a fraction from 0 to below 1")
        if not 0 <= input_noise < float("inf"):
            raise UsageError(f"input noise: {input_noise}: give a standard deviation of 0 or more")
        if embedding_dropout and not isinstance(embed, nnx.Embed):
            raise UsageError(
                f"embedding dropout: {embedding_dropout}: there is no embedding: give an nnx.Embed"
            )
        if tied:
            _refuse_untieable(embed, body.d_out, d_out)
        self.embed = embed
        self.body = body
        self.head = None if tied else nnx.Linear(body.d_out, d_out, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros(d_out)) if tied else None
        self.per_step = per_step
        self.pool = pool
        between = body.dropout if isinstance(body, Stack) else 0.0
        self.noise = Noise(between, embedding_dropout, input_noise, input_dropout, output_dropout)

    def initial_carry(self, batch: int) -> Carry:
        """The body's carry before the first step."""
        return self.body.initial_carry(batch)

    def __call__(self, x: Array, **call: Any) -> tuple[Carry, Array]:
        """Read a batch of sequences.

        Args:
            x: tokens, int `[B, T]`, or as one-hot vectors `[B, T, V]`; or features `[B, T, D]`.
            **call: `carry`, `mask`, `lengths`, `reset` and `key` as in `OneWay`; `noise`, as in `read`.

        Returns:
            The carry, and the outputs: `[B, T, d_out]` per step or `[B, d_out]` per sequence.
        """
        reading = self.read(x, **call)
        return reading.carry, self.answer(reading, call.get("key"), call.get("noise"))

    def read(
        self, x: Array, *, key: Array | None = None, noise: Noise | None = None, **call: Any
    ) -> Reading:
        """Run the body alone. Where steps are pooled, `last` is what they made.

        Args:
            x: as in a call, like all that is not named here.
            key: PRNG key, without which nothing is drawn.
            noise: how much is drawn, in place of the module's own; scalars, traced or not.
            **call: see there.
        """
        key_embed, key_body, key_input, _ = split(key, 4)
        # A key of its own, which leaves all others what they would be without noise.
        key_noise = None if key is None else jax.random.fold_in(key_input, 1)
        noise = self.noise if noise is None else noise
        if isinstance(self.body, Stack):
            call["dropout"] = noise.dropout
        features = self._features(x, noise.embedding_dropout, key_embed)
        features = blur(features, noise.input_noise, key_noise)
        features = lock(features, noise.input_dropout, key_input)
        reading = self.body(features, key=key_body, **call)
        if self.pool == "last":
            return reading
        _, mask = steps_read(features, call.get("mask"), call.get("lengths"), None)
        return reading._replace(last=pooled(self.pool, reading.y, mask))

    def answer(
        self, reading: Reading, key: Array | None = None, noise: Noise | None = None
    ) -> Array:
        """Run the head on what the body said: `[B, T, d_out]` per step or `[B, d_out]` per sequence.

        Args:
            reading: what `read` returned.
            key: that of the call; None in evaluation.
            noise: that of the call.
        """
        *_, key_output = split(key, 4)
        said = reading.y if self.per_step else reading.last
        rate = (self.noise if noise is None else noise).output_dropout
        said = lock(said, rate, key_output)
        if self.head is not None:
            return self.head(said)
        assert isinstance(self.embed, nnx.Embed)
        assert self.bias is not None
        return self.embed.attend(said) + self.bias[...]

    def _features(self, x: Array, dropout: Any, key: Array | None) -> Array:
        """What the body reads, `[B, T, D]`; one-hot vectors let a probe differentiate by a token.

        Embedding dropout forgets whole words, wherever in the batch they stand (Y. Gal and Z. Ghahramani
        2016; S. Merity, N. S. Keskar and R. Socher 2018, section 4.3).
        """
        one_hot = x.ndim == 3
        if isinstance(self.embed, int):
            assert self.head is not None
            return x if one_hot else jax.nn.one_hot(x, self.embed, dtype=self.head.kernel.dtype)
        if self.embed is None:
            return x
        embedded = x @ self.embed.embedding[...] if one_hot else self.embed(x)
        if not drawn(dropout, key):
            return embedded
        words = drop(jnp.ones(self.embed.num_embeddings, embedded.dtype), dropout, key)
        return embedded * (x @ words if one_hot else words[x])[..., None]


def _refuse_untieable(embed: nnx.Embed | int | None, d_said: int, d_out: int) -> None:
    """Raise a UsageError where an embedding cannot serve as the head's weights too."""
    if not isinstance(embed, nnx.Embed):
        raise UsageError("tied: there is no embedding to tie the head to: give an nnx.Embed")
    if (embed.features, embed.num_embeddings) != (d_said, d_out):
        raise UsageError(
            f"tied: an embedding of {embed.num_embeddings} tokens in {embed.features} features, beside "
            f"{d_said} features and {d_out} outputs: make them equal"
        )
