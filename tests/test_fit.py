"""One trial from start to result: repeatable, resumable to the bit, and never saved broken."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.checkpoint import Checkpoints
from lstm_lab.errors import CheckpointError, DataError, Interrupted, NonFiniteError
from lstm_lab.fit import fit
from lstm_lab.optimizer import Optimizer
from lstm_lab.program import Program
from lstm_lab.progress import Silent
from lstm_lab.rundir import read_metrics
from lstm_lab.signals import Stop
from lstm_lab.tasks.recall import Recall
from lstm_lab.tasks.text import Text
from lstm_lab.trial import Evaluation, Trial

TINY = Trial(
    task=Recall(lag=4),
    d_hidden=4,
    steps=20,
    batch=4,
    seeds=2,
    evaluate=Evaluation(every=5, batch=8, batches=1),
)


def final(trial: Trial, directory: Path) -> tuple[int, list[bytes]]:
    """The newest checkpoint's step and the bytes of its leaves."""
    template = Program(trial).template()
    found = Checkpoints(directory / "checkpoints").latest(
        {"state": template, "best": template.params}
    )
    assert found is not None
    leaves = [
        jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        for leaf in jax.tree.leaves(found[1])
    ]
    return found[0], [np.asarray(leaf).tobytes() for leaf in leaves]


def rows(directory: Path) -> list[dict[str, Any]]:
    """The metrics, without the one field that another run may not repeat."""
    found = read_metrics(directory / "metrics.jsonl")
    return [{name: value for name, value in row.items() if name != "time"} for row in found]


class StopAt(Silent):
    """Asks for an end once a step is reached, as a signal would."""

    def __init__(self, step: int) -> None:
        self.step, self.stop = step, Stop()

    def update(self, step: int, *rest: Any) -> None:
        if step >= self.step:
            self.stop.signum = signal.SIGTERM


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole") / "run"
    fit(TINY, directory)
    return directory


def test_the_result_says_what_was_run_and_what_came_of_it(whole: Path) -> None:
    result = json.loads((whole / "result.json").read_text())
    assert (result["trial"], result["status"]) == (TINY.id, "finished")
    assert (result["model"], result["task"]) == (TINY.model.label, "Recall lag 4")
    assert (result["seeds"], result["steps"], result["max_steps"]) == ([0, 1], [20, 20], 20)
    assert (result["metric"], result["higher_is_better"]) == ("accuracy", True)
    assert (result["d_hidden"], result["batch"]) == (4, 4)
    assert result["solved_step"] == [None, None]
    assert result["parameters"] > 0
    assert len(result["final"]["accuracy"]) == len(result["best"]["accuracy"]) == 2
    assert result["chance"]["accuracy"] == pytest.approx(1 / 8)
    found = [(row["step"], row["seed"], row["split"]) for row in rows(whole)]
    wanted = [
        (s, k, split) for s in (5, 10, 15, 20) for split in ("train", "validation") for k in (0, 1)
    ]
    assert found == wanted
    validation = [r for r in rows(whole) if r["split"] == "validation"]
    for seed in (0, 1):
        mine = [r["accuracy"] for r in validation if r["seed"] == seed]
        assert result["best"]["accuracy"][seed] == max(mine)
        assert result["best"]["step"][seed] == 5 * (mine.index(max(mine)) + 1)


def test_a_finished_trial_is_not_run_again(whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*.json*")}
    assert fit(TINY, whole) == json.loads((whole / "result.json").read_text())
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*.json*")} == before


def test_two_runs_are_the_same_to_the_bit(whole: Path, tmp_path: Path) -> None:
    fit(TINY, tmp_path, save_every=0)
    assert final(TINY, tmp_path) == final(TINY, whole)
    assert rows(tmp_path) == rows(whole)


def test_an_interrupted_run_goes_on_to_the_same_bits(whole: Path, tmp_path: Path) -> None:
    for step in (5, 15):
        watcher = StopAt(step)
        with pytest.raises(Interrupted, match=f"at step {step}") as caught:
            fit(TINY, tmp_path, stop=watcher.stop, watcher=watcher)
        assert caught.value.exit_code == 143
        assert final(TINY, tmp_path)[0] == step
        assert not (tmp_path / "result.json").exists()
    # Rows written after the last save, by a process that was then killed.
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 20, "seed": 0}\n{"step": 2')
    fit(TINY, tmp_path)
    assert final(TINY, tmp_path) == final(TINY, whole)
    assert rows(tmp_path) == rows(whole)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("the cat sat on the mat and the dog on the log. " * 4)
    return str(path)


@pytest.mark.parametrize("jitter", [0, 2])
def test_a_text_goes_on_where_it_was_left_with_the_state_it_left(
    tmp_path: Path, corpus: str, jitter: int
) -> None:
    """A pass has 7 windows: the stops are within one, and after another has begun."""
    trial = replace(TINY, task=Text(corpus=corpus, length=6, jitter=jitter))
    fit(trial, tmp_path / "whole")
    for step in (5, 10):
        watcher = StopAt(step)
        with pytest.raises(Interrupted, match=f"at step {step}"):
            fit(trial, tmp_path / "parts", stop=watcher.stop, watcher=watcher)
    fit(trial, tmp_path / "parts")
    assert final(trial, tmp_path / "parts") == final(trial, tmp_path / "whole")
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


def test_another_trial_s_directory_is_refused(tmp_path: Path) -> None:
    watcher = StopAt(5)
    with pytest.raises(Interrupted):
        fit(TINY, tmp_path, stop=watcher.stop, watcher=watcher)
    with pytest.raises(CheckpointError, match="another configuration"):
        fit(replace(TINY, batch=8), tmp_path)


@pytest.mark.parametrize("every", [5, 1])
def test_what_is_not_finite_ends_the_run_and_is_not_saved(tmp_path: Path, every: int) -> None:
    broken = replace(
        TINY,
        # Gates saturate and hide smaller ones: this one overflows within a few steps.
        optimizer=Optimizer("sgd", learning_rate=3e38, clip=0, momentum=0.9),
        evaluate=replace(TINY.evaluate, every=every),
        task=Recall(lag=1, symbols=2),
    )
    with pytest.raises(NonFiniteError, match=r"at step \d+") as caught:
        fit(broken, tmp_path, save_every=0)
    assert 1 <= caught.value.step <= 20
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert (failure["status"], failure["trial"]) == ("diverged", broken.id)
    assert f"step {caught.value.step}" in failure["reason"]
    assert not (tmp_path / "result.json").exists()
    template = Program(broken).template()
    found = Checkpoints(tmp_path / "checkpoints").latest(
        {"state": template, "best": template.params}
    )
    if found is not None:
        for leaf in jax.tree.leaves((found[1]["state"].params, found[1]["best"])):
            assert np.isfinite(leaf).all()


def test_each_seed_stops_when_it_has_solved_the_task(tmp_path: Path) -> None:
    rough = fit(replace(TINY, evaluate=Evaluation(5, 64, 1)), tmp_path / "rough")
    scores = rows(tmp_path / "rough")
    by_seed = {
        seed: [r["accuracy"] for r in scores if r["split"] == "validation" and r["seed"] == seed]
        for seed in (0, 1)
    }
    # A mark that one seed reaches and, where scores differ, the other reaches later or never.
    mark = max(max(values) for values in by_seed.values())
    trial = replace(TINY, evaluate=Evaluation(5, 64, 1), solved_at=mark)
    result = fit(trial, tmp_path / "stopped")
    wanted = [
        next((5 * (i + 1) for i, v in enumerate(by_seed[seed]) if v >= mark), None)
        for seed in (0, 1)
    ]
    assert any(wanted)
    assert rough["solved_step"] == [None, None]
    assert result["solved_step"] == wanted
    assert result["steps"] == [step or 20 for step in wanted]
    for seed in (0, 1):
        last = max(row["step"] for row in rows(tmp_path / "stopped") if row["seed"] == seed)
        assert last == result["steps"][seed]


def test_a_corpus_that_has_changed_is_refused_with_both_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("the cat sat on the mat. " * 20)
    task = Text(corpus=str(corpus), length=8)
    trial = replace(TINY, task=task)
    before = task.sha256()
    watcher = StopAt(5)
    with pytest.raises(Interrupted):
        fit(trial, tmp_path / "run", stop=watcher.stop, watcher=watcher)
    vocabulary = tmp_path / "run" / "vocabulary.json"
    kept = vocabulary.read_text()
    assert json.loads(kept)["symbols"] == list(" .acehmnost")
    vocabulary.write_text(kept.replace("a", "b"))
    with pytest.raises(DataError, match=r"vocabulary\.json is not what the corpus"):
        fit(trial, tmp_path / "run")
    vocabulary.write_text(kept)
    corpus.write_text("the dog sat on the mat. " * 20)
    # A process reads a corpus once; another process would read it anew.
    for cached in ("_opened", "_tokenised"):
        getattr(__import__("lstm_lab.tasks.text", fromlist=["_"]), cached).cache_clear()
    after = task.sha256()
    assert before != after
    with pytest.raises(DataError) as caught:
        fit(trial, tmp_path / "run")
    assert before in str(caught.value)
    assert after in str(caught.value)
