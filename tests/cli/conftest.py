"""The command line as it is in a process of its own."""

import pytest


@pytest.fixture(autouse=True)
def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as conftest has made: a process cannot change its mind."""
    monkeypatch.setenv("LSTM_LAB_CPU_DEVICES", "2")
