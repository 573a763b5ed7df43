"""What all tests of the command line share."""

from pathlib import Path

import pytest

from lstm_lab.cli import execute

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments"
Capture = pytest.CaptureFixture[str]


def refusal(words: list[str], code: int, capsys: Capture) -> str:
    """Run what must be refused, and return the one line that says why."""
    capsys.readouterr()
    assert execute(words) == code
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in out + err
    return err
