"""Dropping a file into a folder is all it takes to be found."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from lstm_lab.cells.base import Cell
from lstm_lab.discover import subclasses


class Animal(ABC):
    """The base of what the temporary package holds."""

    @abstractmethod
    def sound(self) -> str: ...


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable package of its own, forgotten afterwards."""
    folder = tmp_path / "farm"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "animal", sys.modules[__name__])
    yield folder
    for module in [m for m in sys.modules if m.partition(".")[0] == "farm"]:
        del sys.modules[module]


def write(folder: Path, module: str, *lines: str) -> None:
    (folder / f"{module}.py").write_text("\n".join(["from animal import Animal", *lines, ""]))


COW = ("class Cow(Animal):", "    def sound(self): return 'moo'")


def test_a_new_file_is_found_without_telling_anybody(farm: Path) -> None:
    assert subclasses("farm", Animal) == ()
    write(farm, "cow", *COW)
    (found,) = subclasses("farm", Animal)
    assert (found.__name__, found().sound()) == ("Cow", "moo")


def test_order_is_by_name_whatever_the_files_are_called(farm: Path) -> None:
    write(farm, "a", *[line.replace("Cow", "Zebu") for line in COW])
    write(farm, "b", *[line.replace("Cow", "Ant") for line in COW])
    assert [cls.__name__ for cls in subclasses("farm", Animal)] == ["Ant", "Zebu"]


def test_abstract_imported_and_unrelated_classes_are_left_out(farm: Path) -> None:
    write(farm, "cow", *COW, "class Mammal(Animal): pass", "class Tractor: pass")
    write(farm, "herd", "from farm.cow import Cow")
    assert [cls.__name__ for cls in subclasses("farm", Animal)] == ["Cow"]


def test_a_new_cell_file_is_a_cell(farm: Path) -> None:
    source = Path(sys.modules[Cell.__module__].__file__ or "").parent / "elman.py"
    (farm / "renamed.py").write_text(source.read_text().replace("class Elman(", "class Renamed("))
    (found,) = subclasses("farm", Cell)
    assert found().label.startswith("Elman")
