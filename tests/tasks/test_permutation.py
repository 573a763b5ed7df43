"""A random order, asked for place by place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.tasks.permutation import permuted


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 17, 64, 65, 1000])
def test_every_number_stands_at_one_place(count: int) -> None:
    order = permuted(jax.random.key(3), jnp.arange(count), count)
    assert sorted(order.tolist()) == list(range(count))


def test_a_place_is_asked_for_by_itself() -> None:
    whole = permuted(jax.random.key(0), jnp.arange(100), 100)
    some = jnp.array([7, 99, 0], jnp.int32)
    assert permuted(jax.random.key(0), some, 100).tolist() == whole[some].tolist()


def test_orders_look_random() -> None:
    """Over many keys, every number is as often at a place as any other, and neighbours go apart."""
    keys = jax.random.split(jax.random.key(1), 4000)
    orders = np.asarray(jax.vmap(lambda key: permuted(key, jnp.arange(10), 10))(keys))
    counts = np.stack([np.bincount(column, minlength=10) for column in orders.T])
    # 100 counts of a binomial(4000, 0.1), standard deviation 19: five of them.
    assert np.abs(counts - 400).max() < 95
    # Of a random order, a number is followed by the next higher with probability 1/10.
    followed = np.mean(np.diff(orders, axis=1) == 1)
    assert abs(followed - 0.1) < 0.005
