"""Discovery: a room's inhabitants are the concrete classes its files define.

There is no registry to keep: dropping a file into `cells/`, `layers/`, `tasks/`, `unroll/` or `probe/` is
enough to have it listed, contract-tested, reloaded from a run directory and offered by the command line.
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
