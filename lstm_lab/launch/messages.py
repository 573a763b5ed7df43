"""What is said between whoever launches a group and the process that runs it: JSON, and nothing else.

A request is `{"trials": [...], "parent": ..., "terms": {...}}`. An outcome is the exit code and message of an
error, or null where there is a result on the disk.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lstm_lab.config import from_json, to_json
from lstm_lab.errors import LabError, StorageError, UsageError
from lstm_lab.launch.base import Group, Outcome, Terms
from lstm_lab.trial import Trial


def check(trial: Trial) -> None:
    """Refuse what another process could not rebuild from its picture.

    Args:
        trial: what is to run there.

    Raises:
        UsageError: it is made of a class that no file of lstm_lab defines.
    """
    try:
        same = from_json(to_json(trial)) == trial
    except LabError:
        same = False
    if not same:
        raise UsageError(
            f"jobs: {trial.model.label} on {trial.task.label}: is made of a class that other processes do "
            "not know: put its file into lstm_lab, or give --jobs 1 and no --launcher"
        )


def request(group: Group, parent: Path, terms: Terms) -> dict[str, Any]:
    """Ask for a group to be run.

    Args:
        group: of equal `program_key`.
        parent: the directory that holds the trials' own.
        terms: how.
    """
    # Whoever is asked may have started in another directory.
    cache = str(terms.cache.absolute()) if terms.cache else None
    return {
        "trials": [to_json(trial) for trial in group],
        "parent": str(parent.absolute()),
        "terms": {**asdict(terms), "cache": cache},
    }


def read_request(asked: dict[str, Any]) -> tuple[Group, Path, Terms]:
    """What a request asks for: `request`, backwards."""
    given = asked["terms"]
    terms = Terms(**{**given, "cache": Path(given["cache"]) if given["cache"] else None})
    return [from_json(trial) for trial in asked["trials"]], Path(asked["parent"]), terms


def reply(outcomes: Sequence[Outcome]) -> list[dict[str, Any] | None]:
    """Tell what became of a group's trials, in their order."""
    return [
        {"code": outcome.exit_code, "reason": str(outcome)}
        if isinstance(outcome, LabError)
        else None
        for outcome in outcomes
    ]


def read_reply(told: dict[str, Any] | None, directory: Path) -> Outcome:
    """What a reply says of one trial.

    Args:
        told: one of `reply`.
        directory: the trial's own.

    Raises:
        StorageError: it could not write, and neither will the others.
    """
    if told is None:
        result: dict[str, Any] = json.loads((directory / "result.json").read_text("utf-8"))
        return result
    if told["code"] == StorageError.exit_code:
        raise StorageError(told["reason"])
    error = LabError(told["reason"])
    error.exit_code = told["code"]
    return error
