"""Networks that read a small text."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from lstm_lab.model import Model
from lstm_lab.tasks.text import Text
from lstm_lab.train import Network
from lstm_lab.trial import Trial

SENTENCE = "to be or not to be, that is the question.\n"


def text(folder: Path) -> Text:
    (folder / "corpus.txt").write_text(SENTENCE * 60)
    return Text(corpus=str(folder / "corpus.txt"), length=16)


def drawn(task: Text, model: Model, units: int = 4) -> tuple[Network, Any]:
    """A network and its parameters, large enough that what it says depends on what it reads."""
    network = Network(Trial(model=model, task=task, d_hidden=units))
    rng = np.random.default_rng(0)
    return network, jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), network.shapes
    )
