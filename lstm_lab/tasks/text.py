"""Predicting the next symbol of a text, the classic test of a recurrent language model.

The corpus is cut once: its beginning trains, its end validates. At every step the network sees one
symbol (a character, or a byte of UTF-8) and predicts the next; loss is in nats per symbol, and bits
the same divided by ln 2.

`batching="contiguous"` is truncated back-propagation through time as Mikolov et al. (2010),
"Recurrent neural network based language model", Interspeech, and later work train it. The N
training symbols are cut into B streams laid side by side, n = (N - 1) // (B T) windows of T steps
each (the fewer than B T left over are not trained on), and step s reads window s mod n of all
streams. The carry goes on from window to window; `Batch.reset` marks the first step of window 0,
where a stream starts again. Order and content do not depend on the key. `batching="windows"` draws
B windows at random positions and starts each from the initial carry.

With `jitter` J the border before window i of a pass lies at i T + j, j uniform in -J to J and drawn from
(key, pass, i) alone; the first and the last stay. So a window has T - 2J to T + 2J steps, and every pass
reads every symbol once. Windows are laid out with T + 2J steps, of which `Batch.lengths` are read.
Merity, Keskar and Socher (2018), section 4.1, draw lengths in a row, from N(70, 5) and once in twenty from N(35, 5),
so the borders of a pass drift apart, and a step needs all before it; and they multiply the learning rate by
a window's length over 70, where here a window counts the same whatever its length.

Validation reads every one of the M validation symbols but the first exactly once, whatever the
batching: as B streams of P = ceil((M - 1) / B) predictions, in windows of T, the carry going on
from window to window (its `reset` is set in window 0 alone) and the mask leaving out the padding
at the ends.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_lab.errors import DataError, UsageError
from lstm_lab.tasks.base import Batch, Classification, certain, require_at_least
from lstm_lab.text.corpora import Corpus, check_corpus, corpus_name, load_corpus, split
from lstm_lab.text.markov import Markov, xz_bits
from lstm_lab.text.vocabulary import ByteVocabulary, CharVocabulary, Vocabulary

UNITS = ("character", "byte")
BATCHINGS = ("contiguous", "windows")
# The longest context of a Markov baseline; beyond it, counts on texts of this size get worse.
ORDERS = 5

# Shannon (1951), "Prediction and entropy of printed English", Bell System Technical Journal 30(1),
# table I: people who see 100 letters need at least 0.6 bits for the next.
SHANNON_BITS = 0.6


@dataclass(frozen=True)
class Text(Classification):
    """Next-symbol prediction on a corpus.

    Attributes:
        corpus: "" for the embedded text, a path, or "hub:OWNER/NAME"; see `text.corpora`.
        unit: what a symbol is.
        length: steps T of a training window.
        batching: contiguous streams that carry the state, or random windows that do not.
        jitter: most steps J by which a border between contiguous windows is shifted, below half a window.
        validation: fraction 0-1 of the symbols, at the end, kept for validation.

    >>> task = Text(length=4)
    >>> data = task.load()
    >>> batch = task.sample(data, jax.random.key(0), jnp.int32(0), batch=2)
    >>> [task.vocabulary().decode(np.asarray(ids[0])) for ids in (batch.x, batch.y)]
    ['The ', 'he "']
    """

    corpus: str = ""
    unit: Literal["character", "byte"] = "character"
    length: int = 100
    batching: Literal["contiguous", "windows"] = "contiguous"
    jitter: int = 0
    validation: float = 0.1

    metric: ClassVar[str] = "loss"
    higher_is_better: ClassVar[bool] = False
    per_step: ClassVar[bool] = True
    tokens: ClassVar[bool] = True

    @property
    def d_in(self) -> int:
        """Symbols V."""
        return self.vocabulary().size

    @property
    def d_out(self) -> int:
        """Symbols V."""
        return self.vocabulary().size

    @property
    def label(self) -> str:
        """Such as "Text pydoc length 100"."""
        unit = " bytes" if self.unit == "byte" else ""
        return f"Text {corpus_name(self.corpus)}{unit} length {self.length}"

    @property
    def stateful(self) -> bool:
        """Contiguous streams carry the state from batch to batch."""
        return self.batching == "contiguous"

    @property
    def chance(self) -> dict[str, float]:
        """All V symbols equally likely."""
        return {**super().chance, "bits": math.log2(self.d_out)}

    @property
    def solved(self) -> dict[str, float]:
        """Shannon's lower estimate for people reading English."""
        return {"loss": SHANNON_BITS * math.log(2), "bits": SHANNON_BITS}

    def vocabulary(self) -> Vocabulary:
        """Return the vocabulary: of the whole corpus, or the 256 bytes."""
        return ByteVocabulary() if self.unit == "byte" else _characters(self.corpus)

    def sha256(self) -> str:
        """Return the corpus's hash, which a run records and a resumed run compares."""
        return _corpus(self.corpus).sha256

    def validate(self) -> None:
        """Refuse sizes out of range, and a corpus that is unreadable or too short."""
        require_at_least("Text.length", self.length, 1)
        for name, allowed in (("unit", UNITS), ("batching", BATCHINGS)):
            if (value := getattr(self, name)) not in allowed:
                raise UsageError(f"Text.{name}: got {value!r}: use {' or '.join(allowed)}")
        require_at_least("Text.jitter", self.jitter, 0)
        if 2 * self.jitter >= self.length or (self.jitter and not self.stateful):
            raise UsageError(
                f"Text.jitter: got {self.jitter} with length {self.length} and {self.batching} batching: "
                "give less than half of length, and none with windows"
            )
        split(np.empty(0), self.validation)
        if size := check_corpus(self.corpus):
            self._require(size.bytes if self.unit == "byte" else size.characters)

    def check(self, batch: int) -> None:
        """Refuse more streams than the training part can fill with one window each."""
        super().check(batch)
        symbols = len(self.load()["train"])
        if batch * self.length + 1 > symbols:
            raise UsageError(
                f"batch: got {batch} streams of length {self.length}, "
                f"{batch * self.length + 1} symbols with the last label, and the training part has "
                f"{symbols}: take a batch of at most {(symbols - 1) // self.length}"
            )

    def load(self) -> dict[str, np.ndarray]:
        """Return {"train", "validation"}, int32 [N] and [M] ids."""
        ids = _ids(self.corpus, self.unit)
        self._require(len(ids))
        train, validation = split(ids, self.validation)
        return {"train": train, "validation": validation}

    def sample(self, data: Any, key: Array, step: Array | int, batch: int) -> Batch:
        """Return the step's window of every stream, or `batch` random windows."""
        symbols, T = len(data["train"]), self.length
        step = jnp.asarray(step, jnp.int32)
        if not self.stateful:
            starts = jax.random.randint(jax.random.fold_in(key, step), (batch,), 0, symbols - T)
            return _windows(data["train"], starts, T)
        windows = (symbols - 1) // (batch * T)
        window = step % jnp.int32(windows)
        streams = jnp.arange(batch, dtype=jnp.int32) * jnp.int32(windows * T)
        if not self.jitter:
            starts = streams + window * jnp.int32(T)
            return _windows(data["train"], starts, T)._replace(reset=_first(window, batch, T))
        key = jax.random.fold_in(key, step // jnp.int32(windows))
        begin, end = (self._border(key, window + i, windows) for i in range(2))
        longest = T + 2 * self.jitter
        laid = _windows(data["train"], streams + begin, longest)
        mask = laid.mask & (jnp.arange(longest, dtype=jnp.int32) < end - begin)
        lengths = jnp.broadcast_to(end - begin, (batch,))
        return laid._replace(mask=mask, lengths=lengths, reset=_first(window, batch, longest))

    def _border(self, key: Array, window: Array, windows: int) -> Array:
        """Return where a window of a pass begins, in steps; the key is the pass's."""
        drawn = jax.random.fold_in(key, window)
        shift = jax.random.randint(drawn, (), -self.jitter, self.jitter + 1)
        inner = (window > 0) & (window < windows)
        return window * jnp.int32(self.length) + jnp.where(inner, shift, jnp.int32(0))

    def evaluation(self, data: Any, batch: int) -> int:
        """Return the number of validation batches: windows in a stream of P predictions."""
        return math.ceil(_predictions(data, batch) / self.length)

    def evaluation_batch(self, data: Any, key: Array, index: Array | int, batch: int) -> Batch:
        """Return validation window `index` of every stream; the key plays no part."""
        del key
        tokens, T, P = data["validation"], self.length, _predictions(data, batch)
        index = jnp.asarray(index, jnp.int32)
        offset = index * jnp.int32(T) + jnp.arange(T, dtype=jnp.int32)
        streams = jnp.arange(batch, dtype=jnp.int32) * jnp.int32(P)
        positions = streams[:, None] + offset
        mask = (offset < P) & (positions < len(tokens) - 1)
        # Beyond its end a row reads what follows, or the last symbol over and over: never counted.
        filled = _windows(tokens, streams + index * jnp.int32(T), T)
        return filled._replace(mask=mask, reset=_first(index, batch, T))

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """Return "loss" (nats), "bits" and "accuracy" (fraction 0-1) per symbol, [B] each."""
        scores = super().metrics(outputs, batch)
        return {**scores, "bits": scores["loss"] / jnp.float32(math.log(2))}

    def oracle(self, batch: Batch) -> Array:
        """Put everything on the next symbol, from the labels: the last lies past the window."""
        return certain(batch.y, self.d_out)

    def baselines(self, data: Any) -> dict[str, dict[str, float]]:
        """Score the validation part by Markov models of order 0 to 5, and by xz."""
        train, validation = (np.asarray(data[part]) for part in ("train", "validation"))
        orders = Markov.fit(train, self.d_out, ORDERS).nats(validation)
        nats = {f"markov order {order}": float(loss) for order, loss in enumerate(orders)}
        compressed = xz_bits(self._utf8(train), self._utf8(validation))
        nats["xz"] = compressed * math.log(2) / len(validation)
        return {name: {"loss": loss, "bits": loss / math.log(2)} for name, loss in nats.items()}

    def _utf8(self, ids: np.ndarray) -> bytes:
        """Return the bytes that ids stand for; a byte part may begin inside a character."""
        vocabulary = self.vocabulary()
        if isinstance(vocabulary, ByteVocabulary):
            return ids.astype(np.uint8).tobytes()
        return vocabulary.decode(ids).encode()

    def _require(self, symbols: int) -> None:
        """Refuse a corpus that leaves no window to train on or no symbol to predict."""
        held_out = round(symbols * self.validation)
        if symbols - held_out < self.length + 1 or held_out < 2:
            raise DataError(
                f"corpus: {corpus_name(self.corpus)!r} has {symbols} symbols, "
                f"{symbols - held_out} to train and {held_out} to validate on, and length "
                f"{self.length} needs {self.length + 1} and 2: give a longer text or less length"
            )


def _windows(tokens: Array, starts: Array, T: int) -> Batch:
    """Return the windows of T steps at starts [B], each step labelled with the next symbol."""
    positions = starts[:, None] + jnp.arange(T + 1, dtype=jnp.int32)
    ids = jnp.take(jnp.asarray(tokens), positions, axis=0, mode="clip")
    mask = jnp.ones((starts.shape[0], T), bool)
    return Batch(x=ids[:, :-1], y=ids[:, 1:], mask=mask)


def _first(window: Array, batch: int, T: int) -> Array:
    """Return the resets [B,T]: the first step of every row, in window 0 only."""
    first = jnp.arange(T, dtype=jnp.int32) == 0
    return jnp.broadcast_to(first & (window == 0), (batch, T))


def _predictions(data: Any, batch: int) -> int:
    """Return P, the validation symbols that each of `batch` streams predicts."""
    return math.ceil((len(data["validation"]) - 1) / batch)


# One process reads a corpus once, so that all trials of a run see the same text.
@lru_cache(maxsize=4)
def _corpus(spec: str) -> Corpus:
    return load_corpus(spec)


@lru_cache(maxsize=4)
def _characters(spec: str) -> CharVocabulary:
    return CharVocabulary.of(_corpus(spec).text)


@lru_cache(maxsize=4)
def _ids(spec: str, unit: str) -> np.ndarray:
    vocabulary = ByteVocabulary() if unit == "byte" else _characters(spec)
    ids = vocabulary.encode(_corpus(spec).text)
    ids.flags.writeable = False
    return ids
