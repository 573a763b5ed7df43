"""A model is a value: which cell, how many layers of it and reading which way; and it draws the network for a task.

How wide is the experiment's to say, see `lstm_lab.size`.
"""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal, Protocol

from lstm_lab.cells.base import Layer
from lstm_lab.cells.lstm import LSTM
from lstm_lab.errors import UsageError
from lstm_lab.unroll import Schedule, Sequential

if TYPE_CHECKING:
    from jax import Array

    from lstm_lab.modules import SequenceModel


class Interface(Protocol):
    """What a network must know of what it is asked: a `Task`, or `Widths` where no task is at hand."""

    @property
    def d_in(self) -> int:
        """Features of an input, D, or how many tokens there are."""

    @property
    def d_out(self) -> int:
        """Outputs of the dense head."""

    @property
    def per_step(self) -> bool:
        """Whether there is an output per step, or one per sequence."""

    @property
    def tokens(self) -> bool:
        """Whether inputs are tokens, or features."""

    @property
    def label(self) -> str:
        """A short name."""


@dataclass(frozen=True)
class Widths:
    """An `Interface` by itself: what is left of a task where the network goes elsewhere.

    Attributes:
        d_in: features of an input, D, or how many tokens there are.
        d_out: outputs of the dense head.
        per_step: whether there is an output per step, or one per sequence.
        tokens: whether inputs are tokens, or features.
        label: of the task.
    """

    d_in: int
    d_out: int
    per_step: bool
    tokens: bool
    label: str

    @classmethod
    def of(cls, task: Interface) -> "Widths":
        """Those of a task."""
        return cls(**{field.name: getattr(task, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Model:
    """What is trained: cells, how many layers of them, reading which way.

    Attributes:
        cell: what every layer is: a cell, or something around one or in its place, of `layers/`.
        layers: how many stand on top of each other.
        bidirectional: how the two directions' outputs are merged; None reads one way only.
        reverse: read that one way backward, from the last step to the first.
        pool: what one answer per sequence is made from: the last step read, or the steps' mean or maximum.
        embedding: width E of a learned token embedding; 0 reads tokens as one-hot vectors.
        tied: the embedding's weights are the output's too; of several layers the last has then E units in place
            of H, and a single one must have E.
        residual: add each upper layer's input to its output.
        norm: layer normalisation of each upper layer's input.
        dropout: fraction of each upper layer's input set to zero in training.
        embedding_dropout: fraction of the tokens whose embedding is zero for a whole batch in training.
        input_noise: standard deviation of Gaussian noise added to the first layer's input in training.
        input_dropout: fraction of the first layer's input set to zero in training, alike at all steps of a row.
        output_dropout: fraction of the last layer's output set to zero in training, alike at all steps of a row.
        schedule: how the loop is run.
        name: what tables call it; made from the other fields where empty.

    Raises:
        UsageError: a size is out of range.
    """

    cell: Layer = field(default_factory=LSTM)
    layers: int = 1
    bidirectional: Literal["concat", "sum", "mul", "ave"] | None = None
    reverse: bool = False
    pool: Literal["last", "mean", "max"] = "last"
    embedding: int = 0
    tied: bool = False
    residual: bool = False
    norm: bool = False
    dropout: float = 0.0
    embedding_dropout: float = 0.0
    input_noise: float = 0.0
    input_dropout: float = 0.0
    output_dropout: float = 0.0
    schedule: Schedule = field(default_factory=Sequential)
    name: str = ""

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise UsageError(f"model.layers: {self.layers}: give at least 1")
        if self.reverse and self.bidirectional:
            raise UsageError(
                f"model.reverse: {self.reverse}: bidirectional={self.bidirectional!r} reads both ways; give one of them"
            )
        if self.embedding < 0:
            raise UsageError(f"model.embedding: {self.embedding}: give a width, or 0 for one-hot")
        for name in ("dropout", "embedding_dropout", "input_dropout", "output_dropout"):
            if not 0 <= (rate := getattr(self, name)) < 1:
                said = name.replace("_", "-")
                raise UsageError(f"model.{said}: {rate}: give a fraction from 0 to below 1")
        if not 0 <= self.input_noise < float("inf"):
            raise UsageError(
                f"model.input-noise: {self.input_noise}: give a standard deviation of 0 or more"
            )
        if self.tied and not self.embedding:
            raise UsageError(
                "model.tied: True: there is no embedding to tie the output to; give embedding a width"
            )
        if self.embedding_dropout and not self.embedding:
            raise UsageError(
                f"model.embedding-dropout: {self.embedding_dropout}: there is no embedding to drop from; "
                "give embedding a width"
            )
        between = {"residual": self.residual, "norm": self.norm, "dropout": self.dropout}
        for name, setting in between.items():
            if setting and self.layers == 1:
                raise UsageError(
                    f"model.{name}: {setting}: acts between layers; give layers=2 or more"
                )

    @property
    def label(self) -> str:
        """A short name for tables and figures."""
        said = {
            f"{self.layers} layers": self.layers > 1,
            "both ways": self.bidirectional == "concat",
            f"both ways by {self.bidirectional}": self.bidirectional not in (None, "concat"),
            "backward": self.reverse,
            f"{self.pool} pool": self.pool != "last",
            f"embedding {self.embedding}": self.embedding and not self.tied,
            f"tied embedding {self.embedding}": self.tied,
            "residual": self.residual,
            "norm": self.norm,
            f"dropout {self.dropout:g}": self.dropout,
            f"embedding dropout {self.embedding_dropout:g}": self.embedding_dropout,
            f"input noise {self.input_noise:g}": self.input_noise,
            f"input dropout {self.input_dropout:g}": self.input_dropout,
            f"output dropout {self.output_dropout:g}": self.output_dropout,
        }
        return self.name or ", ".join([self.cell.label, *(part for part, so in said.items() if so)])

    def build(self, task: Interface, d_hidden: int, key: "Array") -> "SequenceModel":
        """Draw a network for a task.

        Args:
            task: gives the widths of input and output, and whether a label belongs to a step.
            d_hidden: units of each layer and direction, H.
            key: PRNG key.

        Returns:
            A `SequenceModel`.

        Raises:
            UsageError: the task has no tokens to embed or none to tie the output to, or no answer per sequence to
                pool for, or a size is out of range.
        """
        from flax import nnx

        from lstm_lab.layers.base import build_layer
        from lstm_lab.modules import Bidirectional, OneWay, SequenceModel, Stack

        if self.embedding and not task.tokens:
            raise UsageError(
                f"model.embedding: {self.embedding}: {task.label} has no tokens to embed"
            )
        if self.tied:
            self._refuse_untied(task, d_hidden)
        rngs = nnx.Rngs(params=key)
        embed = nnx.Embed(task.d_in, self.embedding, rngs=rngs) if self.embedding else None

        def layer(d_in: int, units: int) -> OneWay | Bidirectional:
            def one_way(reverse: bool) -> OneWay:
                return build_layer(
                    self.cell, d_in, units, reverse=reverse, schedule=self.schedule, rngs=rngs
                )

            if self.bidirectional is None:
                return one_way(self.reverse)
            return Bidirectional(one_way(False), one_way(True), self.bidirectional)

        units = [d_hidden] * self.layers
        if self.tied:
            units[-1] = self.embedding
        layers = [layer(self.embedding or task.d_in, units[0])]
        for above in units[1:]:
            layers.append(layer(layers[-1].d_out, above))
        body = (
            layers[0]
            if len(layers) == 1
            else Stack(
                layers, residual=self.residual, norm=self.norm, dropout=self.dropout, rngs=rngs
            )
        )
        tokens = task.d_in if task.tokens else None
        return SequenceModel(
            embed or tokens,
            body,
            task.d_out,
            per_step=task.per_step,
            pool=self.pool,
            tied=self.tied,
            embedding_dropout=self.embedding_dropout,
            input_noise=self.input_noise,
            input_dropout=self.input_dropout,
            output_dropout=self.output_dropout,
            rngs=rngs,
        )

    def _refuse_untied(self, task: Interface, d_hidden: int) -> None:
        """Refuse a task or a width whose output cannot be the embedding's."""
        if not (task.per_step and task.d_in == task.d_out):
            raise UsageError(
                f"model.tied: True: {task.label} does not predict at every step one of the tokens it reads; "
                "leave it out"
            )
        if self.layers == 1 and self.embedding != d_hidden:
            raise UsageError(
                f"model.tied: embedding {self.embedding}, and a single layer of {d_hidden} units; "
                f"give it {self.embedding} units by size.units, or layers=2 or more"
            )
