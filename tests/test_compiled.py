"""One program for equal work, and never one for arguments it was not compiled for."""

import jax.numpy as jnp
import numpy as np

from lstm_lab import compiled
from lstm_lab.compiled import Compiler


def test_an_argument_that_is_not_used_still_counts() -> None:
    """Two networks that differ in their heads alone are the same program to a probe of their states."""
    compiled.forget()
    for unused in (2, 3, 2):
        given = {"read": jnp.arange(4.0), "unread": jnp.zeros(unused)}
        found = Compiler().call("state", lambda given: given["read"] + 1, given)
        np.testing.assert_array_equal(found, np.arange(1.0, 5.0))
    assert len(compiled._programs) == 2
