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

import contextlib
import importlib.util
import json
import logging
import os
import re
import shlex
import sys
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, get_origin

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
    RunOptions,
)

if TYPE_CHECKING:
    from lstm_lab.experiment import Experiment
    from lstm_lab.launch.base import Launcher


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
    absent: list[AbsentError] = []
    for path in paths:
        module = _load(path)
        command = f"lstm-lab run {path}"
        full = getattr(module, "full", None)
        try:
            _run_one(module.experiment, full, path, options, overrides, command)
        except AbsentError as error:
            absent.append(error)
            if len(paths) > 1:
                print(f"{path.stem}: not run: {error}", file=sys.stderr)
    if len(absent) == len(paths):
        raise absent[0]


def _run_options(words: list[str]) -> tuple[RunOptions, list[str]]:
    """Read the options that concern the run, and leave those that concern the experiment."""
    from lstm_lab.overrides import parse

    own: list[str] = []
    rest: list[str] = []
    names = {"--" + f.name.replace("_", "-"): f.type for f in fields(RunOptions)}
    takes_value = takes_more = False
    for word in words:
        name, equals, _ = word.partition("=")
        if word.startswith("--"):
            mine = name.replace("_", "-") in names
            kind = names.get(name.replace("_", "-"))
            takes_more = get_origin(kind) is tuple
            takes_value = mine and not equals and kind is not bool
            (own if mine else rest).append(word)
        else:
            (own if takes_value else rest).append(word)
            takes_value = takes_value and takes_more
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
    from lstm_lab.launch.base import Terms
    from lstm_lab.overrides import override
    from lstm_lab.progress import Bar, Lines, on_terminal
    from lstm_lab.runner import named, run

    if options.data_dir is not None:
        # Read where a task looks for its files, in this process and in those it starts.
        os.environ["LSTM_LAB_DATA"] = str(options.data_dir.resolve())
    if options.full and full is not None:
        experiment = full
    experiment = override(named(experiment, path), overrides)
    if options.smoke:
        experiment = experiment.smoke()
    experiment.validate()
    folder = options.cache or os.environ.get("LSTM_LAB_CACHE")
    terms = Terms(
        options.save_every,
        options.allow_nonbitwise,
        options.time_limit,
        Path(folder) if folder else None,
    )
    if terms.cache:
        from lstm_lab.compiled import keep

        keep(terms.cache)
    asked = [flag for flag in ("full", "smoke") if getattr(options, flag)]
    words = [command, *(f"--{flag}" for flag in asked), *map(shlex.quote, overrides)]
    with Bar() if on_terminal() else contextlib.nullcontext(Lines()) as watcher:
        run(
            experiment,
            options.out,
            " ".join(words),
            watcher,
            terms=terms,
            launcher=_launcher(options),
            only=options.only,
            # How fast this machine is says nothing of a cluster.
            forecast=options.full and options.launcher == "local",
        )


def _launcher(options: RunOptions) -> "Launcher":
    """Where trials are to run."""
    from lstm_lab.launch.here import Here
    from lstm_lab.launch.workers import Workers

    limit, local = options.time_limit, options.launcher == "local"
    jobs = 1 if options.jobs is None else options.jobs
    if limit is not None and not limit > 0:
        raise UsageError(f"time-limit: {limit}: give more than 0 seconds")
    if local and options.resources:
        raise UsageError("resources: this machine gives what it has: add --launcher slurm or ray")
    if local and jobs == 1 and limit is None:
        return Here()
    import jax

    from lstm_lab.devices import use_all_cores

    if os.environ.get("LSTM_LAB_COORDINATOR"):
        raise UsageError(
            "jobs, launcher: this is one of several processes that run together: give --jobs 1 and no --launcher"
        )
    if not local:
        return _cluster(options)
    use_all_cores()
    if jax.default_backend() != "cpu":
        if jobs > 1 or limit is not None:
            raise UsageError(
                "jobs, time-limit: an accelerator belongs to one process, and nobody watches over that: "
                "give --jobs 1 and no --time-limit"
            )
        return Here()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Workers(jobs or cores or 1)


def _cluster(options: RunOptions) -> "Launcher":
    """The cluster on which trials are to run."""
    import jax

    from lstm_lab.launch.cluster import resources

    # Nothing is computed here, and an accelerator of this machine may be wanted by one of the jobs.
    jax.config.update("jax_platforms", "cpu")
    jobs, asked = options.jobs or 0, resources(options.resources)
    if options.launcher == "ray":
        from lstm_lab.launch.ray import Ray

        return Ray(jobs, asked)
    from lstm_lab.launch.slurm import Slurm

    return Slurm(jobs, asked)


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
    from lstm_lab.text.compose import compose

    for piece in compose(Path(words[0]), options):
        sys.stdout.write(piece)
        sys.stdout.flush()


def _play(words: list[str]) -> None:
    from lstm_lab.overrides import parse

    options = parse(PlayOptions, words[1:] if _is_path(words) else words, prog="lstm-lab play RUN")
    if not _is_path(words):
        raise UsageError("play: no run: name a run directory, such as runs/text/<trial>")
    from lstm_lab.play.server import Server

    with Server(Path(words[0]), options) as server:
        print(f"{server.address}   (Ctrl-C ends it)", flush=True)
        if options.open:
            webbrowser.open(server.address)
        server.run()


def _inspect(words: list[str]) -> None:
    from lstm_lab.overrides import parse

    options = parse(
        InspectOptions, words[1:] if _is_path(words) else words, prog="lstm-lab inspect RUN"
    )
    if not _is_path(words):
        raise UsageError("inspect: no run: name a run directory, such as runs/text/<trial>")
    from lstm_lab.inspect.command import inspect

    for line in inspect(Path(words[0]), options):
        print(line)


def _is_path(words: list[str]) -> bool:
    return bool(words) and not words[0].startswith("-")


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
