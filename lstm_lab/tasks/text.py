"""Predicting the next symbol of a text, the classic test of a recurrent language model.

The corpus is cut once: its beginning trains, its end validates, unless it comes in parts (see
`text.corpora`). At every step the network sees one symbol, a token (a character, a byte of UTF-8, a
word, or a part of one), and predicts the next. Of the mean loss L in nats per token, K tokens of U
bytes, are made

    bits per token    L / ln 2
    perplexity        exp L, which for words is the number that papers give
    bits per byte     L K / (U ln 2), in which all tokenisers that lose nothing compare

so perplexity is that of the whole part and no mean of perplexities. Words lose what they do not know,
and have no bits per byte.

`batching="contiguous"` is truncated back-propagation through time as Mikolov et al. (2010),
"Recurrent neural network based language model", Interspeech, and later work train it. The N
training symbols are cut into B streams laid side by side, n = (N - 1) // (B T) windows of T steps
each (the fewer than B T left over are not trained on), and step s reads window s mod n of all
streams. The carry goes on from window to window; `Batch.reset` marks the first step of window 0,
where a stream starts again. Order and content do not depend on the key. `batching="windows"` draws
B windows at random positions and starts each from the initial carry.

With `jitter` J the border before window i of a pass lies at i T + j, j uniform in -J to J and drawn from
(key, pass, i) alone; the first and the last stay. So a window has T - 2J to T + 2J steps, and every pass
reads every symbol once. Windows are laid out with T + 2J steps, which is what they cost, and `Batch.lengths`
says how many are read.
Merity, Keskar and Socher (2018), section 4.1, draw lengths in a row, from N(70, 5) and once in twenty from N(35, 5),
so the borders of a pass drift apart, and a step needs all before it; and they multiply the learning rate by
a window's length over 70, where here a window counts the same whatever its length.

Validation reads every one of the M validation symbols but the first exactly once, whatever the
batching: as B streams of P = ceil((M - 1) / B) predictions, in windows of T, the carry going on
from window to window (its `reset` is set in window 0 alone) and the mask leaving out the padding
at the ends.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_lab.data.hub import is_hub
from lstm_lab.errors import DataError, UsageError
from lstm_lab.tasks.base import Batch, Classification, certain, require_at_least
from lstm_lab.text.corpora import WHOLE, Corpus, Separator, corpus_name, open_corpus, split, survey
from lstm_lab.text.markov import Markov, xz_bits
from lstm_lab.text.store import Tokeniser, Tokens, tokenise
from lstm_lab.text.tokenisers import SUBWORDS, UNITS, Unit
from lstm_lab.text.vocabulary import Vocabulary

BATCHINGS = ("contiguous", "windows")
SEPARATORS = get_args(Separator)
# The longest context of a Markov baseline; beyond it, counts on texts of this size get worse.
ORDERS = 5
# Symbols that baselines learn from at most, the last of the training part: their counts are held in memory.
COUNTED = 1 << 22
# A position on the device is a 32-bit integer.
MOST = 2**31 - 1

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
        validation: fraction 0-1 of the symbols, at the end, kept for validation, where no part is given.
        test: fraction 0-1 of the symbols, after those, kept for the final examination, where no part is given; 0
            for none, and the final examination is on the validation part.
        held_out: symbols that each of the two gets at most, so that examining a large corpus takes no longer than
            need be; parts that are given are examined whole.
        vocabulary_size: symbols at most, of words (all, unless given) and parts of words (4096).
        cutoff: how often a word, or a pair that makes a part of words, must occur to be a symbol.
        separator: what follows each document where there are several: the character U+0003, or a line end.

    >>> task = Text(length=4)
    >>> data = task.load()
    >>> batch = task.sample(data, jax.random.key(0), jnp.int32(0), batch=2)
    >>> [task.vocabulary().decode(np.asarray(ids[0])) for ids in (batch.x, batch.y)]
    ['The ', 'he "']
    """

    corpus: str = ""
    unit: Unit = "character"
    length: int = 100
    batching: Literal["contiguous", "windows"] = "contiguous"
    jitter: int = 0
    validation: float = 0.1
    test: float = 0.0
    held_out: int = 1_000_000
    vocabulary_size: int | None = None
    cutoff: int = 1
    separator: Separator = "end"

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
        """Such as "Text pydoc length 100", with the tokeniser where it is not characters."""
        units = {"character": "", "byte": "bytes", "word": "words", "subword": "subwords"}
        size = self.vocabulary_size or (SUBWORDS if self.unit == "subword" else None)
        rare = f"from {self.cutoff} on" if self.cutoff > 1 else ""
        words = (corpus_name(self.corpus), size, units.get(self.unit), rare)
        return f"Text {' '.join(str(word) for word in words if word)} length {self.length}"

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
        """Shannon's lower estimate for people reading English, by letter; words by the letters they have."""
        letters = self._bytes_per_symbol() if self.unit in ("word", "subword") else 1.0
        return {"loss": SHANNON_BITS * math.log(2) * letters, "bits": SHANNON_BITS * letters}

    def vocabulary(self) -> Vocabulary:
        """Return the vocabulary: characters of the whole corpus, words and parts of words of its training part."""
        return self._tokens().vocabulary

    def sha256(self) -> str:
        """Return the corpus's hash, which a run records and a resumed run compares."""
        return survey(self._corpus()).sha256

    def validate(self) -> None:
        """Refuse sizes out of range, and a corpus that is unreadable or too short."""
        require_at_least("Text.length", self.length, 1)
        require_at_least("Text.held_out", self.held_out, 2)
        for name, allowed in (("unit", UNITS), ("batching", BATCHINGS), ("separator", SEPARATORS)):
            if (value := getattr(self, name)) not in allowed:
                choice = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
                raise UsageError(f"Text.{name}: got {value!r}: use {choice}")
        require_at_least("Text.jitter", self.jitter, 0)
        if 2 * self.jitter >= self.length or (self.jitter and not self.stateful):
            raise UsageError(
                f"Text.jitter: got {self.jitter} with length {self.length} and {self.batching} batching: "
                "give less than half of length, and none with windows"
            )
        require_at_least("Text.cutoff", self.cutoff, 1)
        if self.vocabulary_size is not None:
            least = {"subword": 256}.get(self.unit, 3)
            require_at_least("Text.vocabulary_size", self.vocabulary_size, least)
        for name in ("vocabulary_size", "cutoff"):
            if self.unit in ("character", "byte") and getattr(self, name) not in (None, 1):
                raise UsageError(
                    f"Text.{name}: got {getattr(self, name)}, but the unit {self.unit} takes none: leave it out"
                )
        split(np.empty(0), self.validation, self.test)
        corpus = self._corpus()
        if corpus.given and self.test:
            raise UsageError(
                f"Text.test: got {self.test}, but the corpus comes in parts: leave it out"
            )
        if is_hub(self.corpus):  # which is not asked before it must be
            return
        sizes = survey(corpus).sizes
        if self.unit in ("character", "byte"):
            symbols = {
                part: size.bytes if self.unit == "byte" else size.characters
                for part, size in sizes.items()
            }
            self._cut({part: np.broadcast_to(np.uint8(0), n) for part, n in symbols.items()})

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

    def load(self) -> dict[str, Any]:
        """Return the parts as ids, of the least unsigned integers that hold them.

        Returns:
            "train" [N] and "validation" [M]; "bytes_per_symbol" of the latter, a scalar, where the vocabulary loses
            nothing; and under "test" what takes the place of the last two in the final examination, if anything.
        """
        tokens = self._tokens()
        train, *held_out = self._cut(tokens.parts)
        parts = [self._held_out(part, tokens.vocabulary) for part in held_out if len(part)]
        return {"train": train, **parts[0], **({"test": parts[1]} if len(parts) > 1 else {})}

    def test_data(self, data: Any) -> Any:
        """Return the data with the test part, if there is one, in place of the validation part."""
        return {**data, **data["test"]} if "test" in data else data

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

    def conclude(self, scores: Mapping[str, Any], data: Any) -> dict[str, Any]:
        """Add "perplexity" and, where nothing is lost, "bits_per_byte", from the means over the whole part."""
        # Finite wherever the loss is.
        most = jnp.float32(math.log(np.finfo(np.float32).max) - 1)
        more = {"perplexity": jnp.exp(jnp.minimum(scores["loss"], most))}
        if "bytes_per_symbol" in data:
            more["bits_per_byte"] = scores["bits"] / data["bytes_per_symbol"]
        return {**scores, **more}

    def oracle(self, batch: Batch) -> Array:
        """Put everything on the next symbol, from the labels: the last lies past the window."""
        return certain(batch.y, self.d_out)

    def baselines(self, data: Any) -> dict[str, dict[str, float]]:
        """Score the part that is examined last by Markov models of order 0 to 5, and by xz."""
        data = self.test_data(data)
        train, asked = (np.asarray(data[part]) for part in ("train", "validation"))
        cut = ""
        if len(train) > COUNTED:
            train, cut = train[-COUNTED:], f", last {COUNTED:,} symbols"
        orders = Markov.fit(train, self.d_out, ORDERS).nats(asked)
        nats = {f"markov order {order}{cut}": float(loss) for order, loss in enumerate(orders)}
        texts = (utf8(ids, self.vocabulary()) for ids in (train, asked))
        nats[f"xz{cut}"] = xz_bits(*texts) * math.log(2) / len(asked)
        scores = ({"loss": loss, "bits": loss / math.log(2)} for loss in nats.values())
        concluded = (self.conclude(score, data) for score in scores)
        rows = ({metric: float(value) for metric, value in row.items()} for row in concluded)
        return dict(zip(nats, rows, strict=True))

    def _corpus(self) -> Corpus:
        return _opened(self.corpus, self.separator)

    def _tokens(self) -> Tokens:
        cut = self.unit in ("word", "subword") and not self._corpus().given
        learned = 1 - self.validation - self.test if cut else 1.0
        tokeniser = Tokeniser(self.unit, self.vocabulary_size, self.cutoff, learned)
        return _tokenised(self.corpus, self.separator, tokeniser)

    def _cut(self, parts: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the parts to train, to validate and to test on, the last maybe empty, all long enough."""
        if WHOLE in parts:
            train, validation, test = split(parts[WHOLE], self.validation, self.test, self.held_out)
        else:
            train, test = parts["train"], parts.get("test", parts["train"][:0])
            if "validation" in parts:
                validation = parts["validation"]
            else:
                train, validation, _ = split(train, self.validation, most=self.held_out)
        symbols = sum(map(len, parts.values()))
        if len(train) < self.length + 1 or len(validation) < 2 or len(test) == 1:
            tested = f", {len(test)} to test on" if len(test) else ""
            raise DataError(
                f"corpus: {corpus_name(self.corpus)!r} has {symbols} symbols, "
                f"{len(train)} to train and {len(validation)} to validate on{tested}, and length "
                f"{self.length} needs {self.length + 1} and 2: give a longer text or less length"
            )
        if len(train) > MOST:
            raise DataError(
                f"corpus: {corpus_name(self.corpus)!r} has {len(train)} symbols to train on, wanted at most "
                f"{MOST}: cut it, or take unit subword, which makes fewer"
            )
        return train, validation, test

    def _held_out(self, ids: np.ndarray, vocabulary: Vocabulary) -> dict[str, Any]:
        """What is examined: ids and, where they stand for all of the text, the bytes that each predicts."""
        exact = (
            {}
            if vocabulary.lost
            else {"bytes_per_symbol": np.float32(_per_symbol(ids, vocabulary))}
        )
        return {"validation": ids, **exact}

    def _bytes_per_symbol(self) -> float:
        """How long a symbol of the validation part is on average, in bytes."""
        tokens = self._tokens()
        return _per_symbol(self._cut(tokens.parts)[1], tokens.vocabulary)


def utf8(ids: np.ndarray, vocabulary: Vocabulary) -> bytes:
    """Return the bytes that ids [N] stand for; a part of a text may begin and end inside a character."""
    if vocabulary.lost:
        return vocabulary.decode(ids).encode()
    symbols = [_raw(symbol) for symbol in vocabulary.symbols]
    return b"".join(symbols[i] for i in ids.tolist())


def _raw(symbol: str | bytes | int) -> bytes:
    """The bytes of a symbol: a character, a part of a word, or a byte."""
    if isinstance(symbol, str):
        return symbol.encode()
    return symbol if isinstance(symbol, bytes) else bytes([symbol])


def _per_symbol(ids: np.ndarray, vocabulary: Vocabulary) -> float:
    """Bytes per symbol of those that are predicted: all but the first."""
    asked = ids[1:]
    if vocabulary.lost:
        return len(utf8(asked, vocabulary)) / len(asked)
    lengths = [len(_raw(symbol)) for symbol in vocabulary.symbols]
    return float(np.bincount(asked, minlength=vocabulary.size) @ lengths) / len(asked)


def _windows(tokens: Array, starts: Array, T: int) -> Batch:
    """Return the windows of T steps at starts [B], each step labelled with the next symbol."""
    positions = starts[:, None] + jnp.arange(T + 1, dtype=jnp.int32)
    ids = jnp.take(jnp.asarray(tokens), positions, axis=0, mode="clip").astype(jnp.int32)
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
def _opened(spec: str, separator: Separator) -> Corpus:
    return open_corpus(spec, separator)


@lru_cache(maxsize=4)
def _tokenised(spec: str, separator: Separator, tokeniser: Tokeniser) -> Tokens:
    return tokenise(_opened(spec, separator), tokeniser)
