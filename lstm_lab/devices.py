"""Where seeds and batches run: one device per core on a CPU, every accelerator elsewhere.

XLA runs the body of a loop on one CPU core, more or less; two CPU devices with a seed on each halve
the time of small and middling shapes, with no communication inside the loop. Within a device, seeds
follow each other on a CPU, where a batched recurrent product is slower than its parts, and share each
launch under `vmap` on an accelerator.

Where devices are left over, each seed has several, and the rows of its batch lie along them. What a step
computes stays the same: the batch and all noise are drawn as on one device and then cut, and every device
holds all parameters. XLA parts the rest. Where the weight gradient is formed after the loop over time, it is
summed over the devices once per step and the loop talks to nobody; with `Sequential`'s `remat`, or without its
adjoint, it is summed within, and `Newton` asks in every iteration whether all rows have converged. Devices may
belong to several processes, see `lstm_lab.processes`.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
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
    compile_small_loops_whole()


# Bytes that an iteration of a loop touches, up to which XLA compiles a loop whole. A training step of a single row
# takes 0.3 to 0.9 of the time then, up to 256 units; with 512, 1.5 times as long.
_SMALL_LOOP = 2**21
_EXTRA_OPTIONS = "--xla_backend_extra_options="


def compile_small_loops_whole() -> None:
    """Have XLA's CPU compiler make one kernel of a small loop instead of one of each operation in it.

    It does so where the loop has no product of several rows. Call it before JAX starts its backend; extra options
    that `XLA_FLAGS` has already are left as they are.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _EXTRA_OPTIONS not in flags:
        small = f"{_EXTRA_OPTIONS}xla_cpu_small_while_loop_byte_threshold={_SMALL_LOOP}"
        os.environ["XLA_FLAGS"] = f"{flags} {small}".strip()


def exact() -> AbstractContextManager[Any]:
    """Products of float32 in float32, which accelerators round to fewer bits unless asked not to."""
    return jax.default_matmul_precision("highest")


# Rows of a batch that a CPU device gets at least. Each device reads all weights for its rows at every step: with
# fewer, that is what the time goes to, and one device with all cores is faster.
LEAST_ROWS = 16


class SeedAxis:
    """A leading axis of S seeds laid over the devices present, and each seed's batch over those left.

    As many seeds run at once as there are devices; each has as many devices, `per_seed`, as there are for all
    and as divide its batch evenly, on a CPU into `LEAST_ROWS` or more. The runs of several trials are
    seeds like any others here.

    Args:
        seeds: how many, S.
        batch: rows of a training batch, B.
        devices: those to use; all where None.

    Raises:
        UsageError: the devices of some process would have nothing to do.
    """

    def __init__(
        self, seeds: int, batch: int = 1, devices: Sequence[jax.Device] | None = None
    ) -> None:
        self.seeds = seeds
        devices = jax.devices() if devices is None else devices
        at_once = min(seeds, len(devices))
        most = len(devices) // at_once
        rows = LEAST_ROWS if devices[0].platform == "cpu" else 1
        even = [n for n in range(1, most + 1) if batch % n == 0 and batch >= n * rows]
        self.per_seed = max(even, default=1)
        self.padded = -(-seeds // at_once) * at_once
        used = np.array(devices[: at_once * self.per_seed]).reshape(at_once, self.per_seed)
        idle = set(range(jax.process_count())) - {device.process_index for device in used.flat}
        if idle:
            raise UsageError(
                f"processes: {jax.process_count()}: {seeds} seeds with a batch of {batch} take {used.size} "
                f"of {len(devices)} devices, none of process {min(idle)}: start fewer processes, or give "
                "more seeds or a batch that more devices divide"
            )
        self.mesh = Mesh(used, ("seeds", "batch"))
        self._split = PartitionSpec("seeds")
        self.sharding = NamedSharding(self.mesh, self._split)
        self.row_sharding = NamedSharding(self.mesh, PartitionSpec("seeds", "batch"))
        self._in_turn = devices[0].platform == "cpu" or self.per_seed > 1
        # Parting a batch is left to XLA; where none is parted, neither is there anything to leave to it.
        self._manual = {"seeds"} if self.per_seed > 1 else {"seeds", "batch"}

    def put(self, tree: Any, rows: bool = False) -> Any:
        """Lay arrays `[S, ...]` over the devices, filling up with copies of the last seed.

        Args:
            tree: the arrays.
            rows: they are `[S, B, ...]`, and B lies along each seed's devices.
        """
        sharding = self.row_sharding if rows else self.sharding

        def lay(leaf: Any) -> jax.Array:
            index = jnp.minimum(jnp.arange(self.padded), self.seeds - 1)
            return _lay(jnp.asarray(leaf)[index], sharding)

        return jax.tree.map(lay, tree)

    def cut(self, tree: Any) -> Any:
        """Lay one seed's arrays `[B, ...]` along its devices, within `map`; a B that is not even stays whole."""

        def lay(leaf: jax.Array) -> jax.Array:
            if self.per_seed == 1 or leaf.shape[0] % self.per_seed:
                return leaf
            return jax.lax.with_sharding_constraint(leaf, PartitionSpec("batch"))

        return jax.tree.map(lay, tree)

    def share(self, tree: Any) -> Any:
        """Put the same arrays on every device."""
        return _lay(tree, NamedSharding(self.mesh, PartitionSpec()))

    def take(self, tree: Any) -> Any:
        """Bring arrays to the host as NumPy `[S, ...]`, without the copies that filled up."""
        if jax.process_count() > 1:
            tree = self.share(tree)
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
                local,
                mesh=self.mesh,
                in_specs=specs,
                out_specs=self._split,
                axis_names=self._manual,
                check_vma=False,
            )(*arguments)

        return call


def _lay(tree: Any, sharding: NamedSharding) -> Any:
    """Put arrays where they belong; `jax.device_put` takes no PRNG keys to another process's devices."""
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)
    return jax.jit(_same, out_shardings=sharding)(tree)


def _same(tree: Any) -> Any:
    return tree
