"""What `lstm-lab run` does: an experiment with its file's name, the words that change it, and where it is to run."""

import contextlib
import importlib.util
import os
import shlex
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, get_origin

from lstm_lab.errors import UsageError
from lstm_lab.options import RunOptions

if TYPE_CHECKING:
    from lstm_lab.experiment import Experiment
    from lstm_lab.launch.base import Launcher


def run_options(words: list[str]) -> tuple[RunOptions, list[str]]:
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


def run_one(
    experiment: "Experiment",
    full: "Experiment | None",
    path: Path,
    options: RunOptions,
    overrides: list[str],
    command: str,
) -> None:
    """Run an experiment.

    Args:
        experiment: as its file defines it.
        full: its published sizes, if it has any.
        path: the file.
        options: of the run.
        overrides: words that change the experiment.
        command: how the user named it.
    """
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
            launcher=launcher(options),
            only=options.only,
            # How fast this machine is says nothing of a cluster.
            forecast=options.full and options.launcher == "local",
        )


def launcher(options: RunOptions) -> "Launcher":
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


def load(path: Path) -> ModuleType:
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
