"""What each command of `lstm-lab` takes: a value per command, whose fields are its options and docstring its help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


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
        jobs: trials that run at once, each in a process with its share of the cores; 0 for one per core. 1, as
            where not given, stays in this process and gives it all of them. On a cluster: the jobs that are there at
            once, without a limit where not given or 0.
        launcher: where trials run: this machine, or a cluster that shares OUT with it.
        resources: what each job asks the cluster for, KEY=VALUE ...: submitit's parameters for SLURM, such as
            timeout_min=60 cpus_per_task=4 slurm_partition=long; for Ray those of its tasks, such as num_cpus=4.
        time_limit: seconds after which a trial is stopped and the next one begins; none where not given.
        only: those trials alone whose id contains this.
        data_dir: directory with the files of tasks that need some; LSTM_LAB_DATA where not given.
    """

    out: Path = Path("runs")
    full: bool = False
    smoke: bool = False
    save_every: float = 60.0
    allow_nonbitwise: bool = False
    cache: Path | None = None
    jobs: int | None = None
    launcher: Literal["local", "slurm", "ray"] = "local"
    resources: tuple[str, ...] = ()
    time_limit: float | None = None
    only: str = ""
    data_dir: Path | None = None


@dataclass(frozen=True)
class GenerateOptions:
    """Continue a prompt with a trained network, symbol by symbol.

    Attributes:
        prompt: what to continue; - for what is on stdin.
        length: symbols to write, at most.
        temperature: 0 takes the likeliest symbol, 1 draws as the network predicts; 0.8 where not given.
        top_k: draw among the k likeliest symbols only.
        top_p: draw among the likeliest symbols that together reach this probability.
        min_p: draw among the symbols at least this many times as likely as the likeliest.
        typical: draw among the symbols of nearly average surprise that together reach this probability.
        repetition: by how much to reduce the logits of symbols that were there before, such as 1.2.
        beam: follow so many texts at once and write the likeliest, in place of drawing.
        samples: texts to write, in one batch.
        stop: strings at which a text ends.
        novelty: say on stderr how much of the text is copied from what was trained on, and of unseen text;
            needs the corpus, as nothing else does.
        seed: of the draw; the same seed writes the same text.
        weights: the network's best on held-out text, or its last.
        of_seed: which of the run's seeds writes.
    """

    prompt: str = "\n"
    length: int = 500
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical: float | None = None
    repetition: float = 1.0
    beam: int | None = None
    samples: int = 1
    stop: tuple[str, ...] = ()
    novelty: bool = False
    seed: int = 0
    weights: Literal["best", "last"] = "best"
    of_seed: int = 0


@dataclass(frozen=True)
class ExportOptions:
    """Write a trained network into a folder that another machine can use, with lstm_lab or without.

    Attributes:
        weights: the network's best on held-out data, or its last.
        of_seed: which of the run's seeds.
        platforms: where the compiled step is to run: cpu, cuda, rocm, tpu.
        to: also write the weights as another framework lays them out: pytorch.
        force: replace what an earlier export wrote into the folder.
    """

    weights: Literal["best", "last"] = "best"
    of_seed: int = 0
    platforms: tuple[Literal["cpu", "cuda", "rocm", "tpu"], ...] = ("cpu", "cuda", "tpu")
    to: Literal["pytorch"] | None = None
    force: bool = False


@dataclass(frozen=True)
class PlayOptions:
    """Open a page on this machine to write with a trained network, and to see its state at every symbol.

    Attributes:
        port: of 127.0.0.1, where the page is; 0 for any that is free.
        open: open it in the browser, too.
        weights: the network's best on held-out text, or its last.
        of_seed: which of the run's seeds writes.
    """

    port: int = 8765
    open: bool = False
    weights: Literal["best", "last"] = "best"
    of_seed: int = 0


@dataclass(frozen=True)
class InspectOptions:
    """Write a page that shows how a trained network reads a text, symbol by symbol, and which units track what.

    Attributes:
        text: what it reads; - for what is on stdin; the beginning of the run's held-out text where not given.
        file: a file of text that it reads instead.
        out: where the page goes; inspect.html in the run directory where not given.
        weights: the network's best on held-out text, or its last.
        of_seed: which of the run's seeds reads.
    """

    text: str | None = None
    file: Path | None = None
    out: Path | None = None
    weights: Literal["best", "last"] = "best"
    of_seed: int = 0


@dataclass(frozen=True)
class ReportOptions:
    """Write report.html and report.json into a directory of runs, from what they hold.

    Attributes:
        figures: directory that also gets every chart as an SVG file.
        format: further files to write beside the page, by commas: md, csv, parquet.
        tensorboard: directory that also gets every learning curve, as event files; needs tensorboardX.
    """

    figures: Path | None = None
    format: str = ""
    tensorboard: Path | None = None


@dataclass(frozen=True)
class FetchOptions:
    """Take a data set's files from the Hugging Face hub; what is there is not fetched again.

    Attributes:
        data_dir: directory they go to; LSTM_LAB_DATA where not given.
    """

    data_dir: Path | None = None


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
