"""What `lstm-lab generate` does: texts go out as they are drawn, and what is to say of them beside."""

import sys
from collections.abc import Iterator
from pathlib import Path

from lstm_lab.errors import UsageError
from lstm_lab.export.folder import is_export
from lstm_lab.export.writer import ExportedWriter
from lstm_lab.options import GenerateOptions
from lstm_lab.text.novelty import Novelty, novelty
from lstm_lab.text.sampling import Sampling
from lstm_lab.text.writer import Writer

# What only drawing knows; a beam has the likeliest text alone.
DRAWN = ("temperature", "top_k", "top_p", "min_p", "typical", "repetition", "samples", "stop")


def compose(path: Path, options: GenerateOptions) -> Iterator[str]:
    """Continue a prompt with a trained network.

    Args:
        path: the run directory, or a folder of `lstm-lab export`.
        options: how.

    Returns:
        An iterator over pieces of what there is to read, the prompt the first.

    Raises:
        UsageError: an option is out of range, or the prompt holds what the run does not know.
        DataError: the corpus is not the one that was trained on.
        CheckpointError: there is nothing to load.
    """
    if options.length < 1:
        raise UsageError(f"length: {options.length}: give at least 1 symbol")
    prompt = _stdin() if options.prompt == "-" else options.prompt
    if options.beam is not None:
        return _searched(path, options, prompt)
    temperature = 0.8 if options.temperature is None else options.temperature
    sampling = Sampling(
        temperature,
        options.top_k,
        options.top_p,
        options.min_p,
        options.typical,
        options.repetition,
    )
    sampling.validate()
    return _drawn(path, options, prompt, sampling)


def _searched(path: Path, options: GenerateOptions, prompt: str) -> Iterator[str]:
    defaults = GenerateOptions()
    for name in DRAWN:
        if getattr(options, name) != getattr(defaults, name):
            raise UsageError(f"beam: it draws nothing: leave --{name.replace('_', '-')} out")
    writer = _writer(path, options)
    text = writer.search(prompt, options.length, options.beam or 0)
    yield f"{prompt}{text}\n"
    if options.novelty:
        _say_copied(writer, [text])


def _drawn(path: Path, options: GenerateOptions, prompt: str, sampling: Sampling) -> Iterator[str]:
    writer = _writer(path, options)
    pieces = writer.write(
        prompt, options.length, sampling, options.seed, options.samples, options.stop
    )
    texts = [""] * options.samples
    if options.samples == 1:
        yield prompt
    for each in pieces:
        texts = [text + piece for text, piece in zip(texts, each, strict=True)]
        if options.samples == 1:
            yield each[0]
    if options.samples == 1:
        yield "\n"
    else:
        # They were written side by side, and are read one after the other.
        for number, text in enumerate(texts, 1):
            yield f"--- {number} of {options.samples}\n{prompt}{text}\n"
    if options.novelty:
        _say_copied(writer, texts)


def _writer(path: Path, options: GenerateOptions) -> Writer:
    """What is at a path: a run, or a network by itself."""
    if not is_export(path):
        return Writer(path, options.weights, options.of_seed)
    if (options.weights, options.of_seed, options.novelty) != ("best", 0, False):
        raise UsageError(
            f"{path}: a network by itself, without runs and corpus: leave --weights, --of-seed and --novelty out"
        )
    return ExportedWriter(path)


def _say_copied(writer: Writer, texts: list[str]) -> None:
    train, unseen = writer.corpus()
    for text in texts:
        if text:
            _say("copied from what was trained on", novelty(text, train))
            _say("of as much unseen text", novelty(unseen[: len(text)], train))


def _say(what: str, found: Novelty) -> None:
    print(
        f"{what}: at most {len(found.longest)} characters in a row, {found.longest[:60]!r}; "
        f"from each place on average {found.mean:.1f}",
        file=sys.stderr,
    )


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"prompt: byte {error.start} of stdin is not UTF-8: give text in UTF-8"
        ) from error
