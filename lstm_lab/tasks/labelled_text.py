"""Labelled text: what a sentence is, from its words, or a name, from its letters.

One sequence is a text of L symbols::

    step      0      1     2      3     ...   L-1
    x         the    food  wasn't good  ...   .       ids of words, or of characters
    answer                                    y       its label

Words are lower-cased runs of letters and digits, apostrophes within them kept ("wasn't"); each other character
that is no space is a word of its own. A symbol that the training part shows less than `min_count` times is <unk>.
A text is read from its beginning, `length` symbols at most; texts without a symbol are left out.

Texts that agree in all that is read of them lie in the same part. Of rows of `source` that agree in their label too,
one counts; a text with several labels, such as a surname of two languages, keeps them all. A fifth of each
label's texts tests and a tenth validates, in a fixed order of their own. Where `test` or `validation` name a
source, it is that part as it stands, and training leaves out the texts in it.

Scores are accuracy, and balanced accuracy, the mean over labels of the fraction of each that is right::

    balanced accuracy = 1/K sum_k hits_k / N_k = 1/N sum_i hit_i N / (K N_y(i))      K labels, N_k texts of k

Intervals are over seeds, on one split: they say nothing of other texts. Of n texts with accuracy p a new draw
would scatter by sqrt(p (1 - p) / n), which is 1.7 points at 600 texts and 0.8.

Data: see `lstm_lab.data.labelled`.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_lab.data import hub
from lstm_lab.data.labelled import check_labelled, read_labelled
from lstm_lab.data.locate import directory
from lstm_lab.errors import DataError, UsageError
from lstm_lab.tasks.base import Batch, Classification, certain, counted_mean, hits, require_at_least
from lstm_lab.tasks.examples import Examples, Part, fixed_order
from lstm_lab.text.bag_of_words import Bag, choose

UNKNOWN = "<unk>"
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
# Symbols of a baseline's longest n-gram: beyond it, counts on texts of this size say no more.
NGRAMS = {"word": 2, "character": 3}
# Fractions of the texts that are held out where no source gives the part.
HELD_OUT = {"test": 0.2, "validation": 0.1}

Row = tuple[tuple[str, ...], str]
"""A text's symbols and its label."""


class Corpus(NamedTuple):
    """What is read: the parts as ids, and what the ids stand for."""

    parts: dict[str, Part]
    symbols: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class LabelledText(Examples, Classification):
    """Tell what a text is.

    Args:
        source: texts and labels to train on, see `data.labelled`; held-out parts are cut from it.
        validation: source of the validation part; cut from `source` where empty.
        test: source of the test part; cut from `source` where empty.
        text_column: name, or number from 0, of the column of texts.
        label_column: name, or number from 0, of the column of labels.
        unit: what a symbol is.
        length: most symbols that are read of a text, its first.
        min_count: a symbol seen less often in training is <unk>.
        split: which of the fixed orders cuts the parts.

    >>> words("The food WASN'T good.")
    ('the', 'food', "wasn't", 'good', '.')
    """

    source: str = "uci_sentiment"
    validation: str = ""
    test: str = ""
    text_column: str = "text"
    label_column: str = "label"
    unit: Literal["word", "character"] = "word"
    length: int = 40
    min_count: int = 2
    split: int = 0

    per_step: ClassVar[bool] = False
    tokens: ClassVar[bool] = True

    @property
    def d_in(self) -> int:
        """Symbols V, <unk> among them."""
        return len(self.corpus().symbols)

    @property
    def d_out(self) -> int:
        """Labels K."""
        return len(self.corpus().labels)

    @property
    def label(self) -> str:
        """Such as "uci_sentiment, 40 words"."""
        name = Path(self.source).stem
        if hub.is_hub(self.source):
            name = hub.parse(self.source).repository.rpartition("/")[2]
        return f"{name[:20]}, {self.length} {self.unit}s"

    @property
    def chance(self) -> dict[str, float]:
        """What the labels' frequencies in training score on the test part: by the most frequent, blind to the text."""
        parts, _, labels = self.corpus()
        trained, tested = (
            np.bincount(parts[name].y, minlength=len(labels)) for name in ("train", "test")
        )
        return {
            "loss": float(-tested @ np.log(trained / trained.sum()) / tested.sum()),
            "accuracy": float(tested[trained.argmax()] / tested.sum()),
            "balanced_accuracy": 1 / int(np.count_nonzero(tested)),
        }

    def validate(self) -> None:
        """Refuse sizes out of range, and a source that is not there.

        Raises:
            UsageError: a field is out of range, or a file's ending says nothing that can be read.
            AbsentError: a source is not there.
            DataError: a hub's specification is malformed.
        """
        for name, least in (("length", 1), ("min_count", 1), ("split", 0)):
            require_at_least(f"LabelledText.{name}", getattr(self, name), least)
        if self.unit not in NGRAMS:
            raise UsageError(f"LabelledText.unit: got {self.unit!r}: use {' or '.join(NGRAMS)}")
        for source in filter(None, (self.source, self.validation, self.test)):
            check_labelled(source, directory())

    def corpus(self) -> Corpus:
        """Return what is read, once in a process."""
        return _corpus(self, directory())

    def read(self, folder: Path) -> dict[str, Part]:
        """Read the texts, x int32 [N,T] with the symbols of the longest, y int32 [N], lengths int32 [N]."""
        return _corpus(self, folder).parts

    def rows(self, source: str, folder: Path) -> list[Row]:
        """Return a source's texts, as far as they are read, and labels; those without a symbol are left out."""
        cut = words if self.unit == "word" else characters
        found = read_labelled(source, self.text_column, self.label_column, folder)
        pairs = ((cut(text)[: self.length], label) for text, label in zip(*found, strict=True))
        return [row for row in pairs if row[0]]

    def pick(self, part: Part, rows: Array) -> Batch:
        """Return x int32 [B,T], y int32 [B], mask all true [B], lengths int32 [B], balance float [B]."""
        x, y, lengths = (jnp.take(jnp.asarray(leaf), rows, axis=0) for leaf in part)
        count = jnp.bincount(jnp.asarray(part.y), length=self.d_out)
        share = part.y.shape[0] / (jnp.sum(count > 0) * jnp.maximum(count, 1))
        return Batch(
            x, y, jnp.ones(rows.shape, bool), lengths, balance=share.astype(jnp.float32)[y]
        )

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """Return "loss" (nats), "accuracy" (fraction 0-1) and what makes the mean of "balanced_accuracy", [B] each."""
        assert batch.balance is not None, "pick gives it"
        balanced = counted_mean(hits(outputs, batch.y) * batch.balance, batch.mask)
        return {**super().metrics(outputs, batch), "balanced_accuracy": balanced}

    def oracle(self, batch: Batch) -> Array:
        """Name the label, from the label: who wrote it knew."""
        return certain(batch.y, self.d_out)

    def baselines(self, data: Any) -> dict[str, dict[str, float]]:
        """Score the test part by logistic regression on n-grams, its penalty chosen on the validation part."""
        del data
        return dict(_baselines(self, directory()))


def words(text: str) -> tuple[str, ...]:
    """Cut a text into words, lower-cased; see the module.

    >>> words("It's 5-star, naïve!")
    ("it's", '5', '-', 'star', ',', 'naïve', '!')
    """
    return tuple(WORD.findall(text.lower()))


def characters(text: str) -> tuple[str, ...]:
    """Cut a text into characters, without white space around it."""
    return tuple(text.strip())


# One process reads a source once, so that all trials of a run see the same.
@lru_cache(maxsize=4)
def _corpus(task: LabelledText, folder: Path) -> Corpus:
    rows = _parts(task, folder)
    labels = tuple(sorted({label for _, label in rows["train"]}))
    if len(labels) < 2:
        raise DataError(
            f"{task.label}: got {len(rows['train'])} texts labelled {', '.join(labels) or 'nothing'} to train on, "
            "wanted two labels: set label-column, or give another source"
        )
    counts = Counter(symbol for text, _ in rows["train"] for symbol in text)
    frequent = sorted(s for s, n in counts.items() if n >= task.min_count)
    symbols = (UNKNOWN, *frequent)
    ids = {symbol: i for i, symbol in enumerate(symbols)}
    parts = {}
    for name, part in rows.items():
        unknown = {label for _, label in part}.difference(labels)
        if unknown or not part:
            raise DataError(
                f"{task.label}: got {len(part)} texts to {name} on"
                f"{f', labelled {min(unknown)!r} as none is in training' if unknown else ''}: give more texts"
            )
        parts[name] = _part(part, ids, {label: i for i, label in enumerate(labels)})
    return Corpus(parts, symbols, labels)


@lru_cache(maxsize=4)
def _baselines(task: LabelledText, folder: Path) -> dict[str, dict[str, float]]:
    parts, symbols, labels = _corpus(task, folder)
    most = NGRAMS[task.unit]
    bag = Bag.of(parts["train"].x, parts["train"].lengths, len(symbols), most)
    seen = {name: (bag.weights(part.x, part.lengths), part.y) for name, part in parts.items()}
    fitted, _ = choose(seen["train"], seen["validation"], len(labels))
    x, y = seen["test"]
    log_p = fitted.log_p(x)
    right = log_p.argmax(axis=1) == y
    scores = {
        "loss": float(-log_p[np.arange(len(y)), y].mean()),
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.mean([right[y == label].mean() for label in np.unique(y)])),
    }
    return {f"logistic regression, {task.unit} 1-{most}-grams": scores}


def _parts(task: LabelledText, folder: Path) -> dict[str, list[Row]]:
    """Return the rows of each part; no text is in two."""
    given = {
        name: task.rows(source, folder)
        for name, source in (("test", task.test), ("validation", task.validation))
        if source
    }
    if "test" in given and "validation" in given:
        given["validation"] = _without(given["validation"], given["test"])
    left = list(dict.fromkeys(task.rows(task.source, folder)))
    for part in given.values():
        left = _without(left, part)
    return {**_cut(left, [name for name in HELD_OUT if name not in given], task.split), **given}


def _without(rows: list[Row], others: list[Row]) -> list[Row]:
    """Leave out the texts that others have."""
    texts = {text for text, _ in others}
    return [row for row in rows if row[0] not in texts]


def _cut(rows: list[Row], names: list[str], split: int) -> dict[str, list[Row]]:
    """Cut rows into "train" and these parts, of every label the same fractions; a text counts for its first label."""
    first: dict[tuple[str, ...], str] = {}
    for text, label in rows:
        first.setdefault(text, label)
    strata: dict[str, list[tuple[str, ...]]] = {}
    for text, label in first.items():
        strata.setdefault(label, []).append(text)
    part_of: dict[tuple[str, ...], str] = {}
    for texts in strata.values():
        order = fixed_order(split, len(texts)).tolist()
        for name in names:
            count = round(len(texts) * HELD_OUT[name])
            part_of.update((texts[i], name) for i in order[:count])
            order = order[count:]
    parts: dict[str, list[Row]] = {name: [] for name in ("train", *names)}
    for row in rows:
        parts[part_of.get(row[0], "train")].append(row)
    return parts


def _part(rows: list[Row], ids: dict[str, int], labels: dict[str, int]) -> Part:
    """Return rows as one array of ids, zeros after their ends."""
    lengths = np.array([len(text) for text, _ in rows], np.int32)
    x = np.zeros((len(rows), int(lengths.max())), np.int32)
    for row, (text, _) in zip(x, rows, strict=True):
        row[: len(text)] = [ids.get(symbol, 0) for symbol in text]
    return Part(x, np.array([labels[label] for _, label in rows], np.int32), lengths)
