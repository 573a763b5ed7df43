"""A network by itself: what it is, its parameters, and what reading with it takes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from safetensors import SafetensorError
from safetensors import numpy as safetensors

import lstm_lab
from lstm_lab.architecture import Architecture, by_path
from lstm_lab.config import from_json, to_json
from lstm_lab.devices import exact
from lstm_lab.errors import DataError, LabError, UsageError, one_line
from lstm_lab.export import folder as folders
from lstm_lab.export import program
from lstm_lab.export.readme import readme
from lstm_lab.files import encode
from lstm_lab.frameworks import network_to_pytorch
from lstm_lab.model import Model, Widths
from lstm_lab.text import tokenisers
from lstm_lab.text.vocabulary import Vocabulary
from lstm_lab.unroll import Schedule

WEIGHTS, CARRY = "weights.safetensors", "carry.safetensors"
STEP, READ = "step.stablehlo", "read.stablehlo"
VOCABULARY, PYTORCH = "vocabulary.json", "pytorch.safetensors"


@dataclass(frozen=True, eq=False)
class Exported:
    """A network without a task, a corpus or a run.

    Attributes:
        model: what it is.
        widths: what goes in and comes out.
        d_hidden: units of each layer and direction, H.
        params: its parameters.
        vocabulary: of its tokens, where they stand for text.
        trained: what it was trained on, as JSON.
    """

    model: Model
    widths: Widths
    d_hidden: int
    params: Any
    vocabulary: Vocabulary | None = None
    trained: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def network(self) -> Architecture:
        """The static half."""
        return Architecture(self.model, self.widths, self.d_hidden)

    def initial_carry(self, batch: int) -> Any:
        """The carry before the first step, leaves `[batch, ...]`."""
        return self.network.initial_carry(self.params, batch)

    def read(self, x: Any, **call: Any) -> tuple[Any, Array]:
        """Read a batch of sequences.

        Args:
            x: tokens, int `[B, T]`, or features, float `[B, T, D]`.
            **call: `carry`, `lengths`, `mask` and `reset` as in `SequenceModel`.

        Returns:
            The carry, and the outputs: `[B, T, d_out]` per step or `[B, d_out]` per sequence.

        Raises:
            UsageError: a shape does not fit.
        """
        with exact():
            return self._read(self.params, jnp.asarray(x), **call)

    def step(self, carry: Any, x: Any) -> tuple[Any, Array]:
        """Read one step.

        Args:
            carry: what the last step returned, or `initial_carry`.
            x: tokens, int `[B]`, or features, float `[B, D]`.

        Returns:
            The carry after it, and the outputs `[B, d_out]`; of a network that answers once per sequence, what it
            would be if it ended here.

        Raises:
            UsageError: the network reads backward or pools steps, or a shape does not fit.
        """
        if not self.steps:
            raise UsageError(
                f"step: {self.model.label} has no output before it has read all steps: use read"
            )
        with exact():
            return self._step(self.params, carry, jnp.asarray(x))

    @property
    def steps(self) -> bool:
        """Whether it can be read step by step: not if it reads backward, or pools all steps."""
        model = self.model
        return model.bidirectional is None and not model.reverse and model.pool == "last"

    @cached_property
    def _read(self) -> Any:
        return jax.jit(self.network.apply)

    @cached_property
    def _step(self) -> Any:
        network = self._plain
        return jax.jit(lambda params, carry, x: program.step(network, params, carry, x))

    @cached_property
    def _plain(self) -> Architecture:
        return program.plain(self.model, self.widths, self.d_hidden)

    def write(
        self,
        folder: Path | str,
        platforms: Sequence[program.Platform] = program.PLATFORMS,
        *,
        to: Literal["pytorch"] | None = None,
        force: bool = False,
    ) -> None:
        """Write it into a folder; see `lstm_lab.export` for the files.

        Args:
            folder: where to; absent or empty.
            platforms: where the program is to run.
            to: also write the weights as `frameworks.network_to_pytorch` lays them out.
            force: replace what an earlier export wrote.

        Raises:
            UsageError: something else is in the folder, no platform is given, or PyTorch has no such layer.
            StorageError: it cannot be written.
        """
        if not platforms:
            raise UsageError("platforms: none: name at least one, such as cpu")
        config = {
            "label": self.model.label,
            "model": to_json(self.model),
            "widths": asdict(self.widths),
            "d_hidden": self.d_hidden,
            "parameters": self.network.parameters,
            "trained": self.trained,
            "platforms": platforms,
            "versions": {"lstm_lab": lstm_lab.__version__, "jax": jax.__version__},
        }
        files = {WEIGHTS: _tensors(self.params), **self._programs(platforms)}
        if to == "pytorch":
            files[PYTORCH] = _tensors(
                network_to_pytorch(nnx.merge(self.network.graph, self.params))
            )
        if self.vocabulary is not None:
            files[VOCABULARY] = encode(tokenisers.to_json(self.vocabulary))
        page = readme(self.model.label, self.widths, platforms, steps=self.steps)
        files[folders.README] = page.encode()
        folders.write(Path(folder), config, files, force)

    def _programs(self, platforms: Sequence[program.Platform]) -> dict[str, bytes]:
        if not self.steps:
            return {READ: program.reading_program(self._plain, self.widths, platforms)}
        return {
            STEP: program.step_program(self._plain, self.widths, platforms),
            CARRY: _tensors(self.initial_carry(1)),
        }


def load(folder: Path | str, schedule: Schedule | None = None) -> Exported:
    """Read a network that `Exported.write` or `lstm-lab export` wrote.

    Args:
        folder: with its config.json.
        schedule: how `read` runs the loop; as in training where None.

    Returns:
        The network. On the same machine and release of JAX its outputs have the bits of the one that was written.

    Raises:
        DataError: it is no such folder, of a version that is not known here, or damaged.
    """
    folder = Path(folder)
    config, files = folders.read(folder)
    try:
        model = from_json(config["model"])
        model = model if schedule is None else replace(model, schedule=schedule)
        widths = Widths(**config["widths"])
        text = files.get(VOCABULARY)
        vocabulary = None if text is None else tokenisers.from_json(json.loads(text))
        exported = Exported(model, widths, config["d_hidden"], None, vocabulary, config["trained"])
        weights = safetensors.load(files[WEIGHTS])
        _check_fit(weights, exported.network)
    except (LabError, LookupError, TypeError, ValueError, SafetensorError) as error:
        raise DataError(
            f"{folder}: it does not fit: {one_line(error)}: use the release that wrote it, {_release(config)}"
        ) from error
    params = exported.network.params({name: jnp.asarray(w) for name, w in weights.items()})
    return replace(exported, params=params)


def _release(config: Mapping[str, Any]) -> str:
    """What wrote a folder, in words."""
    versions = config.get("versions") or {}
    return f"lstm_lab {versions.get('lstm_lab', 'unknown')}"


def _tensors(tree: Any) -> bytes:
    # What is not contiguous would be written as it lies.
    leaves = by_path(jax.device_get(tree))
    arrays = {name: np.ascontiguousarray(leaf) for name, leaf in leaves.items()}
    return safetensors.save(arrays, {"written_by": f"lstm_lab {lstm_lab.__version__}"})


def _check_fit(weights: Mapping[str, np.ndarray], network: Architecture) -> None:
    wanted = {name: _described(leaf) for name, leaf in by_path(network.shapes).items()}
    found = {name: _described(leaf) for name, leaf in weights.items()}
    for name in {**wanted, **found}:
        has, wants = found.get(name, "missing"), wanted.get(name, "nothing of that name")
        if has != wants:
            raise DataError(f"{name} is {has}, the model wants {wants}")


def _described(leaf: Any) -> str:
    """Such as "float32 (4, 3)"."""
    return f"{leaf.dtype} {leaf.shape}"
