"""The command line: parse, call, print.

    lstm-lab run FILE [FILE ...] [--full] [--smoke] [--out DIR] [--cache DIR] [--cells NAME ...]
                          [--sweep FIELD VALUE ...] [any field of the experiment]
    lstm-lab generate RUN [--prompt TEXT] [--length N] [--temperature X] [--top-k N] [--top-p X] [--seed N]
    lstm-lab report [OUT] [--figures DIR]
    lstm-lab list [--json]
    lstm-lab schedules
    lstm-lab crossover [--steps N ...] [--out DIR]
    lstm-lab bench [--quick] [--only TEXT] [--out DIR] [--show FILE]

Errors are one line on stderr and an exit code (see `lstm_lab.errors`); `--debug` shows where they came from.
"""

import contextlib
import importlib.util
import json
import logging
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from lstm_lab.errors import LabError, UsageError, one_line

if TYPE_CHECKING:
    from lstm_lab.experiment import Experiment


@dataclass(frozen=True)
class RunOptions:
    """Run experiment files; what already has a result is not run again.

    Attributes:
        out: directory of all runs.
        full: the published form instead of the one that takes minutes.
        smoke: two steps of everything, to see that it runs.
        save_every: seconds between checkpoints.
        allow_nonbitwise: resume even where versions, code or devices have changed since.
        cache: directory that keeps compiled programs for the next start, writable by nobody else;
            LSTM_LAB_CACHE where not given, none where neither is.
    """

    out: Path = Path("runs")
    full: bool = False
    smoke: bool = False
    save_every: float = 60.0
    allow_nonbitwise: bool = False
    cache: Path | None = None


@dataclass(frozen=True)
class GenerateOptions:
    """Continue a prompt with a trained network, character by character.

    Attributes:
        prompt: what to continue.
        length: symbols to write.
        temperature: 0 takes the likeliest symbol, 1 draws as the network predicts.
        top_k: draw among the k likeliest symbols only.
        top_p: draw among the likeliest symbols that together reach this probability.
        seed: of the draw; the same seed writes the same text.
        weights: the network's best on held-out text, or its last.
        of_seed: which of the run's seeds writes.
    """

    prompt: str = "\n"
    length: int = 500
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0
    weights: Literal["best", "last"] = "best"
    of_seed: int = 0


@dataclass(frozen=True)
class ReportOptions:
    """Write report.html and report.json into a directory of runs, from what they hold.

    Attributes:
        figures: directory that also gets every chart as an SVG file.
    """

    figures: Path | None = None


@dataclass(frozen=True)
class ListOptions:
    """List every cell, layer, task, schedule and probe, with its fields and their defaults.

    Attributes:
        json: as JSON, for programs.
    """

    json: bool = False


@dataclass(frozen=True)
class CrossoverOptions:
    """Time a training step under every schedule, in turns, on the device at hand.

    Attributes:
        steps: the lengths of the sequences.
        batch: sequences in a batch.
        hidden: units.
        rounds: how often each schedule has its turn.
        out: directory for a file of the timings, named after the device.
    """

    steps: tuple[int, ...] = (64, 256, 1024, 4096)
    batch: int = 8
    hidden: int = 32
    rounds: int = 7
    out: Path | None = None


@dataclass(frozen=True)
class BenchOptions:
    """Time lstm_lab and every other framework installed, in turns, on the same networks; then what the lab costs.

    Attributes:
        quick: one network and the costs that take seconds, in at most 90 seconds.
        only: those networks and costs whose label contains this, such as "LSTM 32,", "both ways" or "costs".
        rounds: turns of each framework.
        out: directory for the record as JSON, the tables and a figure, named after the device.
        show: print the tables of a record that was written before, and time nothing.
    """

    quick: bool = False
    only: str = ""
    rounds: int = 7
    out: Path | None = None
    show: Path | None = None


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
        "report": _report,
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
        options, overrides = _run_options(words)
        _run_one(experiment, full, path, options, overrides, f"python {path}")

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
    options, overrides = _run_options(words[split:])
    if not paths:
        raise UsageError("run: no file: name one, such as lstm-lab run experiments/long_range.py")
    for path in paths:
        module = _load(path)
        command = f"lstm-lab run {path}"
        full = getattr(module, "full", None)
        _run_one(module.experiment, full, path, options, overrides, command)


def _run_options(words: list[str]) -> tuple[RunOptions, list[str]]:
    """Read the options that concern the run, and leave those that concern the experiment."""
    from lstm_lab.overrides import parse

    own: list[str] = []
    rest: list[str] = []
    names = {"--" + f.name.replace("_", "-"): f.type for f in fields(RunOptions)}
    takes_value = False
    for word in words:
        name, equals, _ = word.partition("=")
        if word.startswith("--"):
            mine = name.replace("_", "-") in names
            takes_value = mine and not equals and names[name.replace("_", "-")] is not bool
            (own if mine else rest).append(word)
        else:
            (own if takes_value else rest).append(word)
            takes_value = False
    help_wanted = {"-h", "--help"} & set(rest)
    if help_wanted:
        print("options of the run, then those of the experiment:\n")
        with contextlib.suppress(SystemExit):
            parse(RunOptions, ["--help"], prog="lstm-lab run FILE")
    return (RunOptions() if help_wanted else parse(RunOptions, own)), rest


def _run_one(
    experiment: "Experiment",
    full: "Experiment | None",
    path: Path,
    options: RunOptions,
    overrides: list[str],
    command: str,
) -> None:
    from lstm_lab.overrides import override
    from lstm_lab.progress import Bar, Lines, on_terminal
    from lstm_lab.runner import named, run

    if options.full and full is not None:
        experiment = full
    experiment = override(named(experiment, path), overrides)
    if options.smoke:
        experiment = experiment.smoke()
    experiment.validate()
    if folder := options.cache or os.environ.get("LSTM_LAB_CACHE"):
        from lstm_lab.compiled import keep

        keep(Path(folder))
    asked = [flag for flag in ("full", "smoke") if getattr(options, flag)]
    words = [command, *(f"--{flag}" for flag in asked), *map(shlex.quote, overrides)]
    with Bar() if on_terminal() else contextlib.nullcontext(Lines()) as watcher:
        run(
            experiment,
            options.out,
            " ".join(words),
            watcher,
            save_every=options.save_every,
            allow_nonbitwise=options.allow_nonbitwise,
            forecast=options.full,
        )


def _load(path: Path) -> ModuleType:
    """Execute an experiment file and return what it defines."""
    if not path.is_file():
        near = sorted(str(p) for p in Path("experiments").glob("[!_]*.py"))
        hint = f"there are {', '.join(near)}" if near else "give the path of an experiment file"
        raise UsageError(f"{path}: no such file: {hint}")
    spec = importlib.util.spec_from_file_location(f"lstm_lab_experiment_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "experiment"):
        raise UsageError(f"{path}: defines no experiment: assign one, experiment = Experiment(...)")
    return module


def _generate(words: list[str]) -> None:
    from lstm_lab.overrides import parse

    options = parse(
        GenerateOptions, words[1:] if _is_path(words) else words, prog="lstm-lab generate RUN"
    )
    if not _is_path(words):
        raise UsageError("generate: no run: name a run directory, such as runs/text/<trial>")
    from lstm_lab.text.sampling import Sampling

    sampling = Sampling(options.temperature, options.top_k, options.top_p)
    sampling.validate()
    if options.length < 1:
        raise UsageError(f"length: {options.length}: give at least 1 symbol")
    from lstm_lab.text.writer import Writer

    writer = Writer(Path(words[0]), options.weights, options.of_seed)
    pieces = writer.write(options.prompt, options.length, sampling, options.seed)
    sys.stdout.write(options.prompt)
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")


def _is_path(words: list[str]) -> bool:
    return bool(words) and not words[0].startswith("-")


def _report(words: list[str]) -> None:
    from lstm_lab.overrides import parse
    from lstm_lab.report import write_report

    out, rest = (words[0], words[1:]) if _is_path(words) else ("runs", words)
    options = parse(ReportOptions, rest, prog="lstm-lab report [OUT]")
    print(write_report(Path(out), options.figures))


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
    from lstm_lab.bench.schedules import every_pair, table

    pairs = list(every_pair())
    print(table(pairs), end="")
    wrong = [pair for pair in pairs if pair.verdict.startswith("wrong")]
    if wrong:
        raise RuntimeError(f"{len(wrong)} schedules disagree with the loop; see the table")


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
