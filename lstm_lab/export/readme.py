"""What stands in a folder's README: how to use it, with lstm_lab and without."""

from collections.abc import Sequence

from lstm_lab.model import Widths

_PAGE = """\
# {label}

A recurrent network, written by `lstm-lab export`; config.json says what it is and what it was trained on.

With lstm_lab, `folder` being the path of this one:

```python
from lstm_lab.export import load

network = load(folder)
{use}
```

With jax, flatbuffers and safetensors alone, on {platforms}, in this folder:

```python
import jax, numpy
from safetensors.numpy import load_file

weights = load_file("weights.safetensors")
{alone}
```

{shapes}
"""

_STEP = """\
carry = network.initial_carry(batch)
carry, outputs = network.step(carry, x)"""

_STEP_ALONE = """\
with open("step.stablehlo", "rb") as file:
    step = jax.jit(jax.export.deserialize(file.read()).call)
start = load_file("carry.safetensors")
carry = {name: numpy.repeat(row, batch, 0) for name, row in start.items()}
carry, outputs = step(weights, carry, x)"""

_READ = """\
_, outputs = network.read(x, lengths=lengths)"""

_READ_ALONE = """\
with open("read.stablehlo", "rb") as file:
    read = jax.jit(jax.export.deserialize(file.read()).call)
outputs = read(weights, x, lengths)"""


def readme(label: str, widths: Widths, platforms: Sequence[str], *, steps: bool) -> str:
    """Write it.

    Args:
        label: of the model.
        widths: what goes in and comes out.
        platforms: where the program runs.
        steps: whether it is read step by step, or whole.
    """
    rows = "[batch]" if steps else "[batch, time]"
    answers = rows if widths.per_step else "[batch]"
    x = f"int32 {rows}, tokens 0 to {widths.d_in - 1}"
    if not widths.tokens:
        x = f"float32 {rows[:-1]}, {widths.d_in}]"
    shapes = f"`x` is {x}; `outputs` is float32 {answers[:-1]}, {widths.d_out}]"
    if not steps:
        shapes += "; `lengths` is int32 [batch], the steps of each row"
    return _PAGE.format(
        label=f"{label} on {widths.label}",
        platforms=", ".join(platforms),
        use=_STEP if steps else _READ,
        alone=_STEP_ALONE if steps else _READ_ALONE,
        shapes=f"{shapes}.",
    )
