"""What every test runs under: two CPU devices, strict types, no network, repeatable numbers."""

import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

# XLA's CPU kernels split sums by thread count, so the last bits depend on it: one thread makes a
# test give the same numbers on every machine. It is read once, when JAX starts; child processes
# inherit it. Set NPROC yourself to test another count.
os.environ.setdefault("NPROC", "1")
# Compiling is most of what the tests do, and takes half as long without these; newer releases have no such switch.
if version("jaxlib") < "0.11":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
# Small programs compile sooner when left unoptimised, those of child processes too; what is about the optimised one
# asks for `optimised`.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
# `datasets` reads this when it is imported; without it a forgotten hub name waits on the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Where real data lie beside the repository, the tests that read them are run; elsewhere they are skipped.
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
if DATA.is_dir():
    os.environ.setdefault("LSTM_LAB_DATA", str(DATA))
# Keras looks for TensorFlow unless told, and a parity test would then skip for the wrong reason.
os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import pytest
from hypothesis import settings

from lstm_lab import compiled
from lstm_lab.devices import compile_small_loops_whole

# As every command does; here, so that no test changes what those after it run under.
compile_small_loops_whole()
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")

# Kept at once; they take about a megabyte each.
MOST_PROGRAMS = 700

# A first example compiles, so its time says nothing; derandomised, a failure is the same for all.
settings.register_profile("lab", deadline=None, max_examples=20, derandomize=True)
settings.load_profile("lab")


@pytest.fixture(scope="module")
def optimised() -> Iterator[None]:
    """Compile as outside the tests."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="module")
def double_precision() -> Iterator[None]:
    """For tests in which small differences are errors."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets: `LSTM_LAB_DATA`, or `../shared/data` beside the repository."""
    folder = Path(os.environ.get("LSTM_LAB_DATA", DATA))
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}: set LSTM_LAB_DATA to a folder that has it")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each file to one worker, and in the suites over all cells each cell: they share what they compile."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        cell = parameters.get("cell")
        shared = item.path.name if cell is None else f"{item.path.parent} {type(cell).__name__}"
        item.add_marker(pytest.mark.xdist_group(shared))


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Forget what is compiled between files, before a worker holds gigabytes of it."""
    kept = len(jax.devices()[0].client.live_executables())
    if kept > MOST_PROGRAMS and (nextitem is None or nextitem.path != item.path):
        compiled.forget()
        jax.clear_caches()
