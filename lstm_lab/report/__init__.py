"""Run directories become one HTML page and one JSON file with the same numbers. Imports no JAX."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lstm_lab.claims import judge
from lstm_lab.files import write_json, writing
from lstm_lab.report.load import Run, read
from lstm_lab.report.numbers import over_seeds
from lstm_lab.report.page import images, page

__all__ = ["write_report"]


def write_report(
    out_dir: str | os.PathLike[str], figures: str | os.PathLike[str] | None = None
) -> Path:
    """Write `report.html` and `report.json` beside the experiments they tell of.

    Args:
        out_dir: directory that holds one directory per experiment.
        figures: directory that also gets every chart as an SVG file; made where missing.

    Returns:
        The path of the page.

    Raises:
        DataError: there is no experiment in the directory.
        StorageError: the files cannot be written.
    """
    folder = Path(out_dir)
    runs = read(folder)
    findings = [(run, judge(claim, run.entries)) for run in runs for claim in run.claims]
    record = {
        "experiments": [_record(run) for run in runs],
        "claims": [{"experiment": run.name, **asdict(finding)} for run, finding in findings],
    }
    write_json(folder / "report.json", record)
    _write(folder / "report.html", page(runs, findings))
    if figures is not None:
        with writing(Path(figures)):
            Path(figures).mkdir(parents=True, exist_ok=True)
        for run in runs:
            for name, document in images(run).items():
                _write(Path(figures) / name, document)
    return folder / "report.html"


def _record(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "experiment": run.experiment,
        "command": run.command,
        "unreadable": run.unreadable,
        "trials": [
            {
                "id": trial.id,
                "model": trial.model,
                "task": trial.task,
                "status": trial.status,
                "reason": trial.reason,
                "summary": {
                    metric: asdict(over_seeds(column))
                    for metric, column in trial.result.get("final", {}).items()
                },
                "result": trial.result,
            }
            for trial in run.trials
        ],
    }


def _write(path: Path, text: str) -> None:
    """Replace a file in one step: a reader sees the old page or the new one, never half of one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
