"""What is saved comes back bit for bit, to the model it was saved of; the newest few are kept."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lstm_lab.checkpoint import Checkpoints
from lstm_lab.errors import CheckpointError, UsageError


class State(NamedTuple):
    w: Any
    step: Any


def state(step: int) -> State:
    """A state that says by itself which step it is of."""
    return State(np.arange(500, dtype=np.float32) + step, np.int32(step))


def same(a: Any, b: Any) -> bool:
    def bits(leaf: Any) -> tuple[str, tuple[int, ...], bytes]:
        if jnp.issubdtype(getattr(leaf, "dtype", np.float32), jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        array = np.asarray(leaf)
        return str(array.dtype), array.shape, array.tobytes()

    trees: list[Any] = [jax.tree.structure(tree) for tree in (a, b)]
    leaves = [[*map(bits, jax.tree.leaves(tree))] for tree in (a, b)]
    return bool(trees[0] == trees[1]) and leaves[0] == leaves[1]


def two_steps(folder: Path) -> Path:
    """The folder, with checkpoints of steps 10 and 20."""
    checkpoints = Checkpoints(folder)
    for step in (10, 20):
        checkpoints.save(step, state(step), {"best": 0.5, "offset": 100 * step})
    return folder


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return two_steps(tmp_path / "checkpoints")


def test_nothing_saved_yet(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "checkpoints").latest(state(0)) is None
    assert os.listdir(tmp_path) == []


def test_what_was_saved_comes_back(saved: Path) -> None:
    assert Checkpoints(saved).steps == [10, 20]
    found = Checkpoints(saved).latest(state(0))
    assert found is not None
    step, arrays, meta = found
    assert (step, meta) == (20, {"best": 0.5, "offset": 2000})
    assert same(arrays, state(20))
    assert isinstance(arrays, State)


def test_every_kind_of_leaf(tmp_path: Path) -> None:
    tree: dict[str, Any] = {
        "bfloat16": jnp.arange(7, dtype=jnp.bfloat16),
        "bool": np.array([[True, False]]),
        "complex": np.array([1 + 2j], np.complex64),
        "empty": np.zeros((0, 4), np.float32),
        "float64": np.array(np.pi),
        "keys": jax.random.split(jax.random.key(3), 5),
        "rbg": jax.random.key(1, impl="rbg"),
        "nan": np.array([np.nan, -0.0, np.inf], np.float32),
        "number": 3,
        "strided": np.arange(12, dtype=np.int32).reshape(3, 4).T[::2],
        "uint8": [np.uint8(255), ()],
        "none": None,
    }
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(0, tree, {})
    found = checkpoints.latest(tree)
    assert found is not None
    assert same(found[1], tree)
    # Random bits, and not only the key's, must go on where they were.
    np.testing.assert_array_equal(
        jax.random.bits(found[1]["keys"][4]), jax.random.bits(tree["keys"][4])
    )
    found[1]["strided"][0, 0] = 9


def test_a_training_state_over_two_devices(tmp_path: Path) -> None:
    model = nnx.state(nnx.Linear(3, 4, rngs=nnx.Rngs(0)))
    seeds = jax.tree.map(lambda x: jnp.stack([x, x + jnp.float32(1)]), model)
    tree = {"params": seeds, "opt": optax.adam(1e-3).init(seeds), "key": jax.random.key(0)}
    sharding = NamedSharding(Mesh(np.array(jax.devices()[:2]), ("S",)), PartitionSpec("S"))
    tree["params"] = jax.device_put(tree["params"], sharding)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(5, tree, {})
    found = checkpoints.latest(jax.eval_shape(lambda: tree))
    assert found is not None
    assert same(found[1], tree)
    assert isinstance(jax.tree.leaves(found[1]["params"])[0], np.ndarray)


def test_a_state_without_arrays(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(1, (), {"offset": 3})
    assert Checkpoints(tmp_path).latest(()) == (1, (), {"offset": 3})


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoints = Checkpoints("run/checkpoints")
    monkeypatch.chdir("/")
    checkpoints.save(1, state(1), {})
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps == [1]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (State(np.zeros(499, np.float32), np.int32(0)), r"\.w is float32\[500\].*float32\[499\]"),
        (State(np.zeros(500, np.float16), np.int32(0)), r"\.w is float32\[500\].*float16\[500\]"),
        (State(np.zeros(500, np.float32), np.uint32(0)), r"\.step is int32\[\].*wants uint32\[\]"),
        (State(np.zeros(500, np.float32), None), r"\.step is int32\[\], the model wants nothing"),
        ({"w": np.zeros(500, np.float32)}, r"\['w'\] is nothing, the model wants float32\[500\]"),
    ],
)
def test_another_model_is_refused_by_leaf(saved: Path, template: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        Checkpoints(saved).latest(template)


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(1, jax.random.key(0), {})
    with pytest.raises(CheckpointError, match=r"key<fry>\[\], the model wants key<rbg>\[\]"):
        Checkpoints(tmp_path).latest(jax.random.key(0, impl="rbg"))


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in range(0, 50, 10):
        checkpoints.save(step, state(step), {})
    assert checkpoints.steps == [20, 30, 40]
    assert sorted(os.listdir(tmp_path)) == ["00000020", "00000030", "00000040"]


def test_keeping_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Checkpoints(tmp_path, keep=0)


def test_an_abandoned_future_goes_and_a_step_can_be_written_again(saved: Path) -> None:
    checkpoints = Checkpoints(saved)
    checkpoints.save(15, state(15), {})
    assert checkpoints.steps == [10, 15]
    checkpoints.save(15, state(16), {"again": True})
    found = checkpoints.latest(state(0))
    assert found is not None
    assert same(found[1], state(16))
    assert found[2] == {"again": True}


def test_leftovers_are_ignored_then_cleaned_and_strangers_left_alone(saved: Path) -> None:
    half = saved / "00000030"
    (half / "arrays.orbax-checkpoint-tmp").mkdir(parents=True)
    (half / ".manifest.json.tmp").write_text("{")
    shutil.copytree(saved / "00000010", saved / "00000005.deleted")
    (saved / "notes.txt").write_text("mine")
    (saved / "best").mkdir()
    assert Checkpoints(saved).steps == [10, 20]
    found = Checkpoints(saved).latest(state(0))
    assert found is not None
    assert found[0] == 20
    assert half.exists(), "reading changes nothing"
    Checkpoints(saved).save(30, state(30), {})
    assert sorted(os.listdir(saved)) == ["00000020", "00000030", "best", "notes.txt"]


def test_meta_is_plain_json(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(1, (), {"best": [np.float32(0.5), float("nan")]})
    text = (tmp_path / "00000001" / "meta.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["meta"] == {"best": [0.5, None]}
