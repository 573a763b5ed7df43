"""What a process of the benchmark says of itself."""

import subprocess
import sys
from pathlib import Path

import pytest

MIB = 2**20
# Arrays too small to have pages of their own; the one made last keeps what lies below it from being given back.
SMALL = f"""
from lstm_lab.bench.worker import most_resident
kept = []
def call():
    arrays = [bytearray(64 * 1024) for _ in range(32 * 16)]
    kept.append(bytearray(64 * 1024))
call()
print((most_resident(call) or 0) / {MIB})
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells it")
def test_memory_that_the_last_call_left_free_counts_as_needed() -> None:
    said = subprocess.run([sys.executable, "-c", SMALL], capture_output=True, text=True, check=True)
    assert 30 <= float(said.stdout) <= 40
