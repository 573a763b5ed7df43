"""Where seeds run: one device per core on a CPU, every accelerator elsewhere.

XLA runs the body of a loop on one CPU core, more or less; two CPU devices with a seed on each halve
the time of small and middling shapes, with no communication inside the loop. Within a device, seeds
follow each other on a CPU, where a batched recurrent product is slower than its parts, and share each
launch under `vmap` on an accelerator.
"""

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lstm_lab.errors import UsageError


def use_all_cores() -> None:
    """Make one CPU device per core this process may use; call it before JAX starts its backend.

    `LSTM_LAB_CPU_DEVICES` sets another number.

    Raises:
        UsageError: the variable holds no positive whole number.
    """
    given = os.environ.get("LSTM_LAB_CPU_DEVICES")
    if given is not None and not (given.isdigit() and int(given)):
        raise UsageError(f"LSTM_LAB_CPU_DEVICES: {given!r}: give a number of devices, 1 or more")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jax.config.update("jax_num_cpu_devices", int(given) if given else cores or 1)


class SeedAxis:
    """A leading axis of S seeds laid over the devices present.

    Args:
        seeds: how many, S.
    """

    def __init__(self, seeds: int) -> None:
        self.seeds = seeds
        devices = jax.devices()[:seeds]
        self.padded = -(-seeds // len(devices)) * len(devices)
        self.mesh = Mesh(devices, ("seeds",))
        self._split = PartitionSpec("seeds")
        self.sharding = NamedSharding(self.mesh, self._split)
        self._in_turn = devices[0].platform == "cpu"

    def put(self, tree: Any) -> Any:
        """Lay arrays `[S, ...]` over the devices, filling up with copies of the last seed."""

        def lay(leaf: Any) -> jax.Array:
            index = jnp.minimum(jnp.arange(self.padded), self.seeds - 1)
            return jax.device_put(jnp.asarray(leaf)[index], self.sharding)

        return jax.tree.map(lay, tree)

    def share(self, tree: Any) -> Any:
        """Put the same arrays on every device."""
        return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec()))

    def take(self, tree: Any) -> Any:
        """Bring arrays to the host as NumPy `[S, ...]`, without the copies that filled up."""
        return jax.tree.map(lambda leaf: jax.device_get(leaf)[: self.seeds], tree)

    def map(self, each: Callable[..., Any], shared: int = 0) -> Callable[..., Any]:
        """Run a function once per seed.

        Args:
            each: takes one seed's arguments, then those all seeds share.
            shared: how many trailing arguments are shared.

        Returns:
            The same over arguments `[padded, ...]`; it is traced, so wrap it in `jax.jit`.
        """

        def local(*arguments: Any) -> Any:
            own, common = arguments[: len(arguments) - shared], arguments[len(arguments) - shared :]
            one = lambda mine: each(*mine, *common)  # noqa: E731 - a def would not read better
            return jax.lax.map(one, own) if self._in_turn else jax.vmap(one)(own)

        def call(*arguments: Any) -> Any:
            own = len(arguments) - shared
            specs = (self._split,) * own + (PartitionSpec(),) * shared
            # Seeds never meet, so which values vary over the mesh need not be tracked.
            return jax.shard_map(
                local, mesh=self.mesh, in_specs=specs, out_specs=self._split, check_vma=False
            )(*arguments)

        return call
