"""One network that reads and draws symbol by symbol, and tells of each what it expected and what it holds then.

The state is carried from symbol to symbol, so each costs the same however long the text is. What is drawn is what
`text.sampling.generate` draws: symbol i with `fold_in(key, i)`, from the same reshaped distribution. The
probabilities told are the network's own, before temperature and the rest.
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice, tee
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from lstm_lab.errors import NonFiniteError, UsageError
from lstm_lab.probe.spacing import evenly_spaced
from lstm_lab.probe.text_sample import reader
from lstm_lab.text.sampling import Apply, Sampling, State, penalise, sample
from lstm_lab.text.writer import Writer

# Symbols of a prompt read per compiled call; a shorter piece is padded, so that one program serves all prompts.
BLOCK = 64
# The likeliest next symbols that are told.
EXPECTED = 5
# Numbers told of one part of the carry: a matrix memory has many thousands.
MOST = 1024


class Strip(NamedTuple):
    """A part of the carry.

    Attributes:
        name: such as "c", or "layer 2 c" where there are several.
        shown: numbers told of it, evenly spaced.
        size: numbers in it.
    """

    name: str
    shown: int
    size: int


class Symbol(NamedTuple):
    """A symbol that was read.

    Attributes:
        id: its number in the vocabulary.
        text: what it adds to the text; nothing where a character waits for its other bytes.
        p: the probability it had, 0 to 1; None of the first, which nothing precedes.
        drawn: whether the network wrote it.
        expected: the likeliest to follow it: id, name and probability.
        state: the carry after it, float32 `[N]`, strip after strip.
    """

    id: int
    text: str
    p: float | None
    drawn: bool
    expected: list[tuple[int, str, float]]
    state: np.ndarray


class Player:
    """A loaded network. It keeps nothing of what is played, so several threads may play at once.

    Args:
        writer: which network.

    Raises:
        CheckpointError: there is nothing to load.
    """

    def __init__(self, writer: Writer) -> None:
        self.vocabulary = writer.task.vocabulary()
        network, params = writer.network()
        # From the host they would be copied anew for every symbol.
        params = jax.device_put(params)
        self.parameters = network.parameters
        self._model: Apply = reader(network, params)
        carry = network.initial_carry(params, 1)
        _, logits = jax.eval_shape(self._model, jnp.zeros((1, 1), jnp.int32), carry)
        size = logits.shape[-1]
        self._start: State = carry, jnp.zeros((1, size), logits.dtype), jnp.zeros((1, size), bool)
        self.strips = _strips(carry, writer.trial.model.layers)

    def play(self, ids: np.ndarray, length: int, sampling: Sampling, seed: int) -> Iterator[Symbol]:
        """Read a prompt and continue it.

        Args:
            ids: the prompt, int `[T]`, T at least 1.
            length: symbols to draw.
            sampling: how each is chosen.
            seed: of the draw.

        Returns:
            An iterator over the prompt's symbols, then those drawn, as they are.

        Raises:
            UsageError: the prompt is empty, or a size or a sampling setting is out of range.
            NonFiniteError: while iterating, when the network's logits are NaN or +inf.
        """
        if not len(ids):
            raise UsageError(
                "prompt: got nothing, wanted at least one symbol: start from a newline if there is "
                "nothing to continue"
            )
        if length < 1:
            raise UsageError(f"length: {length}: give at least 1 symbol")
        sampling.validate(self.vocabulary.size)
        return self._told(self._notes(ids, length, sampling, seed), len(ids))

    def _notes(
        self, ids: np.ndarray, length: int, sampling: Sampling, seed: int
    ) -> Iterator["_Note"]:
        state = self._start
        for at in range(0, len(ids), BLOCK):
            piece = np.zeros(BLOCK, np.int32)
            count = len(ids[at : at + BLOCK])
            piece[:count] = ids[at : at + BLOCK]
            state, notes = _read(self._model, state, jnp.asarray(piece), jnp.int32(count))
            yield from islice(map(_Note._make, zip(*jax.device_get(notes), strict=True)), count)
        key = jax.random.key(seed)
        for i in range(length):
            state, note = _draw(self._model, state, key, jnp.int32(i), sampling=sampling)
            yield jax.device_get(note)

    def _told(self, notes: Iterator["_Note"], given: int) -> Iterator[Symbol]:
        notes, also = tee(notes)
        # Of a character cut in two at the very end nothing is told.
        texts = self.vocabulary.stream(note.ids for note in also)
        for step, (note, text) in enumerate(zip(notes, texts, strict=False)):
            if not note.sound:
                raise NonFiniteError(
                    f"play: the logits after symbol {step} are not finite: "
                    "the model has diverged, take an earlier checkpoint",
                    step=step,
                    tensor="logits",
                )
            expected = [
                (int(i), self._name(i), float(p))
                for i, p in zip(note.likeliest, note.theirs, strict=True)
            ]
            p = float(note.p) if step else None
            yield Symbol(int(note.ids[0]), text, p, step >= given, expected, note.state)

    def _name(self, id: int) -> str:
        name = self.vocabulary.decode(np.array([id]))
        # A byte that is no character by itself.
        return f"#{id}" if "\N{REPLACEMENT CHARACTER}" in name else name


class _Note(NamedTuple):
    """What is told of a symbol, as arrays: `ids [1]`, `likeliest [K]` and `theirs [K]`, `state [N]`, scalars."""

    ids: Any
    p: Any
    likeliest: Any
    theirs: Any
    state: Any
    sound: Any


@jax.jit
def _read(model: Apply, state: State, ids: Array, count: Array) -> tuple[State, _Note]:
    """Read the first `count` of ids `[BLOCK]`."""

    def step(state: State, given: tuple[Array, Array]) -> tuple[State, _Note]:
        i, id = given
        after, note = _take(model, state, id[None])
        return jax.tree.map(lambda a, b: jnp.where(i < count, a, b), after, state), note

    return lax.scan(step, state, (jnp.arange(BLOCK, dtype=jnp.int32), ids))


@partial(jax.jit, static_argnames="sampling")
def _draw(
    model: Apply, state: State, key: Array, i: Array, *, sampling: Sampling
) -> tuple[State, _Note]:
    """Draw symbol i and read it."""
    _, logits, seen = state
    reduced = penalise(logits, seen, sampling.repetition)
    return _take(model, state, sample(jax.random.fold_in(key, i), reduced, sampling))


def _take(model: Apply, state: State, ids: Array) -> tuple[State, _Note]:
    """Read a symbol `[1]`."""
    carry, logits, seen = state
    p = jax.nn.softmax(logits)[0, ids[0]]
    carry, after = model(ids[:, None], carry)
    after = after[:, -1]
    theirs, likeliest = lax.top_k(jax.nn.softmax(after[0]), min(EXPECTED, after.shape[-1]))
    shown = [
        leaf.reshape(-1)[evenly_spaced(leaf.size, MOST)].astype(jnp.float32)
        for leaf in jax.tree.leaves(carry)
    ]
    held = jnp.concatenate(shown)
    sound = jnp.isfinite(after.max())
    seen = seen | jax.nn.one_hot(ids, seen.shape[-1], dtype=bool)
    return (carry, after, seen), _Note(ids, p, likeliest, theirs, held, sound)


def _strips(carry: Any, layers: int) -> list[Strip]:
    """The parts of a carry, in the order of its leaves."""
    strips = []
    for path, leaf in jax.tree.leaves_with_path(carry):
        words = [jax.tree_util.keystr((key,), simple=True) for key in path]
        if layers > 1:
            words[0] = f"layer {int(words[0]) + 1}"
        strips.append(Strip(" ".join(words), len(evenly_spaced(leaf.size, MOST)), leaf.size))
    return strips
