"""The compiled LSTM step, counted: what its time loops do, and what they leave alone.

Time is not measured here: it depends on the machine. How many matrix products a loop's body holds, of what
shape, and whether it copies whole sequences, does not.
"""

import os
import re

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from lstm_lab.cells.base import Cell
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.lstm import LSTM
from lstm_lab.unroll import unroll

pytestmark = pytest.mark.usefixtures("optimised")

# The tests do without these to be sooner done; a user's program has them, and it is the one to be counted.
AS_USERS: dict[str, str | bool] = (
    {"xla_cpu_use_fusion_emitters": True}
    if "fusion_emitters" in os.environ.get("XLA_FLAGS", "")
    else {}
)

# Different from each other and from every multiple that occurs, so that a shape tells what it is.
B, T, D, H = 3, 41, 17, 5


@pytest.fixture(scope="module")
def compiled() -> str:
    return training_step(B)


def training_step(B: int, place: NamedSharding | None = None, H: int = H) -> str:
    """An LSTM's training step with B rows, laid in some place, and H units, as optimised HLO."""
    cell = LSTM()
    params = cell.init(jax.random.key(0), D, H)

    def loss(params: object, x: jax.Array) -> jax.Array:
        return jnp.sum(unroll(cell, params, x)[1] ** 2)

    step = jax.jit(jax.value_and_grad(loss, (0, 1)))
    x = jax.device_put(jnp.ones((B, T, D)), place)
    return str(step.lower(params, x).compile(AS_USERS).as_text())


def computations(text: str) -> dict[str, list[str]]:
    """Instructions by the name of the computation they are in."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if heading := re.match(r"(?:ENTRY )?%(\S+) \(.*\{$", line):
            found[heading[1]] = inside = []
        elif line.startswith("  "):
            inside.append(line.strip())
    return found


def with_all_called(name: str, everything: dict[str, list[str]]) -> list[str]:
    """A computation's instructions, and those of the fusions and calls in it."""
    own = everything[name]
    called = [n for line in own for n in re.findall(r"(?:calls|to_apply)=%(\S+?)[,\s]", line + " ")]
    return own + [line for n in called for line in with_all_called(n, everything)]


def loop_bodies(text: str) -> list[list[str]]:
    """The instructions of every time loop's body, forward first."""
    everything = computations(text)
    bodies = re.findall(r" while\(.*body=%(\S+?)[,\s]", text)
    return [with_all_called(name, everything) for name in bodies]


def outside_loops(text: str) -> list[str]:
    """All instructions but those of the time loops' bodies."""
    inside = {line for body in loop_bodies(text) for line in body}
    return [line for lines in computations(text).values() for line in lines if line not in inside]


def shapes(lines: list[str], operation: str) -> list[str]:
    return [
        m[1] for line in lines if (m := re.search(rf" = (\w+\[[\d,]*\])\S* {operation}\(", line))
    ]


def test_each_loop_has_one_matrix_product_of_one_step(compiled: str) -> None:
    forward, backward = loop_bodies(compiled)
    assert shapes(forward, "dot") == [f"f32[{B},{4 * H}]"]
    assert shapes(backward, "dot") == [f"f32[{B},{H}]"]


def test_both_loops_read_weights_row_by_row(compiled: str) -> None:
    for body in loop_bodies(compiled):
        (product,) = [line for line in body if " dot(" in line]
        assert "lhs_contracting_dims={1}, rhs_contracting_dims={0}" in product
        moved = shapes(body, "copy") + shapes(body, "transpose")
        assert not {f"f32[{H},{4 * H}]", f"f32[{4 * H},{H}]"} & set(moved)


def test_large_weights_are_read_as_they_lie_and_rows_filled_up_to_eight() -> None:
    H, rows = 184, 10
    forward, backward = loop_bodies(training_step(rows, H=H))
    assert shapes(forward, "dot") == [f"f32[{4 * H},16]"]
    assert shapes(backward, "dot") == [f"f32[{H},16]"]
    for body in (forward, backward):
        (product,) = [line for line in body if " dot(" in line]
        assert "lhs_contracting_dims={1}" in product
        moved = shapes(body, "copy") + shapes(body, "transpose")
        assert not {f"f32[{H},{4 * H}]", f"f32[{4 * H},{H}]"} & set(moved)


def test_no_loop_copies_a_whole_sequence(compiled: str) -> None:
    for body in loop_bodies(compiled):
        moved = shapes(body, "copy") + shapes(body, "transpose")
        assert moved
        assert not [shape for shape in moved if str(T) in re.findall(r"\d+", shape[3:])]


def test_the_products_over_all_steps_are_outside_and_read_their_operands_as_they_lie(
    compiled: str,
) -> None:
    outside = outside_loops(compiled)
    # Projection and its adjoint, and the gradient of both weight matrices and the bias at once.
    wanted = [f"[{T * B},{4 * H}]", f"[{T * B},{D}]", f"[{D + H + 1},{4 * H}]"]
    got = [shape.removeprefix("f32") for shape in shapes(outside, "dot")]
    assert sorted(got) == sorted(wanted)
    # Nothing turns what the loops read or wrote: but for x and y, batch first, time is the first axis.
    for shape in shapes(outside, "transpose") + shapes(outside, "copy"):
        sizes = [int(size) for size in re.findall(r"\d+", shape[3:])]
        assert T not in sizes[1:] or sizes[:2] == [B, T]
        assert T * B not in sizes[1:]


def test_what_the_projection_adds_is_added_within_the_loop(compiled: str) -> None:
    outside = outside_loops(compiled)
    wide = [f"f32[{T},{B},{4 * H}]", f"f32[{T * B},{4 * H}]"]
    assert not set(wide) & set(shapes(outside, "add"))


def test_what_the_weight_gradient_reads_is_joined_after_the_loop_back(compiled: str) -> None:
    assert "is_scheduled=true" in compiled
    (entry,) = [lines for lines in computations(compiled).values() if " while(" in str(lines)]
    loops = [n for n, line in enumerate(entry) if " while(" in line]
    (joins,) = [n for n, line in enumerate(entry) if f" = f32[{T * B},{D + H + 1}]" in line]
    assert loops[-1] < joins
    # x is turned once to be projected; for the gradient as it is joined.
    turned = [n for n, line in enumerate(entry) if f" = f32[{T * B},{D}]" in line]
    assert len([n for n in turned if n < joins]) == 1


def test_each_loop_writes_the_widest_array_once_and_where_it_read_it(compiled: str) -> None:
    forward, backward = loop_bodies(compiled)
    # The gates, over z; and the carry before each step, h and c. The output is h.
    written = shapes(forward, "dynamic-update-slice")
    assert sorted(written) == [f"f32[{T},{B},{4 * H}]", *[f"f32[{T},{B},{H}]"] * 2]
    # The adjoint of z and r, over the gates.
    assert shapes(backward, "dynamic-update-slice") == [f"f32[{T},{B},{4 * H}]"]


def test_the_loop_backward_takes_one_tanh_of_a_step(compiled: str) -> None:
    forward, backward = loop_bodies(compiled)
    assert sorted(shapes(forward, "tanh")) == [f"f32[{B},{4 * H}]", f"f32[{B},{H}]"]
    assert shapes(backward, "tanh") == [f"f32[{B},{H}]"]


@pytest.mark.parametrize("cell", [LSTM(), GRU()], ids=lambda cell: cell.label)
def test_a_reading_alone_takes_its_gates_from_rows_that_are_fetched_once(cell: Cell) -> None:
    params = cell.init(jax.random.key(0), D, H)
    read = jax.jit(lambda params, x: unroll(cell, params, x)[1])
    text = str(read.lower(params, jnp.ones((B, T, D))).compile(AS_USERS).as_text())
    (body,) = loop_bodies(text)
    width = cell.project(params, jnp.ones(D)).shape[-1]
    fetched = shapes(body, "dynamic-slice")
    assert fetched.count(f"f32[1,{B},{width}]") == 1
    if isinstance(cell, GRU):
        # Fused with tanh, it would be fetched for every use of it, and tanh taken of one number at a time.
        everything = computations(text)
        fused = [lines for lines in everything.values() if shapes(lines, "tanh")]
        assert fused
        assert not [line for lines in fused for line in lines if " dynamic-slice(" in line]


def on_two_devices(B: int, H: int = H) -> str:
    mesh = jax.make_mesh((2,), ("batch",), (AxisType.Auto,))
    with jax.set_mesh(mesh):
        return training_step(B, NamedSharding(mesh, PartitionSpec("batch")), H)


def test_rows_over_devices_are_filled_up_on_each() -> None:
    H = 184
    text = on_two_devices(2 * 10, H)
    for body, wanted in zip(loop_bodies(text), (4 * H, H), strict=True):
        assert shapes(body, "dot") == [f"f32[{wanted},16]"]
        assert not [line for line in body if "all-" in line or "collective" in line]


def test_a_batch_over_devices_is_neither_turned_round_nor_summed_twice() -> None:
    text = on_two_devices(2 * B)
    got = [shape.removeprefix("f32") for shape in shapes(text.splitlines(), "dot")]
    assert f"[{D + H + 1},{4 * H}]" in got
    lines = text.splitlines()
    moved = shapes(lines, "copy") + shapes(lines, "transpose")
    assert not [
        shape for shape in moved if shape in (f"f32[{T},{B},{4 * H}]", f"f32[{T * B},{4 * H}]")
    ]
    assert len([line for line in lines if " all-reduce(" in line]) == 1
