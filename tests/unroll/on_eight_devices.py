"""Run readings laid over eight devices, and print how far each is from the same reading on one.

A process of its own, because the number of devices is fixed when JAX starts: JAX_NUM_CPU_DEVICES=8. Each
argument is a case, `CELL,SCHEDULE,KIND` by class names, where a schedule may have one setting, and a kind the word
`large` or `even`: `GRU,Sequential:remat=4,shard_map`, `LSTM,Sequential,auto:large`.
"""

import json
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from lstm_lab.bench.schedules import difference
from lstm_lab.cells.base import Cell, Params
from lstm_lab.config import known
from lstm_lab.unroll import Schedule, unroll

T, D = 6, 2
# B and H. Of the large, products are turned, each device's rows filled up by themselves (`unroll/turned.py`); of the
# even ones there is nothing to fill.
SIZES = {"": (16, 3), "large": (80, 184), "even": (64, 184)}
ROWS, WHOLE = PartitionSpec("batch"), PartitionSpec()


class Question(NamedTuple):
    """A loss, its gradients by parameters and input, and what it is asked of."""

    step: Callable[..., Any]
    params: Params
    rows: tuple[Array, Array, Array]


@cache
def ask(cell: Cell, schedule: Schedule, size: str) -> tuple[Question, Any]:
    """What is asked of one device and of eight, and what one answers."""
    B, H = SIZES[size]
    params = cell.init(jax.random.key(0), D, H)
    x = jax.random.normal(jax.random.key(1), (B, T, D))
    lengths = jnp.arange(B, dtype=jnp.int32) % (T + 1)
    reset = jnp.zeros((B, T), bool).at[3, 2].set(True)

    def loss(params: Any, x: Array, lengths: Array, reset: Array) -> Array:
        carry, y = unroll(cell, params, x, lengths=lengths, reset=reset, schedule=schedule)
        return sum((jnp.mean(leaf**2) for leaf in jax.tree.leaves(carry)), jnp.mean(y**2))

    asked = Question(jax.value_and_grad(loss, (0, 1)), params, (x, lengths, reset))
    return asked, jax.tree.map(np.asarray, jax.jit(asked.step)(params, *asked.rows))


def measure(cell: Cell, schedule: Schedule, kind: str, size: str) -> float:
    """The greatest relative difference of loss and gradients between eight devices and one."""
    (step, params, rows), wanted = ask(cell, schedule, size)
    axis_type = AxisType.Explicit if kind == "explicit" else AxisType.Auto
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(axis_type,))

    def local(params: Any, *rows: Any) -> Any:
        value, (d_params, dx) = step(params, *rows)
        # Each device has its rows' mean; parameters are shared, so their gradients arrive summed.
        return jax.lax.pmean(value, "batch"), jax.tree.map(lambda g: g / 8, (d_params, dx))

    with jax.set_mesh(mesh):
        whole = jax.device_put(params, NamedSharding(mesh, WHOLE))
        rows = jax.device_put(rows, NamedSharding(mesh, ROWS))
        assert len(rows[0].sharding.device_set) == 8
        laid = step
        if kind == "shard_map":
            laid = jax.shard_map(
                local, in_specs=(WHOLE, ROWS, ROWS, ROWS), out_specs=(WHOLE, (WHOLE, ROWS))
            )
        got = jax.jit(laid)(whole, *rows)
        assert len(got[1][1].sharding.device_set) == 8
        return difference(jax.tree.map(np.asarray, got), wanted)


def main(cases: list[str]) -> None:
    for case in cases:
        cell, schedule, kind = case.split(",")
        name, _, setting = schedule.partition(":")
        field, _, value = setting.partition("=")
        settings = {field: int(value)} if field else {}
        kind, _, size = kind.partition(":")
        print(json.dumps([case, measure(known()[cell](), known()[name](**settings), kind, size)]))


if __name__ == "__main__":
    main(sys.argv[1:])
