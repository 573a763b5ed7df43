"""The character after a window, as the text generation example of Keras trains it.

    x = s_i ... s_{i+T-1},      y = s_{i+T},      i = 0, k, 2k, ...

F. Chollet, "Character-level text generation with LSTM", Keras code examples (2015, run again with Keras 3.0): T = 40,
k = 3, letters in lower case, line ends as spaces, and one answer per window, after its last character. The text is
Nietzsche's, 600,893 characters in that form, so 200,285 windows of 56 symbols.

Nothing is held out there: what the example prints is the loss of training. So the examinations here read windows that
are trained on as well, drawn at random, and a network is compared by `published`, epoch by epoch: what its training
lost while it went on, averaged as the example was. `tasks/text.py` is the task to ask what a network predicts of text
that it has not seen.

Here an epoch leaves out the fewer than B windows that make no whole batch, others each time; there the last batch is
short.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_lab.errors import DataError, UsageError
from lstm_lab.published import Published
from lstm_lab.tasks.base import Batch, Classification, certain, require_at_least
from lstm_lab.tasks.examples import epoch_rows
from lstm_lab.text.corpora import corpus_name, open_corpus, survey
from lstm_lab.text.vocabulary import CharVocabulary, Vocabulary

# SHA-256 of the text in the form above, which tells whether the published trace is of this text.
NIETZSCHE = "07c252bbdb374c6216162f649312e7b004440041aa284958bc80aea25e3b01d7"
SOURCE = "keras-io, examples/generative/md/lstm_character_level_text_generation.md, the output stored with it"
# Its first 21 epochs of 40.
TRACE = (
    *(2.2850, 1.6243, 1.4987, 1.4367, 1.3964, 1.3667, 1.3525, 1.3342, 1.3245, 1.3093, 1.2984),
    *(1.2849, 1.2824, 1.2774, 1.2700, 1.2690, 1.2607, 1.2522, 1.2554, 1.2498, 1.2368),
)


@dataclass(frozen=True)
class NextCharacter(Classification):
    """Predict the character after each of many overlapping windows.

    Attributes:
        corpus: as for `Text`: "" for the embedded text, a path, or "hub:OWNER/NAME".
        length: characters T of a window.
        stride: characters k from one window's beginning to the next.

    >>> task = NextCharacter(length=4)
    >>> batch = task.sample(task.load(), jax.random.key(0), jnp.int32(0), batch=2)
    >>> batch.x.shape, batch.y.shape
    ((2, 4), (2,))
    """

    corpus: str = ""
    length: int = 40
    stride: int = 3

    metric: ClassVar[str] = "loss"
    higher_is_better: ClassVar[bool] = False
    per_step: ClassVar[bool] = False
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
        """Such as "Next character pydoc length 40, seen": it is examined on windows that it is trained on."""
        return f"Next character {corpus_name(self.corpus)} length {self.length}, seen"

    @property
    def solved(self) -> dict[str, float]:
        """No loss at all, which a network that has learnt every window by heart would reach."""
        return {"loss": 0.01}

    def vocabulary(self) -> Vocabulary:
        """Return the characters of the corpus, in lower case and without line ends."""
        return _folded(self.corpus)[0]

    def sha256(self) -> str:
        """Return the corpus's hash, which a run records and a resumed run compares."""
        return survey(open_corpus(self.corpus)).sha256

    def validate(self) -> None:
        """Refuse sizes out of range, and a corpus that is unreadable or too short."""
        require_at_least("NextCharacter.length", self.length, 1)
        require_at_least("NextCharacter.stride", self.stride, 1)
        if open_corpus(self.corpus).given:
            raise DataError(
                f"corpus: {corpus_name(self.corpus)!r} comes in parts, and all of a text is read here: name one file"
            )
        if self.windows(self.load()) < 1:
            raise DataError(
                f"corpus: {corpus_name(self.corpus)!r} has {len(self.load())} characters, and length {self.length} "
                f"needs {self.length + 1}: give a longer text or less length"
            )

    def check(self, batch: int) -> None:
        """Refuse a batch of more windows than there are."""
        super().check(batch)
        if batch > (count := self.windows(self.load())):
            raise UsageError(
                f"batch: got {batch}, and there are {count} windows: set batch to {count} or less"
            )

    def load(self) -> np.ndarray:
        """Return the ids of all characters, [N]."""
        return _folded(self.corpus)[1]

    def windows(self, data: Any) -> int:
        """Return how many windows an epoch has, those that make no whole batch included."""
        return len(range(0, len(data) - self.length, self.stride))

    def sample(self, data: Any, key: Array, step: Array | int, batch: int) -> Batch:
        """Return the step's windows of its epoch, none twice."""
        return self._cut(data, epoch_rows(key, step, self.windows(data), batch))

    def evaluation_batch(self, data: Any, key: Array, index: Array | int, batch: int) -> Batch:
        """Return windows drawn at random, which are trained on as well."""
        key = jax.random.fold_in(key, index)
        return self._cut(data, jax.random.randint(key, (batch,), 0, self.windows(data)))

    def oracle(self, batch: Batch) -> Array:
        """Put everything on the next character, from the labels: it lies past the window."""
        return certain(batch.y, self.d_out)

    def published(self, batch: int) -> Published | None:
        """Return what Keras' example printed, for its text, windows and batch."""
        windows = self.windows(self.load())
        if (self.length, self.stride, batch, _folded(self.corpus)[2]) != (40, 3, 128, NIETZSCHE):
            return None
        return Published("Keras 3.0's example", SOURCE, windows // batch, TRACE, running=True)

    def _cut(self, data: Any, rows: Array) -> Batch:
        """Return the windows with these numbers, int32 [B]."""
        places = (rows * self.stride)[:, None] + jnp.arange(self.length + 1, dtype=jnp.int32)
        ids = jnp.take(jnp.asarray(data), places, axis=0)
        return Batch(ids[:, :-1], ids[:, -1], jnp.ones(len(rows), bool))


# One process reads a corpus once, so that all trials of a run see the same text.
@lru_cache(maxsize=4)
def _folded(spec: str) -> tuple[Vocabulary, np.ndarray, str]:
    """A corpus in lower case with spaces for line ends: its vocabulary, its ids, and its SHA-256."""
    text = "".join(open_corpus(spec).pieces()).lower().replace("\n", " ")
    vocabulary = CharVocabulary.of(text)
    ids = vocabulary.encode(text).astype(np.int32)
    ids.flags.writeable = False
    return vocabulary, ids, hashlib.sha256(text.encode()).hexdigest()
