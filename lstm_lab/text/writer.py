"""Writing with a trained network: a run directory becomes something that continues prompts.

The directory holds the vocabulary, so the corpus is needed for nothing but to compare with it what is written.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain, islice, tee
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from lstm_lab.architecture import Architecture
from lstm_lab.config import from_json
from lstm_lab.errors import DataError, UsageError
from lstm_lab.probe.text_sample import reader, write
from lstm_lab.rundir import RunDirectory
from lstm_lab.tasks.text import Text
from lstm_lab.text.beam import beam_search
from lstm_lab.text.sampling import Sampling
from lstm_lab.text.stops import Until
from lstm_lab.text.tokenisers import from_json as vocabulary_of
from lstm_lab.text.vocabulary import Vocabulary
from lstm_lab.trained import Weights, check_seed, trained
from lstm_lab.trial import Trial


@dataclass(frozen=True)
class Remembered(Text):
    """A text of which the vocabulary is at hand.

    Attributes:
        known: the vocabulary.
    """

    known: Vocabulary | None = None

    def vocabulary(self) -> Vocabulary:
        """Return it, without reading the corpus."""
        return self.known or super().vocabulary()


def remembered(run: RunDirectory, task: Text) -> Text:
    """A run's task with the run's vocabulary, so that it needs no corpus.

    Raises:
        DataError: the run is older than `vocabulary.json`, and its corpus is not the one that was trained on.
    """
    if (saved := run.read("vocabulary.json")) is None:
        require_data(run, task)
        return task
    told = {field.name: getattr(task, field.name) for field in fields(task)}
    return Remembered(**told, known=vocabulary_of(saved))


def require_data(run: RunDirectory, task: Text) -> None:
    """Raise a DataError unless the corpus is there and the one that the run was trained on."""
    env = run.read("env.json")
    if env and env.get("data") != task.sha256():
        raise DataError(
            f"{task.label}: sha256 {task.sha256()}, but {run.path} was trained on "
            f"{env.get('data')}: put the corpus back"
        )


class Writer:
    """One seed of a text run, ready to continue prompts.

    Args:
        path: the run directory, or one that holds a single text run.
        weights: the best on held-out text, or the last, which averaged SGD means of several.
        seed: which of the run's seeds.

    Raises:
        UsageError: there is no text run there, or no such seed.
        DataError: the run is older than `vocabulary.json`, and its corpus is not the one that was trained on.
    """

    def __init__(self, path: Path, weights: Weights, seed: int) -> None:
        self.run = RunDirectory(find_run(path))
        trial = self._trial()
        self.task: Text = trial.task  # type: ignore[assignment]  # _trial has seen to it
        check_seed(self.run, trial, seed)
        self.trial, self.weights, self.seed = trial, weights, seed

    def _trial(self) -> Trial:
        config = self.run.read("config.json")
        trial = from_json(config["trial"]) if config else None
        if not isinstance(trial, Trial) or not isinstance(trial.task, Text):
            raise UsageError(f"{self.run.path}: not a text run: name one that was trained on text")
        if trial.model.bidirectional:
            raise UsageError(
                f"{self.run.path}: {trial.model.label} reads both ways, and what is yet to be written "
                "cannot be read: name a run that reads forward"
            )
        return replace(trial, task=remembered(self.run, trial.task))

    @property
    def vocabulary(self) -> Vocabulary:
        """What the network's symbols stand for."""
        return self.task.vocabulary()

    def write(
        self,
        prompt: str,
        length: int,
        sampling: Sampling,
        seed: int,
        samples: int = 1,
        stops: Sequence[str] = (),
    ) -> Iterator[tuple[str, ...]]:
        """Continue a prompt, handing out text as it is drawn.

        Args:
            prompt: what to continue; every character must be known to the run's vocabulary.
            length: symbols to write, at most.
            sampling: how each is chosen.
            seed: of the draw.
            samples: texts that are written at once.
            stops: strings at which a text ends; they are not part of it.

        Yields:
            What each of the texts goes on with, which may be nothing.

        Raises:
            UsageError: the prompt is empty or holds an unknown character, or a stop is empty.
            CheckpointError: there is nothing to load.
        """
        if samples < 1:
            raise UsageError(f"samples: {samples}: give at least 1")
        if "" in stops:
            raise UsageError("stop: got nothing, wanted a string of at least one character")
        vocabulary = self.vocabulary
        ids = vocabulary.encode(prompt)
        network, params = self.network()
        drawn = write(network, params, ids, length, sampling, seed, samples)
        return _until(stops, vocabulary, ids, drawn, samples)

    def search(self, prompt: str, length: int, width: int) -> str:
        """Continue a prompt with the likeliest text that a beam finds.

        Args:
            prompt: as for `write`.
            length: symbols to write.
            width: texts that are followed at once.

        Raises:
            UsageError: the prompt is empty or holds an unknown character, or the width is none.
            CheckpointError: there is nothing to load.
        """
        vocabulary = self.vocabulary
        ids = vocabulary.encode(prompt)
        network, params = self.network()
        carry = network.initial_carry(params, 1)
        best, _ = beam_search(reader(network, params), carry, ids, length, width)
        return "".join(_continued(vocabulary, ids, (best,)))

    def corpus(self) -> tuple[str, str]:
        """The text that was trained on, and that which was not.

        Raises:
            DataError: the corpus is not there, or is not the one that was trained on.
        """
        require_data(self.run, self.task)
        vocabulary, data = self.vocabulary, self.task.load()
        return vocabulary.decode(data["train"]), vocabulary.decode(data["validation"])

    def network(self) -> tuple[Architecture, Any]:
        """Load what was trained.

        Returns:
            The network, and the chosen seed's parameters.

        Raises:
            CheckpointError: there is nothing to load.
        """
        network, params, _ = trained(self.run, self.trial, self.weights, self.seed)
        return network, params


def _until(
    stops: Sequence[str],
    vocabulary: Vocabulary,
    prompt: np.ndarray,
    drawn: Iterable[np.ndarray],
    samples: int,
) -> Iterator[tuple[str, ...]]:
    """Decode texts side by side, each until it stops; end when all have."""
    ends = [Until(stops) for _ in range(samples)]
    texts = [_continued(vocabulary, prompt, row) for row in _rows(drawn, samples)]
    for pieces in zip(*texts, strict=True):
        yield tuple(end(piece) for end, piece in zip(ends, pieces, strict=True))
        if all(end.stopped for end in ends):
            return
    yield tuple(end.rest() for end in ends)


def _continued(
    vocabulary: Vocabulary, prompt: np.ndarray, drawn: Iterable[np.ndarray]
) -> Iterator[str]:
    """Decode what follows a prompt, as it is drawn."""
    return islice(vocabulary.stream(chain((prompt,), drawn)), 1, None)


def _rows(drawn: Iterable[np.ndarray], samples: int) -> list[Iterator[np.ndarray]]:
    """The rows of ids [B,t], each as an iterator of its own over what all share."""
    return [map(itemgetter(row), each) for row, each in enumerate(tee(drawn, samples))]


def find_run(path: Path) -> Path:
    """Find the run directory that a path means: itself, or the only one below it.

    Raises:
        UsageError: there is none, or there are several; the message names them.
    """
    if (path / "config.json").is_file():
        return path
    below = sorted(p.parent for p in path.glob("**/config.json"))
    if len(below) == 1:
        return below[0]
    if not below:
        raise UsageError(f"{path}: no run there: name a run directory, such as runs/text/<trial>")
    names = ", ".join(str(p) for p in below[:5]) + (", ..." if len(below) > 5 else "")
    raise UsageError(f"{path}: {len(below)} runs there: name one of {names}")
