"""A network in a folder is the network that was written, wherever it is read and with whatever."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from lstm_lab.cells.gru import GRU
from lstm_lab.errors import DataError, StorageError, UsageError
from lstm_lab.export import Exported, folder, load
from lstm_lab.export.program import PLATFORMS
from lstm_lab.model import Model, Widths
from lstm_lab.text.vocabulary import CharVocabulary
from lstm_lab.unroll import Newton, Sequential

ROOT = Path(__file__).parents[2]
VOCABULARY = CharVocabulary.of("abcde")
TEXT = Widths(d_in=5, d_out=5, per_step=True, tokens=True, label="text")
SERIES = Widths(d_in=2, d_out=3, per_step=False, tokens=False, label="series")
B, T = 3, 4
TOKENS = np.arange(B * T, dtype=np.int32).reshape(B, T) % 5
FEATURES = np.random.default_rng(0).normal(size=(B, T, 2)).astype(np.float32)
LENGTHS = np.array([4, 2, 1], np.int32)


def drawn(model: Model, widths: Widths, vocabulary: Any = None) -> Exported:
    empty = Exported(model, widths, 6, None, vocabulary, {"task": widths.label})
    return Exported(
        model, widths, 6, empty.network.init(jax.random.key(1)), vocabulary, empty.trained
    )


@pytest.fixture(scope="module")
def network() -> Exported:
    return drawn(Model(GRU(), layers=2, embedding=3, norm=True), TEXT, VOCABULARY)


@pytest.fixture(scope="module")
def written(network: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "network"
    network.write(path)
    return path


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    """One that may be damaged."""
    path = tmp_path / "copy"
    path.mkdir()
    for file in written.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    return path


WITH = """
import sys, numpy
from lstm_lab.export import load
network = load(sys.argv[1])
carry, outputs = network.read(numpy.load("x.npy"))
assert network.vocabulary.decode(numpy.array([0, 4])) == "ae"
"""
# As a folder's README has it.
WITHOUT = """
import os, sys
x, batch = __import__("numpy").load("x.npy"), 3
os.chdir(sys.argv[1])
{readme}
assert "lstm_lab" not in sys.modules
"""
STEPS = """
outputs = []
for t in range(4):
    carry, output = step(weights, carry, x[:, t])
    outputs.append(output)
outputs = numpy.stack(outputs, 1)
"""


def child(script: str, written: Path, place: Path, x: np.ndarray, path: str) -> np.ndarray:
    """Run a script in a process of its own where there is no run and no corpus; what it calls outputs."""
    np.save(place / "x.npy", x)
    out = place / "outputs.npy"
    script += f"\nnumpy.save({str(out)!r}, outputs)\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(written)],
        cwd=place,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return np.load(out)


def readme_code(written: Path) -> str:
    """The code for those without lstm_lab, but for its last line, which uses it."""
    code = (written / folder.README).read_text().split("```python\n")[2].split("```")[0]
    return "\n".join(code.splitlines()[:-1])


def test_another_process_gets_the_same_bits(
    network: Exported, written: Path, tmp_path: Path
) -> None:
    got = child(WITH, written, tmp_path, TOKENS, str(ROOT))
    np.testing.assert_array_equal(got, network.read(TOKENS)[1])


def test_the_step_runs_where_there_is_no_lstm_lab(
    network: Exported, written: Path, tmp_path: Path
) -> None:
    script = WITHOUT.format(readme=readme_code(written)) + STEPS
    got = child(script, written, tmp_path, TOKENS, "")
    np.testing.assert_allclose(got, network.read(TOKENS)[1], rtol=1e-5, atol=1e-6)


def test_step_by_step_is_reading(written: Path) -> None:
    network = load(written)
    carry, outputs = network.initial_carry(B), []
    for t in range(T):
        carry, output = network.step(carry, TOKENS[:, t])
        outputs.append(output)
    final, wanted = network.read(TOKENS)
    np.testing.assert_allclose(np.stack(outputs, 1), wanted, rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, atol=1e-6), carry, final)


@pytest.mark.parametrize(
    "model",
    [Model(GRU(), bidirectional="concat"), Model(GRU(), reverse=True), Model(GRU(), pool="max")],
    ids=lambda model: model.label,
)
def test_what_must_be_read_whole_has_a_reading_and_no_step(model: Model, tmp_path: Path) -> None:
    network = drawn(model, SERIES)
    network.write(tmp_path / "both")
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == [
        "README.md",
        "config.json",
        "read.stablehlo",
        "weights.safetensors",
    ]
    read = jax.export.deserialize(bytearray((tmp_path / "both/read.stablehlo").read_bytes()))
    assert read.platforms == PLATFORMS
    got = read.call(load_file(tmp_path / "both/weights.safetensors"), FEATURES, LENGTHS)
    _, wanted = load(tmp_path / "both").read(FEATURES, lengths=LENGTHS)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    with pytest.raises(UsageError, match="no output before it has read all"):
        network.step(None, FEATURES[:, 0])


def test_the_schedule_of_training_can_be_left(tmp_path: Path) -> None:
    network = drawn(Model(GRU(), schedule=Newton()), SERIES)
    network.write(tmp_path / "newton", ["cpu"])
    assert load(tmp_path / "newton").model == network.model
    other = load(tmp_path / "newton", Sequential())
    np.testing.assert_allclose(
        other.read(FEATURES)[1], network.read(FEATURES)[1], rtol=1e-5, atol=1e-5
    )


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def edit(path: Path, **changes: Any) -> None:
    config = json.loads((path / folder.CONFIG).read_bytes())
    (path / folder.CONFIG).write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: damage(path / "weights.safetensors"), "damaged or changed"),
        (lambda path: damage(path / "step.stablehlo"), "damaged or changed"),
        (lambda path: (path / "vocabulary.json").unlink(), "vocabulary.json: No such file"),
        (lambda path: (path / "config.json").unlink(), "no exported network"),
        (lambda path: edit(path, version=2), "version 2 of the format"),
        (lambda path: edit(path, d_hidden=7), "the model wants"),
        (lambda path: edit(path, d_hidden="six"), "use the release that wrote it, lstm_lab"),
        (lambda path: edit(path, model={"type": "Later"}), "use the release that wrote it"),
        (lambda path: edit(path, files={}), "use the release that wrote it"),
    ],
)
def test_what_is_damaged_is_refused(copy: Path, harm: Any, said: str) -> None:
    harm(copy)
    with pytest.raises(DataError, match=said):
        load(copy)


def test_a_readme_may_be_written_on(copy: Path) -> None:
    damage(copy / folder.README)
    assert load(copy).vocabulary == VOCABULARY


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*.*")}


def test_only_another_network_is_replaced_and_only_if_forced(copy: Path, tmp_path: Path) -> None:
    config, before = {"label": "new"}, contents(tmp_path)
    with pytest.raises(UsageError, match="add --force"):
        folder.write(copy, config, {"a": b"new"}, force=False)
    with pytest.raises(UsageError, match="something else is in it"):
        folder.write(tmp_path, config, {"a": b"new"}, force=True)
    with pytest.raises(UsageError, match="no directory"):
        folder.write(copy / "config.json", config, {"a": b"new"}, force=True)
    assert contents(tmp_path) == before
    folder.write(copy, config, {"a": b"new"}, force=True)
    assert folder.read(copy)[1] == {"a": b"new"}
    assert os.listdir(tmp_path) == ["copy"]


def test_what_cannot_be_put_in_place_leaves_what_was_there(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename = contents(tmp_path), Path.replace

    def refuse_new(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", refuse_new)
    with pytest.raises(StorageError, match="No space left"):
        folder.write(copy, {}, {"a": b"new"}, force=True)
    assert contents(tmp_path) == before
    assert os.listdir(tmp_path) == ["copy"]
