"""From tokens or features to labels: an embedding, a recurrent body and a dense head."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from lstm_lab.cells.base import Carry
from lstm_lab.errors import UsageError
from lstm_lab.modules.bidirectional import Bidirectional, refuse_pair
from lstm_lab.modules.dropout import drop, split
from lstm_lab.modules.layer import OneWay, Reading
from lstm_lab.modules.pooling import Pool, pooled
from lstm_lab.modules.stack import Stack
from lstm_lab.unroll.run import steps_read


class SequenceModel(nnx.Module):
    """From tokens or features to a label per step or per sequence.

    Args:
        embed: for tokens, their count V (read as one-hot vectors) or an `nnx.Embed`; None for features.
        body: the recurrent part.
        d_out: outputs of the dense head, such as the number of classes.
        per_step: one output per step, or one per sequence.
        pool: what the one per sequence is made from, see `modules.pooling`.
        embedding_dropout: fraction of the tokens whose embedding is zero for a whole call in training.
        rngs: where the head's parameters are drawn.

    Raises:
        UsageError: the body hands on a pair, there is an output per step and pooling, or embedding dropout is
            no fraction or has no embedding.
    """

    def __init__(
        self,
        embed: nnx.Embed | int | None,
        body: OneWay | Bidirectional | Stack,
        d_out: int,
        *,
        per_step: bool = True,
        pool: Pool = "last",
        embedding_dropout: float = 0.0,
        rngs: nnx.Rngs,
    ) -> None:
        refuse_pair("sequence model", body)
        if per_step and pool != "last":
            raise UsageError(
                f"pool: {pool!r}: there is an output per step: pool where there is one per sequence"
            )
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
        self.pool = pool
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
        """Run the body alone; arguments as in a call. Where steps are pooled, `last` is what they made."""
        key_embed, key_body = split(key, 2)
        features = self._features(x, key_embed)
        reading = self.body(features, key=key_body, **call)
        if self.pool == "last":
            return reading
        _, mask = steps_read(features, call.get("mask"), call.get("lengths"), None)
        return reading._replace(last=pooled(self.pool, reading.y, mask))

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
        words = drop(words, self.embedding_dropout, key)
        return embedded * (x @ words if one_hot else words[x])[..., None]
