"""What the lab holds, room by room, with the fields of each class and their defaults."""

import dataclasses
import inspect
from typing import Any

from lstm_lab.config import to_json
from lstm_lab.discover import rooms


def catalogue() -> dict[str, list[dict[str, Any]]]:
    """Collect the inhabitants of the rooms.

    Returns:
        For each room, such as "cells" or "schedules", a list of entries with "name",
        "summary" (the first line of its docstring) and "fields" (defaults by name).
    """
    return {title: [_entry(cls) for cls in classes] for title, classes in rooms().items()}


def _entry(cls: type) -> dict[str, Any]:
    default = cls()
    return {
        "name": cls.__name__,
        "summary": (inspect.getdoc(cls) or "").partition("\n")[0],
        "fields": {f.name: to_json(getattr(default, f.name)) for f in dataclasses.fields(cls)},
    }
