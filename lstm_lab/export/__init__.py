"""A trained network as a folder that another machine can use, with lstm_lab or without.

    config.json           the model, its widths, what it was trained on, versions, SHA-256 of every other file
    weights.safetensors   the parameters by their paths, such as `body.layers.0.params.W`
    step.stablehlo        (weights, carry, x_t) -> (carry, outputs), any batch, for several platforms
    carry.safetensors     the carry before the first step, of one row
    read.stablehlo        (weights, x, lengths) -> outputs: in place of the two, where a network reads backward or pools
    vocabulary.json       of a text run
    pytorch.safetensors   if asked for: the weights by PyTorch's names, see `frameworks.network_to_pytorch`
    README.md             how to use these

Neither the corpus nor the task is needed to use it. The programs take the weights as an argument, in the very form
in which `safetensors` reads them: so nothing is stored twice, and one program serves every seed.
"""

from lstm_lab.export.exported import Exported, load
from lstm_lab.export.source import from_run

__all__ = ["Exported", "from_run", "load"]
