"""A new cell is one new file: proved by dropping one in, in a copy of the project."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEAKY = '''"""A leaky integrator: h_t = a h_{t-1} + W x_t, one fixed rate a for all units."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_lab.cells.base import LinearCell, check_sizes, uniform


class LeakyParams(NamedTuple):
    W: jax.Array


class LeakyCarry(NamedTuple):
    h: jax.Array


@dataclass(frozen=True)
class Leaky(LinearCell):
    """A leaky integrator.

    Attributes:
        rate: a.
    """

    rate: float = 0.5

    def init(self, key, d_in, d_hidden):
        check_sizes(d_in, d_hidden)
        return LeakyParams(uniform(key, (d_in, d_hidden), d_hidden))

    def carry(self, params, batch):
        return LeakyCarry(jnp.zeros((batch, params.W.shape[1]), params.W.dtype))

    def project(self, params, x):
        return x @ params.W

    def coefficients(self, params, z):
        return LeakyCarry(jnp.full_like(z, self.rate)), LeakyCarry(z)
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with one file more."""
    copy = tmp_path_factory.mktemp("project")
    for folder in ("lstm_lab", "tests", "experiments"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / "lstm_lab" / "cells" / "leaky.py").write_text(LEAKY)
    return copy


def python(project: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lab(project: Path, *words: str) -> str:
    return python(project, "-c", "from lstm_lab.cli import main; main()", *words)


def test_it_is_listed(project: Path) -> None:
    cells = {cell["name"]: cell for cell in json.loads(lab(project, "list", "--json"))["cells"]}
    assert cells["Leaky"]["fields"] == {"rate": 0.5}


def test_it_is_held_to_the_contract(project: Path) -> None:
    said = python(
        project, "-m", "pytest", "-q", "tests/cells/test_contract.py", "-k", "Leaky", "-m", ""
    )
    assert int(said.split(" passed")[0].split()[-1]) > 15


def test_it_runs_by_name(project: Path) -> None:
    words = ("--cells", "leaky", "--smoke", "--out", "out")
    said = lab(project, "run", "experiments/bidirectional.py", *words)
    assert "Leaky on Future tag" in said
