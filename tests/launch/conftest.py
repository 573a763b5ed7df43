"""What the tests with processes elsewhere run under."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch.jobs import at_most


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Processes find the lab and use one core, wherever the tests run; no test takes for ever."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("LSTM_LAB_CPU_DEVICES", "1")
    with at_most(400):
        yield
