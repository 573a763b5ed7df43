"""What the tests of noise inside a step run under."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(scope="module")
def double_precision() -> Iterator[None]:
    """As in the cells' contract suite: small differences are errors, small programs compile unoptimised."""
    jax.config.update("jax_disable_most_optimizations", True)
    with jax.enable_x64(True):
        yield
    jax.config.update("jax_disable_most_optimizations", False)
