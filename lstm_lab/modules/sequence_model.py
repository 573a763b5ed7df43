"""From tokens or features to labels: an embedding, a recurrent body and a dense head."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from lstm_lab.cells.base import Carry
from lstm_lab.errors import UsageError
from lstm_lab.modules.bidirectional import Bidirectional, refuse_pair
from lstm_lab.modules.dropout import drop, lock, split
from lstm_lab.modules.layer import OneWay, Reading
from lstm_lab.modules.pooling import Pool, pooled
from lstm_lab.modules.stack import Stack
from lstm_lab.unroll.run import steps_read


class SequenceModel(nnx.Module):
    """From tokens or features to a label per step or per sequence.

    Dropout of input and output draws one mask for all steps of a row, so it forgets features and not steps
    (Y. Gal and Z. Ghahramani 2016; S. Merity, N. S. Keskar and R. Socher 2018, section 4.2).

    Args:
        embed: for tokens, their count V (read as one-hot vectors) or an `nnx.Embed`; None for features.
        body: the recurrent part.
        d_out: outputs of the dense head, such as the number of classes.
        per_step: one output per step, or one per sequence.
        pool: what the one per sequence is made from, see `modules.pooling`.
        tied: the head's weights are the embedding's, so that it has a bias alone (O. Press and L. Wolf 2017;
            H. Inan, K. Khosravi and R. Socher 2017).
        embedding_dropout: fraction of the tokens whose embedding is zero for a whole call in training.
        input_dropout: fraction of what the body reads set to zero in training.
        output_dropout: fraction of what the head reads set to zero in training.
        rngs: where the head's parameters are drawn.

    Raises:
        UsageError: the body hands on a pair, there is an output per step and pooling, a dropout is no fraction, there
            is no embedding to tie the head to or to drop from, or a tied one does not fit body and outputs.
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
        self.embedding_dropout = embedding_dropout
        self.input_dropout = input_dropout
        self.output_dropout = output_dropout

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
        return reading.carry, self.answer(reading, call.get("key"))

    def read(self, x: Array, *, key: Array | None = None, **call: Any) -> Reading:
        """Run the body alone; arguments as in a call. Where steps are pooled, `last` is what they made."""
        key_embed, key_body, key_input, _ = split(key, 4)
        features = lock(self._features(x, key_embed), self.input_dropout, key_input)
        reading = self.body(features, key=key_body, **call)
        if self.pool == "last":
            return reading
        _, mask = steps_read(features, call.get("mask"), call.get("lengths"), None)
        return reading._replace(last=pooled(self.pool, reading.y, mask))

    def answer(self, reading: Reading, key: Array | None = None) -> Array:
        """Run the head on what the body said: `[B, T, d_out]` per step or `[B, d_out]` per sequence.

        Args:
            reading: what `read` returned.
            key: that of the call; None in evaluation.
        """
        *_, key_output = split(key, 4)
        said = reading.y if self.per_step else reading.last
        said = lock(said, self.output_dropout, key_output)
        if self.head is not None:
            return self.head(said)
        assert isinstance(self.embed, nnx.Embed)
        assert self.bias is not None
        return self.embed.attend(said) + self.bias[...]

    def _features(self, x: Array, key: Array | None) -> Array:
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
        if key is None or not self.embedding_dropout:
            return embedded
        words = jnp.ones(self.embed.num_embeddings, embedded.dtype)
        words = drop(words, self.embedding_dropout, key)
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
