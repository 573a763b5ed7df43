"""A training step as the trainer takes it against the bare step."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec

from lstm_lab.bench.accelerator import in_turns
from lstm_lab.bench.costs.base import Cost, Question, agree
from lstm_lab.bench.costs.training import Training
from lstm_lab.program import Program
from lstm_lab.sitting import CHUNK
from lstm_lab.tasks.base import Batch
from lstm_lab.tasks.recall import Recall
from lstm_lab.train import TrainState
from lstm_lab.trial import Trial


@dataclass(frozen=True)
class Overhead(Question):
    """A training step as the trainer takes it, and the bare step: gradient and update in a compiled loop.

    The trainer's draws its batches on the device, may stop seeds, and hands losses and gradient norms to the
    host; the bare step reads batches that were drawn before.

    Attributes:
        batch: sequences, B.
        lag: of the recall task, T - 1.
        hidden: units, H.
        steps: training steps of a call.
        rounds: turns of each.
    """

    name: ClassVar[str] = "overhead"

    batch: int = 32
    lag: int = 100
    hidden: int = 128
    steps: int = CHUNK
    rounds: int = 7

    @property
    def at(self) -> str:
        task = Recall(self.lag)
        return f"LSTM {self.batch},{self.lag + 1},{task.d_in},{self.hidden}, {task.label}"

    def measure(self) -> dict[str, Any]:
        trial = Trial(task=Recall(self.lag), d_hidden=self.hidden, batch=self.batch)
        program = Program(trial)
        ours = Training(program, program.init(), self.steps)
        bare = _Bare(program, program.axis.take(ours.state), self.steps)
        agree(ours.call()[0], bare.call())
        seconds = in_turns({"ours": ours.call, "bare": bare.call}, self.rounds)
        return {name: [s / self.steps for s in each] for name, each in seconds.items()}

    def costs(self) -> list[Cost]:
        found = self.ask()
        name = "a step of the trainer's, by the bare step"
        return [Cost(name, self.at, "s", found["ours"], found["bare"], bar=1.05)]


class _Bare:
    """The same training without a trainer: K batches, drawn before, in a compiled loop over a plain step.

    Args:
        program: of a single run; gives network, optimiser and devices.
        state: what to begin with, on the host, leaves `[1, ...]`.
        steps: K; every call reads the same batches.
    """

    def __init__(self, program: Program, state: TrainState, steps: int) -> None:
        network, optimizer, mesh = program.network, program.optimizer, program.axis.mesh
        task, B = program.trial.task, program.trial.batch
        params, opt_state, key, first = jax.tree.map(
            lambda leaf: jnp.asarray(leaf)[0],
            (state.params, state.opt_state, state.key, state.step),
        )
        draw = partial(task.sample, program.data, jax.random.split(key)[0], batch=B)
        batches = jax.jit(jax.vmap(lambda step: draw(step)))(
            first + jnp.arange(steps, dtype=jnp.int32)
        )
        split = NamedSharding(mesh, PartitionSpec(None, "batch"))
        whole = NamedSharding(mesh, PartitionSpec())
        self.batches = jax.device_put(batches, split)
        self.state = jax.device_put((params, opt_state), whole)

        def step(state: Any, batch: Batch) -> tuple[Any, Array]:
            params, opt_state = state

            def loss_of(params: Any) -> Array:
                return jnp.mean(task.loss(network.apply(params, batch.x)[1], batch))

            loss, gradient = jax.value_and_grad(loss_of)(params)
            # Adam's bias correction, see `train_step`.
            with jax.numpy_dtype_promotion("standard"):
                updates, opt_state = optimizer.update(gradient, opt_state, params)
                return (optax.apply_updates(params, updates), opt_state), loss

        with jax.set_mesh(mesh):  # `unroll` asks whether XLA parts the batch
            loop = jax.jit(lambda state, batches: lax.scan(step, state, batches), donate_argnums=0)
            self.loop = loop.lower(self.state, self.batches).compile()

    def call(self) -> np.ndarray:
        """Take K steps; their losses `[K]`."""
        self.state, losses = jax.block_until_ready(self.loop(self.state, self.batches))
        return np.asarray(losses)
