"""The static half of a network: what is left of it when its parameters are taken out."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
from flax import nnx
from jax import Array

from lstm_lab.compiled import Compiler
from lstm_lab.model import Interface, Model
from lstm_lab.modules import Reading


class Architecture:
    """The static half of a model: with parameters, a function.

    Args:
        model: what it is.
        task: what goes in and comes out.
        d_hidden: units of each layer and direction, H.

    Attributes:
        compiler: of what is asked of it more than once, such as a probe before and after training.

    Raises:
        UsageError: as `Model.build`.
    """

    def __init__(self, model: Model, task: Interface, d_hidden: int) -> None:
        self._draw = partial(model.build, task, d_hidden)
        abstract = nnx.eval_shape(lambda: self._draw(jax.random.key(0)))
        self.graph, self.shapes = nnx.split(abstract, nnx.Param)
        self.compiler = Compiler()

    def init(self, key: Array) -> Any:
        """Draw the parameters."""
        return nnx.state(self._draw(key), nnx.Param)

    def initial_carry(self, params: Any, batch: int) -> Any:
        """The recurrent state before the first step, leaves `[batch, H]`."""
        return nnx.merge(self.graph, params).initial_carry(batch)

    def apply(self, params: Any, x: Array, **call: Any) -> tuple[Any, Array]:
        """Read a batch; arguments and results as in `SequenceModel.__call__`."""
        reading, outputs = self.read(params, x, **call)
        return reading.carry, outputs

    def read(self, params: Any, x: Array, **call: Any) -> tuple[Reading, Array]:
        """Read a batch; arguments as in `SequenceModel.__call__`.

        Returns:
            What the last layer says, and the outputs.
        """
        model = nnx.merge(self.graph, params)
        reading = model.read(x, **call)
        return reading, model.answer(reading, call.get("key"), call.get("noise"))

    def params(self, named: Mapping[str, Any]) -> Any:
        """The parameters of which `by_path` made names."""
        structure = jax.tree.structure(self.shapes)
        return jax.tree.unflatten(structure, [named[name] for name in by_path(self.shapes)])

    @property
    def widths(self) -> list[tuple[int, ...]]:
        """The shape of each parameter, in order."""
        return [leaf.shape for leaf in jax.tree.leaves(self.shapes)]

    @property
    def parameters(self) -> int:
        """How many there are."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.shapes))


def by_path(tree: Any) -> dict[str, Any]:
    """The leaves of parameters or of a carry by name, such as `body.layers.0.params.W` or `0.h`, in order."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves]
    # Flax wraps each parameter in a node of one leaf.
    return {
        name.removesuffix(".value"): leaf for name, (_, leaf) in zip(names, leaves, strict=True)
    }
