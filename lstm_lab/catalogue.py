"""What the lab holds: every cell, layer, task, schedule and probe, with its fields and their defaults."""

import dataclasses
import inspect
from typing import Any

from lstm_lab.config import to_json
from lstm_lab.discover import subclasses


def catalogue() -> dict[str, list[dict[str, Any]]]:
    """Collect the inhabitants of the five rooms.

    Returns:
        For each of "cells", "layers", "tasks", "schedules" and "probes" a list of entries with
        "name", "summary" (the first line of its docstring) and "fields" (defaults by name).
    """
    from lstm_lab.cells.base import Cell
    from lstm_lab.layers.base import Block
    from lstm_lab.probe.base import Probe
    from lstm_lab.tasks.base import Task
    from lstm_lab.unroll.base import Schedule

    rooms: dict[str, tuple[str, type]] = {
        "cells": ("cells", Cell),
        "layers": ("layers", Block),
        "tasks": ("tasks", Task),
        "schedules": ("unroll", Schedule),
        "probes": ("probe", Probe),
    }
    return {
        title: [_entry(cls) for cls in subclasses(f"lstm_lab.{room}", base)]
        for title, (room, base) in rooms.items()
    }


def _entry(cls: type) -> dict[str, Any]:
    default = cls()
    return {
        "name": cls.__name__,
        "summary": (inspect.getdoc(cls) or "").partition("\n")[0],
        "fields": {f.name: to_json(getattr(default, f.name)) for f in dataclasses.fields(cls)},
    }
