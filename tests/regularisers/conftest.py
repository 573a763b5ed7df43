"""What the tests of regularisers run under: small programs compile sooner when left unoptimised."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def unoptimised() -> Iterator[None]:
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def double_precision() -> Iterator[None]:
    """For tests in which small differences are errors."""
    with jax.enable_x64(True):
        yield
