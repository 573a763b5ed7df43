"""A sample of what a trained network writes."""

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import numpy as np

from lstm_lab.probe.base import Probe
from lstm_lab.tasks.base import Task
from lstm_lab.tasks.text import Text
from lstm_lab.text.sampling import Apply, Sampling, generate

if TYPE_CHECKING:
    from lstm_lab.architecture import Architecture
    from lstm_lab.model import Model
    from lstm_lab.train import Network


@dataclass(frozen=True)
class TextSample(Probe):
    """Text drawn from the first seed's network, after a prompt from the validation split.

    Attributes:
        prompt: symbols of the validation split's beginning that it is given.
        length: symbols to draw.
        sampling: how each is chosen.
        seed: of the draw.
    """

    prompt: int = 80
    length: int = 600
    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.7))
    seed: int = 0

    name: ClassVar[str] = "text_sample"

    def applies(self, model: "Model", task: Task) -> bool:
        """Whether there is text to write, and the model does not read what is not yet written."""
        return isinstance(task, Text) and model.bidirectional is None

    def measure(self, network: "Network", params: Any, data: Any) -> dict[str, Any]:
        """Draw from the first seed; see `Probe.measure`."""
        task = network.task
        assert isinstance(task, Text)
        vocabulary = task.vocabulary()
        prompt = np.asarray(data["validation"])[: self.prompt].astype(np.int32)
        first = jax.tree.map(lambda leaf: leaf[0], params)
        pieces = write(network, first, prompt, self.length, self.sampling, self.seed)
        texts = vocabulary.stream(chain((prompt,), (piece[0] for piece in pieces)))
        return {
            "prompt": next(texts),
            "text": "".join(texts),
            "temperature": self.sampling.temperature,
            "seed": self.seed,
        }


def write(
    network: "Architecture",
    params: Any,
    prompt: np.ndarray,
    length: int,
    sampling: Sampling,
    seed: int,
    samples: int = 1,
) -> Any:
    """Continue a prompt with one network.

    Args:
        network: the model and its task.
        params: one seed's parameters.
        prompt: ids, int `[T]`.
        length: symbols to draw.
        sampling: how each is chosen.
        seed: of the draw.
        samples: texts B, all after the same prompt.

    Returns:
        An iterator over ids `[B, t]`, as they are drawn.
    """

    carry = network.initial_carry(params, samples)
    prompts = np.broadcast_to(prompt, (samples, len(prompt)))
    key = jax.random.key(seed)
    return generate(reader(network, params), carry, prompts, length, sampling, key)


def reader(network: "Architecture", params: Any) -> Apply:
    """One seed's network as `text.sampling` wants it."""
    return jax.tree_util.Partial(_Reader(network), params)


@dataclass(frozen=True)
class _Reader:
    """A function that equals every other one of its network, so that all share what is compiled."""

    network: "Architecture"

    def __call__(self, params: Any, tokens: jax.Array, carry: Any) -> tuple[Any, jax.Array]:
        return self.network.apply(params, tokens, carry=carry)
