"""Discovery: a room's inhabitants are the concrete classes its files define.

There is no registry to keep: dropping a file into a room's folder is enough to have it listed, tested by
its room's contract, reloaded from a run directory and offered by the command line.
"""

import importlib
import inspect
import pkgutil
from typing import Any


def subclasses(package_name: str, base: type) -> tuple[type[Any], ...]:
    """Import every module of a package and collect the concrete subclasses defined there.

    Args:
        package_name: dotted name, such as `"lstm_lab.cells"`.
        base: the class they share; itself and abstract classes are left out.

    Returns:
        The classes, sorted by name.
    """
    package = importlib.import_module(package_name)
    found = set()
    for module_info in pkgutil.iter_modules(package.__path__, package_name + "."):
        module = importlib.import_module(module_info.name)
        for member in vars(module).values():
            if (
                inspect.isclass(member)
                and issubclass(member, base)
                and member.__module__ == module.__name__
                and not inspect.isabstract(member)
            ):
                found.add(member)
    return tuple(sorted(found, key=lambda cls: cls.__name__))


def rooms() -> dict[str, tuple[type[Any], ...]]:
    """Collect everything an experiment can be made of.

    Returns:
        The classes of each room by its name in `lstm-lab list`.
    """
    from lstm_lab.cells.base import Cell
    from lstm_lab.cells.initial import Initialiser
    from lstm_lab.layers.base import Block
    from lstm_lab.probe.base import Probe
    from lstm_lab.tasks.base import Task
    from lstm_lab.unroll.base import Schedule

    return {
        "cells": subclasses("lstm_lab.cells", Cell),
        "initialisers": subclasses("lstm_lab.cells", Initialiser),
        "layers": subclasses("lstm_lab.layers", Block),
        # Some are cells around a cell, one is a penalty: they have no base in common.
        "regularisers": subclasses("lstm_lab.regularisers", object),
        "tasks": subclasses("lstm_lab.tasks", Task),
        "schedules": subclasses("lstm_lab.unroll", Schedule),
        "probes": subclasses("lstm_lab.probe", Probe),
    }
