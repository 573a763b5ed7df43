"""Every cell there is, in every variant its own `Literal` fields name: no table to keep."""

import dataclasses
import itertools
from typing import Any, Literal, get_args, get_origin, get_type_hints

import jax
import jax.numpy as jnp

from lstm_lab.cells.base import Cell
from lstm_lab.cells.initial import Initialiser
from lstm_lab.discover import subclasses
from lstm_lab.errors import UsageError

INITIALISERS = subclasses("lstm_lab.cells", Initialiser)


def variants(cls: type) -> list[Any]:
    """All combinations of a frozen dataclass' `Literal` and bool fields that it accepts, and the default
    with every other initialiser in turn."""
    hints = get_type_hints(cls)
    choices: dict[str, tuple[Any, ...]] = {}
    for field in dataclasses.fields(cls):
        if get_origin(hints[field.name]) is Literal:
            choices[field.name] = get_args(hints[field.name])
        elif hints[field.name] is bool:
            choices[field.name] = (False, True)
    made = []
    for values in itertools.product(*choices.values()):
        try:
            made.append(cls(**dict(zip(choices, values, strict=True))))
        except UsageError:  # the class refuses this combination
            continue
    default = cls()
    for key, hint in hints.items():
        if isinstance(hint, type) and issubclass(hint, Initialiser):
            others = (kind() for kind in INITIALISERS if issubclass(kind, hint))
            made += [cls(**{key: other}) for other in others if other != getattr(default, key)]
    return made


def everything(package: str, base: type) -> list[Any]:
    """All variants of every concrete class of a package."""
    return [variant for cls in subclasses(package, base) for variant in variants(cls)]


def _program(cell: Cell) -> str:
    """What one step computes once the parameters are drawn, as text."""

    def step(params: Any, x: jax.Array) -> Any:
        params = cell.prepare(params)
        carry = cell.carry(params, 1)
        return cell.gates(params, carry, cell.project(params, x), cell.recur(params, carry))

    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), 2, 3))
    return str(jax.make_jaxpr(step)(params, jax.ShapeDtypeStruct((1, 2), jnp.float32)))


def distinct(cells: list[Cell]) -> list[Cell]:
    """The first cell of each different step: how parameters are drawn makes no other step."""
    found: dict[Any, Cell] = {}
    for cell in cells:
        found.setdefault((type(cell), _program(cell)), cell)
    return list(found.values())


def first_of_each(cells: list[Cell]) -> list[Cell]:
    """The first variant of every class."""
    found: dict[type, Cell] = {}
    for cell in cells:
        found.setdefault(type(cell), cell)
    return list(found.values())


CELLS: list[Cell] = everything("lstm_lab.cells", Cell)
STEPS: list[Cell] = distinct(CELLS)


def name(value: Any) -> str:
    """A readable test id: the class and the fields that differ from their defaults."""
    set_ = [
        f"{f.name}={getattr(value, f.name)}"
        for f in dataclasses.fields(value)
        if getattr(value, f.name) != f.default
    ]
    return "-".join([type(value).__name__, *set_])
