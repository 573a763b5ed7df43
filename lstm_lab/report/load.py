"""Run directories as the report sees them: plain JSON, checked once, here.

A report is often made while a sweep is running, or after one has crashed. A file that is missing,
torn or of another shape therefore makes one row among the trials without a result, with the reason;
everything past this module may rely on the shapes in it.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lstm_lab.claims import Claim
from lstm_lab.errors import DataError, LabError, one_line
from lstm_lab.files import check_name
from lstm_lab.report.schema import check
from lstm_lab.rundir import read_metrics


@dataclass(frozen=True)
class Trial:
    """One trial of an experiment, finished or not.

    Args:
        id: name of its directory.
        model: label of its model; empty where nothing on disk says.
        task: label of its task; empty where nothing on disk says.
        status: "finished", or what stopped it.
        reason: why there is no result; empty where there is one.
        result: contents of `result.json`; empty unless finished.
        rows: contents of `metrics.jsonl`, rows that could be read.
    """

    id: str
    model: str = ""
    task: str = ""
    status: str = "unfinished"
    reason: str = "no result yet: run the command again to go on"
    result: dict[str, Any] = field(default_factory=dict)
    rows: tuple[dict[str, Any], ...] = ()

    def curve(self, metric: str, split: str = "validation") -> tuple[np.ndarray, np.ndarray]:
        """Read off a learning curve.

        A seed that stopped early keeps its last value: were it dropped, the median would fall as
        soon as the good seeds are done.

        Args:
            metric: name of the column.
            split: "train" or "validation".

        Returns:
            Steps [K] and values [S, K], NaN before a seed's first row; both empty without rows.
        """
        points = {
            (row["seed"], row["step"]): float(row[metric])
            for row in self.rows
            if row.get("split") == split and isinstance(row.get(metric), int | float)
        }
        seeds, steps = (sorted({key[axis] for key in points}) for axis in (0, 1))
        values = np.full((len(seeds), len(steps)), math.nan)
        for row, seed in enumerate(seeds):
            for column, step in enumerate(steps):
                before = values[row, column - 1] if column else math.nan
                values[row, column] = points.get((seed, step), before)
        return np.array(steps), values


@dataclass(frozen=True)
class Run:
    """One experiment on disk.

    Args:
        name: name of its directory.
        experiment: its definition, as JSON.
        command: the command that runs it again.
        claims: the claims that could be read.
        trials: its trials, in the order in which they were defined.
        unreadable: reasons why parts of the definition could not be read.
    """

    name: str
    experiment: dict[str, Any]
    command: str
    claims: tuple[Claim, ...]
    trials: tuple[Trial, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def results(self) -> list[dict[str, Any]]:
        """Results of the finished trials, in order."""
        return [trial.result for trial in self.trials if trial.result]

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What :func:`lstm_lab.claims.judge` takes: results, and labels where there is none."""
        return [t.result or {"model": t.model, "task": t.task} for t in self.trials]


def read(out_dir: Path) -> tuple[Run, ...]:
    """Read every experiment under a directory.

    Args:
        out_dir: the directory that holds one directory per experiment.

    Returns:
        The experiments, by name.

    Raises:
        DataError: there is no experiment in it.
    """
    folders = sorted(path.parent for path in out_dir.glob("*/experiment.json"))
    if not folders:
        raise DataError(
            f"no runs: {out_dir}: run an experiment into it first, "
            "such as `lstm-lab run experiments/long_range.py`"
        )
    return tuple(_run(folder) for folder in folders)


def _run(folder: Path) -> Run:
    unreadable: list[str] = []
    try:
        index = _object(folder / "experiment.json")
    except ValueError as error:
        index = {}
        unreadable.append(one_line(error))
    experiment = index.get("experiment")
    experiment = experiment if isinstance(experiment, dict) else {}
    claims = []
    listed = experiment.get("claims")
    for entry in listed if isinstance(listed, list) else ():
        try:
            claims.append(Claim(**{key: entry[key] for key in entry if key != "type"}))
        except (LabError, TypeError) as error:
            unreadable.append(one_line(f"claim {entry!r}: {error}"))
    begun = index.get("trials")
    planned = dict(map(_planned, begun)) if isinstance(begun, list) else {}
    found = sorted(path.name for path in folder.iterdir() if (path / "config.json").exists())
    planned = {**planned, **{name: ("", "") for name in found if name not in planned}}
    trials = tuple(_trial(folder, name, labels, unreadable) for name, labels in planned.items())
    command = str(index.get("command") or "")
    return Run(folder.name, experiment, command, tuple(claims), trials, tuple(unreadable))


def _planned(entry: object) -> tuple[str, tuple[str, str]]:
    """Id of a trial, and its labels: with them, a claim knows of what has not begun."""
    if isinstance(entry, dict):
        return str(entry.get("id")), (str(entry.get("model", "")), str(entry.get("task", "")))
    return str(entry), ("", "")


def _trial(folder: Path, name: str, labels: tuple[str, str], unreadable: list[str]) -> Trial:
    # The names come from a file: only a plain child of the folder is ever opened.
    try:
        check_name(name)
    except LabError as error:
        return Trial(name, *labels, status="unreadable", reason=str(error))
    place = folder / name
    rows = tuple(_rows(place / "metrics.jsonl", unreadable))
    try:
        if (place / "result.json").exists():
            result = _object(place / "result.json")
            check(result)
            return Trial(name, result["model"], result["task"], "finished", "", result, rows)
    except ValueError as error:
        reason = one_line(f"{error}: delete result.json and run the command again")
        return Trial(name, *_labels(place, labels), status="unreadable", reason=reason)
    labels = _labels(place, labels)
    try:
        failure = _object(place / "failure.json")
        status, reason = failure.get("status", "failed"), failure.get("reason", "not recorded")
        return Trial(name, *labels, str(status), str(reason))
    except ValueError:
        return Trial(name, *labels)


def _labels(place: Path, planned: tuple[str, str]) -> tuple[str, str]:
    """Say whose trial it is, from whatever was written before the result."""
    for file in ("failure.json", "config.json", "result.json"):
        try:
            data = _object(place / file)
        except ValueError:
            continue
        model, task = data.get("model"), data.get("task")
        if isinstance(model, str) and isinstance(task, str):
            return model, task
    return planned


def _object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path.name}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name}: not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path.name}: got {type(data).__name__}, wanted an object")
    return data


def _rows(path: Path, unreadable: list[str]) -> Iterator[dict[str, Any]]:
    try:
        rows: list[Any] = read_metrics(path)
    except (LabError, OSError, RecursionError) as error:
        unreadable.append(one_line(f"{path.parent.name}: no learning curve: {error}"))
        return
    for row in rows:
        if isinstance(row, dict) and all(isinstance(row.get(key), int) for key in ("seed", "step")):
            yield row
