"""Whole stacks taken over from PyTorch, Keras and Flax, and handed to them: one framework, one file.

`layouts` says how one layer's parameters become another's; here that is done for every layer and direction, and what
a framework has no word for is refused by its name. No framework is imported that is not there already: what is taken
over is asked for its class, its settings and its arrays.

What is handed over computes the same; training may go another way, for a dropout's rate, an initialisation and a
split of a bias into two are not part of it.
"""

from lstm_lab.frameworks.flax import from_flax, to_flax
from lstm_lab.frameworks.keras import from_keras, to_keras
from lstm_lab.frameworks.pytorch import (
    from_pytorch,
    from_state_dict,
    network_to_pytorch,
    to_pytorch,
)

__all__ = [
    "from_flax",
    "from_keras",
    "from_pytorch",
    "from_state_dict",
    "network_to_pytorch",
    "to_flax",
    "to_keras",
    "to_pytorch",
]
