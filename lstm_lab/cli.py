"""The command line: parse, call, print.

    lstm-lab run FILE [FILE ...] [--full] [--smoke] [--out DIR] [--cache DIR] [--cells NAME ...]
                          [--tasks NAME ...] [--sweep FIELD VALUE ...] [--jobs N] [--time-limit SECONDS]
                          [--launcher local|slurm|ray] [--resources KEY=VALUE ...] [--only ID]
                          [--data-dir DIR] [any field of the experiment]
    lstm-lab generate RUN [--prompt TEXT] [--length N] [--temperature X] [--top-k N] [--top-p X] [--min-p X]
                          [--typical X] [--repetition X] [--beam N] [--samples N] [--stop TEXT ...] [--novelty]
                          [--seed N]
    lstm-lab export RUN FOLDER [--weights best|last] [--of-seed N] [--platforms NAME ...] [--to pytorch]
                               [--force]
    lstm-lab play RUN [--port N] [--open] [--weights best|last] [--of-seed N]
    lstm-lab inspect RUN [--text TEXT | --file FILE] [--out FILE]
    lstm-lab report [OUT] [--figures DIR] [--format md,csv,parquet] [--tensorboard DIR]
    lstm-lab fetch DATASET [--data-dir DIR]
    lstm-lab list [--json]
    lstm-lab schedules
    lstm-lab crossover [--steps N ...] [--out DIR]
    lstm-lab bench [--quick] [--only TEXT] [--out DIR] [--show FILE]

Errors are one line on stderr and an exit code (see `lstm_lab.errors`); `--debug` shows where they came from.
"""

import json
import logging
import os
import re
import sys
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lstm_lab.errors import AbsentError, LabError, UsageError, one_line
from lstm_lab.options import (
    BenchOptions,
    CrossoverOptions,
    ExportOptions,
    FetchOptions,
    GenerateOptions,
    InspectOptions,
    ListOptions,
    PlayOptions,
    ReportOptions,
)
from lstm_lab.run_command import load, run_one, run_options

if TYPE_CHECKING:
    from lstm_lab.experiment import Experiment

Options = TypeVar("Options")


def main() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: the words after the program's name.

    Returns:
        The exit code.
    """
    commands: dict[str, Callable[[list[str]], None]] = {
        "run": _run,
        "generate": _generate,
        "export": _export,
        "play": _play,
        "inspect": _inspect,
        "report": _report,
        "fetch": _fetch,
        "list": _list,
        "schedules": _schedules,
        "crossover": _crossover,
        "bench": _bench,
    }
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    if arguments[0] == "--version":
        from lstm_lab import __version__

        print(__version__)
        return 0

    # What a schedule picked, or failed to solve, is said beside the output and not in it.
    logging.basicConfig(format="%(message)s")
    logging.getLogger("lstm_lab").setLevel(logging.INFO)

    def command(words: list[str]) -> None:
        if arguments[0] not in commands:
            raise UsageError(f"{arguments[0]}: no such command: use {', '.join(commands)}")
        commands[arguments[0]](words)

    return _guarded(command, list(arguments[1:]))


def run_script(experiment: "Experiment", full: "Experiment | None") -> None:
    """Run the experiment of the script being executed, with its options, and exit."""
    path = Path(sys.argv[0])

    def command(words: list[str]) -> None:
        options, overrides = run_options(words)
        run_one(experiment, full, path, options, overrides, f"python {path}")

    sys.exit(_guarded(command, sys.argv[1:]))


def _guarded(command: Callable[[list[str]], None], words: list[str]) -> int:
    """Run a command; turn what it raises into one line and a code."""
    debug = "--debug" in words
    try:
        command([word for word in words if word != "--debug"])
    except LabError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does; closing stdout again would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("error: interrupted before there was anything to save", file=sys.stderr)
        return 130
    except SystemExit as leave:  # tyro's --help
        return int(leave.code or 0)
    except Exception as error:
        if debug:
            raise
        name = type(error).__name__
        print(f"error: {name}: {one_line(error)}: add --debug to see where", file=sys.stderr)
        return 1
    return 0


def _run(words: list[str]) -> None:
    split = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    paths = [Path(word) for word in words[:split]]
    options, overrides = run_options(words[split:])
    if not paths:
        raise UsageError("run: no file: name one, such as lstm-lab run experiments/long_range.py")
    absent: list[AbsentError] = []
    for path in paths:
        module = load(path)
        command = f"lstm-lab run {path}"
        full = getattr(module, "full", None)
        try:
            run_one(module.experiment, full, path, options, overrides, command)
        except AbsentError as error:
            absent.append(error)
            if len(paths) > 1:
                print(f"{path.stem}: not run: {error}", file=sys.stderr)
    if len(absent) == len(paths):
        raise absent[0]


def _of_run(command: str, kind: type[Options], words: list[str]) -> tuple[Path, Options]:
    """Read the run directory that a command is about, and its options."""
    from lstm_lab.overrides import parse

    named = _is_path(words)
    options = parse(kind, words[1:] if named else words, prog=f"lstm-lab {command} RUN")
    if not named:
        raise UsageError(f"{command}: no run: name a run directory, such as runs/text/<trial>")
    return Path(words[0]), options


def _generate(words: list[str]) -> None:
    path, options = _of_run("generate", GenerateOptions, words)
    from lstm_lab.text.compose import compose

    for piece in compose(path, options):
        sys.stdout.write(piece)
        sys.stdout.flush()


def _play(words: list[str]) -> None:
    path, options = _of_run("play", PlayOptions, words)
    from lstm_lab.play.server import Server

    with Server(path, options) as server:
        print(f"{server.address}   (Ctrl-C ends it)", flush=True)
        if options.open:
            webbrowser.open(server.address)
        server.run()


def _inspect(words: list[str]) -> None:
    path, options = _of_run("inspect", InspectOptions, words)
    from lstm_lab.inspect.command import inspect

    for line in inspect(path, options):
        print(line)


def _export(words: list[str]) -> None:
    from lstm_lab.overrides import parse

    split = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    options = parse(ExportOptions, words[split:], prog="lstm-lab export RUN FOLDER")
    if split != 2:
        raise UsageError(
            "export: give a run and a folder, such as lstm-lab export runs/text/<trial> network"
        )
    from lstm_lab.export import from_run

    folder = Path(words[1])
    network = from_run(Path(words[0]), options.weights, options.of_seed)
    network.write(folder, options.platforms, to=options.to, force=options.force)
    print(folder)


def _is_path(words: list[str]) -> bool:
    return bool(words) and not words[0].startswith("-")


def _report(words: list[str]) -> None:
    from lstm_lab.overrides import parse
    from lstm_lab.report import write_report

    out, rest = (words[0], words[1:]) if _is_path(words) else ("runs", words)
    options = parse(ReportOptions, rest, prog="lstm-lab report [OUT]")
    formats = [name for name in re.split(r"[\s,]+", options.format) if name]
    print(write_report(Path(out), options.figures, formats, options.tensorboard))


def _fetch(words: list[str]) -> None:
    from lstm_lab.data.fetch import REPOSITORIES, fetch
    from lstm_lab.data.locate import directory
    from lstm_lab.overrides import parse

    options = parse(
        FetchOptions, words[1:] if _is_path(words) else words, prog="lstm-lab fetch DATASET"
    )
    if not _is_path(words):
        raise UsageError(f"fetch: no data set: name one, such as {next(iter(REPOSITORIES))}")
    for path in fetch(words[0], options.data_dir or directory()):
        print(path)


def _list(words: list[str]) -> None:
    from lstm_lab.catalogue import catalogue
    from lstm_lab.overrides import parse

    options = parse(ListOptions, words, prog="lstm-lab list")
    rooms = catalogue()
    if options.json:
        print(json.dumps(rooms, indent=2))
        return
    for room, entries in rooms.items():
        print(room)
        for entry in entries:
            settings = ", ".join(f"{k}={_shown(v)}" for k, v in entry["fields"].items())
            print(f"  {entry['name']}({settings})\n      {entry['summary']}")


def _shown(default: object) -> str:
    """A field's default; one that is a value of its own by its class alone."""
    return f"{default['type']}()" if isinstance(default, dict) else repr(default)


def _schedules(words: list[str]) -> None:
    if words:
        raise UsageError(f"schedules: {' '.join(words)}: it takes no options")
    from lstm_lab.bench.schedules import every_cell, every_schedule, pairs, table

    found = list(pairs(every_cell(), every_schedule()))
    print(table(found), end="")
    bad = [pair for pair in found if pair.verdict not in ("yes", "no")]
    if bad:
        raise RuntimeError(f"{len(bad)} schedules fail or disagree with the loop; see the table")


def _crossover(words: list[str]) -> None:
    from lstm_lab.overrides import parse

    options = parse(CrossoverOptions, words, prog="lstm-lab crossover")
    for name, given in (("steps", min(options.steps, default=0)), ("rounds", options.rounds)):
        if given < 1:
            raise UsageError(f"{name}: {given}: give at least 1")
    from lstm_lab.bench.crossover import Shape, measure, write

    shape = Shape(batch=options.batch, hidden=options.hidden, rounds=options.rounds)
    print(f"{'cell':24}{'steps':>7}  {'schedule':12}{'ms':>10}   times the loop's [least, most]")
    timings = []
    for one in measure(options.steps, shape):
        timings.append(one)
        ratio = f"{one.ratio:8.2f} [{one.fewest:.2f}, {one.most:.2f}]"
        print(f"{one.cell:24}{one.steps:7,}  {one.schedule:12}{one.milliseconds:10.2f}   {ratio}")
    if options.out is not None:
        print(write(options.out, shape, timings))


def _bench(words: list[str]) -> None:
    from lstm_lab.overrides import parse

    options = parse(BenchOptions, words, prog="lstm-lab bench")
    if options.rounds < 1:
        raise UsageError(f"rounds: {options.rounds}: give at least 1")
    from lstm_lab.bench.costs import every_question, quick_questions
    from lstm_lab.bench.speed import bench, page, read
    from lstm_lab.bench.turns import Pace
    from lstm_lab.bench.workload import every_workload, quick_workloads

    if options.show is not None:
        try:
            print(page(*read(options.show)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"show: {options.show}: {one_line(error)}: give a file that `lstm-lab bench --out` wrote"
            ) from error
        return
    rounds = min(options.rounds, 3) if options.quick else options.rounds
    workloads = quick_workloads() if options.quick else every_workload()
    all_questions = every_question(rounds)
    questions = quick_questions(rounds) if options.quick else all_questions
    chosen = [workload for workload in workloads if options.only in workload.label]
    asked = [question for question in questions if options.only in question.label]
    if not chosen and not asked:
        labels = dict.fromkeys([w.label for w in workloads] + [q.label for q in questions])
        raise UsageError(
            f"only: {options.only!r}: no such network or cost: there are {'; '.join(labels)}"
        )
    left_out = [q.title for q in all_questions if options.only in q.label]
    left_out = [title for title in left_out if title not in [q.title for q in questions]]
    pace = Pace(rounds, 0.2) if options.quick else Pace(rounds, memory=True)
    bench(chosen, asked, left_out, pace, options.out)
