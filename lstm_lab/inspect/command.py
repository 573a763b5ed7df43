"""What `lstm-lab inspect` does: a trained network reads a text, and a page shows how."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lstm_lab.errors import UsageError
from lstm_lab.files import writing
from lstm_lab.inspect.page import View, page
from lstm_lab.inspect.said import LAGS, reach, say
from lstm_lab.inspect.states import Leaf, states
from lstm_lab.inspect.tracking import Row, survey
from lstm_lab.options import InspectOptions
from lstm_lab.text.writer import Writer, require_data

# Read of the validation part where no text is given.
SYMBOLS = 1_000
# Beyond these a browser is slow, and the page large: the first number is of symbols, the second of what is shown of all
# units, a byte each.
MOST_SYMBOLS = 20_000
MOST_NUMBERS = 1 << 24


def inspect(path: Path, options: InspectOptions) -> Iterator[str]:
    """Have a run's network read a text, and write the page.

    Args:
        path: the run directory.
        options: which text, and where the page goes.

    Yields:
        Lines to print: the page's path, what the text cost, and the units that track something.

    Raises:
        UsageError: there is no text run, or no text of at least two symbols that the run knows.
        DataError: the corpus is not the one that was trained on.
        CheckpointError: there is nothing to load.
        StorageError: the page cannot be written.
    """
    text = _text(options)
    writer = Writer(path, options.weights, options.of_seed)
    require_data(writer.run, writer.task)
    vocabulary, data = writer.vocabulary, writer.task.load()
    shown = data["validation"][:SYMBOLS] if text is None else vocabulary.encode(text)
    ids = np.asarray(shown, np.int32)
    if len(ids) < 2:
        raise UsageError(
            f"text: got {len(ids)} symbols, wanted at least 2, one to predict the other: give more text"
        )
    network, params = writer.network()
    ids, leaves = _cut(ids, states(network, params, ids[None, :MOST_SYMBOLS], gates=True))
    said = say(network, params, ids)
    rows = survey(network, params, data, vocabulary)
    bits = float(np.nanmean(said.bits))
    about = (
        f"{writer.trial.model.label}, {network.parameters:,} parameters, "
        f"trained on {writer.task.label}. "
        + ("The beginning of its validation part" if text is None else "A text of your own")
        + f": {len(ids):,} symbols, {bits:.3f} bits per symbol."
    )
    out = options.out or writer.run.path / "inspect.html"
    with writing(out):
        out.write_text(page(View(about, vocabulary, ids, said, leaves, rows)), encoding="utf-8")
    yield str(out)
    yield f"surprise: {bits:.3f} bits per symbol on average, over {len(ids) - 1:,} symbols"
    half, most = (reach(said.influence, share) for share in (0.5, 0.9))
    yield f"influence: half of it within the last {half} of {LAGS} symbols, nine tenths within {most}"
    yield from _table(rows)


def _text(options: InspectOptions) -> str | None:
    """The text that was asked for, if any."""
    if options.file is None and options.text != "-":
        return options.text
    if options.file is not None and options.text is not None:
        raise UsageError("text: got a file as well: give --text or --file")
    name = "stdin" if options.file is None else str(options.file)
    try:
        data = sys.stdin.buffer.read() if options.file is None else options.file.read_bytes()
        return data.decode()
    except OSError as error:
        raise UsageError(f"file: {name}: {error.strerror}: give a file of text") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"text: byte {error.start} of {name} is not UTF-8: give text in UTF-8"
        ) from error


def _cut(ids: np.ndarray, leaves: Sequence[Leaf]) -> tuple[np.ndarray, list[Leaf]]:
    """As much of a text and its states as a page can show, and a word on stderr about the rest."""
    numbers = sum(len(leaf.unit) for leaf in leaves)
    most = min(MOST_SYMBOLS, MOST_NUMBERS // max(numbers, 1))
    if len(ids) > most:
        print(f"text: {len(ids):,} symbols: the page shows the first {most:,}", file=sys.stderr)
    return ids[:most], [leaf._replace(value=leaf.value[:, :most]) for leaf in leaves]


def _table(rows: list[Row]) -> Iterator[str]:
    if not rows:
        yield "units that track something: none looked for, the network has no state or its corpus is too short"
        return
    shape = "{:27}{:16}{:23}{:25}{:8}{}".format
    yield ""
    yield shape("tracked", "unit", "score", "untrained", "chance", "measure")
    for row in rows:
        unit = f"layer {row.layer} {row.name} {row.unit}"
        scores = [
            f"{found.score:.3f} [{found.interval.low:.3f}, {found.interval.high:.3f}]"
            for found in (row.trained, row.untrained)
        ]
        yield shape(row.label, unit, *scores, f"{row.chance:g}", row.measure)
