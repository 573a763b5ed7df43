"""Flax NNX modules around the pure core: recurrent layers, both directions, stacks, whole models.

A module holds parameters and static settings, nothing else: no cache, no random stream, no state
between calls. What a call needs beyond its input (a carry, a PRNG key for dropout) is an argument, so
`nnx.split` once and plain `jax.jit`, `grad`, `scan` and `vmap` afterwards is all there is to learn.

Here stand the layer that is one cell run over time, and what is made of layers: both directions, stacks,
models. What goes around a cell, or stands in its place, is in `layers/`; all of it is `OneWay`.

Every layer answers with `Reading(carry, y, last)`. In Keras' words: `y` is what `return_sequences=True`
gives, `last` what it gives without, `carry` what `return_state=True` adds.
"""

from lstm_lab.modules.bidirectional import Bidirectional, Merge
from lstm_lab.modules.layer import OneWay, Reading, Recurrent, last_read
from lstm_lab.modules.sequence_model import SequenceModel
from lstm_lab.modules.stack import Stack

__all__ = [
    "Bidirectional",
    "Merge",
    "OneWay",
    "Reading",
    "Recurrent",
    "SequenceModel",
    "Stack",
    "last_read",
]
