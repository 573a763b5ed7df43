"""Optimiser settings are what they say: downhill, clipped, on schedule, and refused where idle."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lstm_lab.errors import UsageError
from lstm_lab.optimizer import Optimizer


def updates(optimizer: Optimizer, gradients: list[Any], steps: int = 10) -> list[np.ndarray]:
    """The updates that a row of gradients turns into, at parameters of one."""
    chain = optimizer.chain(steps)
    params = jnp.ones_like(jnp.asarray(gradients[0], jnp.float32))
    state, made = chain.init(params), []
    with jax.numpy_dtype_promotion("standard"):
        for gradient in gradients:
            update, state = chain.update(jnp.asarray(gradient, jnp.float32), state, params)
            made.append(np.asarray(update))
    return made


def rates(optimizer: Optimizer, count: int, steps: int = 10) -> list[float]:
    return [-float(update[0]) for update in updates(optimizer, [[1.0]] * count, steps)]


@pytest.mark.parametrize("method", ["adam", "adamw", "rmsprop", "sgd", "asgd"])
def test_every_method_steps_downhill(method: Any) -> None:
    chain = Optimizer(method, learning_rate=0.05).chain(30)
    params = jnp.array([1.0, -2.0])
    state = chain.init(params)
    before = float(jnp.sum(params**2))
    with jax.numpy_dtype_promotion("standard"):
        for step in range(30):
            update, state = chain.update(2 * params, state, params)
            params = optax.apply_updates(params, update)
            if step == 0:
                assert float(jnp.sum(params**2)) < before
    assert float(jnp.sum(params**2)) < before / 2


def test_clipping_bounds_the_update_and_none_does_not() -> None:
    gradient = [300.0, -400.0]
    (clipped,) = updates(Optimizer("sgd", learning_rate=0.1, clip=2.0), [gradient])
    np.testing.assert_allclose(clipped, [-0.12, 0.16], rtol=1e-6)
    (free,) = updates(Optimizer("sgd", learning_rate=0.1, clip=0), [gradient])
    np.testing.assert_allclose(free, [-30.0, 40.0], rtol=1e-6)
    (small,) = updates(Optimizer("sgd", learning_rate=0.1, clip=2.0), [[0.3, 0.4]])
    np.testing.assert_allclose(small, [-0.03, -0.04], rtol=1e-6)


def test_momentum_and_weight_decay_act() -> None:
    first, second = updates(Optimizer("sgd", learning_rate=1.0, momentum=0.5), [[1.0], [1.0]])
    assert (first[0], second[0]) == (-1.0, -1.5)
    for method in ("adamw", "asgd"):
        (decayed,) = updates(Optimizer(method, learning_rate=0.1, weight_decay=0.5), [[0.0]])
        np.testing.assert_allclose(decayed, [-0.05], rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "steps", "wanted"),
    [
        ({}, 10, [1.0, 1.0, 1.0]),
        ({"warmup": 3}, 10, [0.25, 0.5, 0.75, 1.0, 1.0]),
        ({"decay": "cosine"}, 4, [(1 + math.cos(math.pi * k / 4)) / 2 for k in range(5)]),
        ({"decay": "cosine", "warmup": 1}, 3, [0.5, 1.0, 0.5, 0.0]),
        ({"decay": "step", "decay_every": 2}, 10, [1.0, 1.0, 0.5, 0.5, 0.25]),
        (
            {"decay": "step", "decay_every": 1, "decay_factor": 0.1, "warmup": 1},
            10,
            [0.5, 1.0, 0.1],
        ),
    ],
)
def test_the_learning_rate_of_each_step(
    settings: dict[str, Any], steps: int, wanted: list[float]
) -> None:
    optimizer = Optimizer("sgd", learning_rate=1.0, **settings)
    np.testing.assert_allclose(rates(optimizer, len(wanted), steps), wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"clip": math.inf}, "clip"),
        ({"warmup": -1}, "warmup"),
        ({"method": "sgd", "momentum": 1.0}, "momentum"),
        ({"method": "adam", "momentum": 0.9}, "momentum"),
        ({"method": "sgd", "weight_decay": 0.1}, "weight_decay"),
        ({"method": "asgd", "momentum": 0.9}, "momentum"),
        ({"nonmonotone": 0}, "nonmonotone"),
        ({"decay": "step"}, "decay_every"),
        ({"decay_every": 5}, "decay_every"),
        ({"decay": "step", "decay_every": 5, "decay_factor": 1.5}, "decay_factor"),
    ],
)
def test_settings_out_of_range_or_without_use_are_refused(
    settings: dict[str, Any], name: str
) -> None:
    with pytest.raises(UsageError, match=rf"^optimizer\.{name}: "):
        Optimizer(**settings)
