"""From an experiment to its directories: what is left is run, what is missing is named, what fails is counted."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.errors import AbsentError, CrashError, SweepIncomplete, UsageError
from lstm_lab.experiment import Experiment
from lstm_lab.launch.base import Outcome, Terms
from lstm_lab.launch.here import Here
from lstm_lab.launch.workers import Workers
from lstm_lab.model import Model
from lstm_lab.optimizer import Optimizer
from lstm_lab.progress import Silent
from lstm_lab.runner import run
from lstm_lab.size import Hidden
from lstm_lab.tasks.adding import Adding
from lstm_lab.tasks.recall import Recall
from lstm_lab.trial import Evaluation, Trial


@dataclass(frozen=True)
class Lost(Recall):
    """A task whose data nobody has brought."""

    def validate(self) -> None:
        raise AbsentError("lost.gz: not there: give --data-dir")


TINY = Experiment(
    name="tiny",
    models=(Model(Elman()), Model(GRU())),
    tasks=(Recall(lag=3),),
    size=Hidden(4),
    steps=4,
    batch=4,
    seeds=2,
    evaluate=Evaluation(every=2, batch=8, batches=1),
)


class Listener(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def finish(self, line: str) -> None:
        self.lines.append(line)


def results(parent: Path) -> dict[str, Any]:
    found = parent.glob("*/result.json")
    return {path.parent.name: json.loads(path.read_text()) for path in found}


def test_a_search_is_one_program_and_each_rate_a_trial(tmp_path: Path) -> None:
    experiment = replace(TINY, models=TINY.models[:1], search=(1e-2, 1e-3), longer=(2,))
    listener = Listener()
    run(experiment, tmp_path, "lstm-lab run tiny.py", listener)
    found = list(results(tmp_path / "tiny").values())
    assert sorted(r["optimizer"]["learning_rate"] for r in found) == [1e-3, 1e-2]
    assert {(r["model"], r["task"]) for r in found} == {("Elman", "Recall lag 3")}
    for result in found:
        (elsewhere,) = result["elsewhere"]
        assert elsewhere["task"] == "Recall lag 6"
        assert elsewhere["task_config"]["lag"] == 6
        assert len(elsewhere["scores"]["accuracy"]) == 2
        assert result["solved"] == {"accuracy": 0.99}
    for launcher in (None, Workers(2)):
        run(experiment, tmp_path, "lstm-lab run tiny.py", listener, launcher=launcher)
        assert listener.lines[-1] == "tiny: 2 of 2 trials done before"


def test_a_launcher_knows_of_how_many_groups_it_has_the_rest(tmp_path: Path) -> None:
    class Asked(Here):
        def run(self, groups: Any, parent: Path, terms: Terms, *more: Any) -> Any:
            asked.append((len(groups), terms.groups))
            return super().run(groups, parent, terms, *more)

    asked: list[tuple[int, int | None]] = []
    for only in ("gru", ""):
        run(TINY, tmp_path, "lstm-lab run tiny.py", Silent(), launcher=Asked(), only=only)
    assert asked == [(1, 2), (1, 2)]


def test_only_what_is_asked_for_is_run_and_every_row_has_its_command(tmp_path: Path) -> None:
    run(TINY, tmp_path, "lstm-lab run tiny.py", Silent(), only="gru")
    (name,) = results(tmp_path / "tiny")
    assert name.startswith("gru")
    index = json.loads((tmp_path / "tiny" / "experiment.json").read_text())
    assert [t["command"] for t in index["trials"] if t["id"] == name] == [
        f"lstm-lab run tiny.py --only {name}"
    ]
    assert len(index["trials"]) == 2
    with pytest.raises(UsageError, match="only: 'lru': no such trial: their ids are elman"):
        run(TINY, tmp_path, "lstm-lab run tiny.py", Silent(), only="lru")


def test_a_task_without_its_data_is_named_and_the_rest_is_run(tmp_path: Path) -> None:
    experiment = replace(TINY, tasks=(Lost(lag=3), Recall(lag=3)), models=TINY.models[:1])
    experiment.validate()
    listener = Listener()
    run(experiment, tmp_path, "lstm-lab run tiny.py", listener)
    assert listener.lines[0] == "Recall lag 3: not run: lost.gz: not there: give --data-dir"
    assert len(results(tmp_path / "tiny")) == 1
    (failure,) = (tmp_path / "tiny").glob("*/failure.json")
    assert json.loads(failure.read_text())["status"] == "not run"
    with pytest.raises(AbsentError):
        replace(experiment, tasks=(Lost(lag=3),)).validate()


def test_what_diverges_is_counted_and_the_rest_is_run(tmp_path: Path) -> None:
    experiment = replace(
        TINY, tasks=(Adding(length=8),), optimizer=Optimizer("sgd", clip=0.0), search=(1e-3, 1e30)
    )
    with pytest.raises(SweepIncomplete, match="2 of 4 trials failed") as refusal:
        run(experiment, tmp_path, "lstm-lab run tiny.py", Silent())
    assert refusal.value.exit_code == 8
    assert len(results(tmp_path / "tiny")) == 2
    said = [json.loads(p.read_text()) for p in (tmp_path / "tiny").glob("*/failure.json")]
    assert [entry["status"] for entry in said] == ["diverged", "diverged"]


def test_a_trial_that_had_its_result_has_not_failed_with_its_group(tmp_path: Path) -> None:
    class Late(Here):
        """Dies after its groups' results are written, before it can say so."""

        def run(self, *asked: Any) -> Iterator[tuple[Trial, Outcome]]:
            for trial, _ in super().run(*asked):
                yield trial, CrashError("its process ended by signal 9")

    run(TINY, tmp_path, "lstm-lab run tiny.py", Silent(), launcher=Late())
    assert len(results(tmp_path / "tiny")) == 2


def test_equal_seconds_end_training_early(tmp_path: Path) -> None:
    experiment = replace(TINY, steps=100_000, seconds=0.2, evaluate=Evaluation(50, 8, 1))
    run(experiment, tmp_path, "lstm-lab run tiny.py", Silent())
    for result in results(tmp_path / "tiny").values():
        (steps,) = set(result["steps"])
        assert 0 < steps < 100_000
        assert steps % 50 == 0


def test_a_search_and_a_sweep_of_the_learning_rate_exclude_each_other() -> None:
    from lstm_lab.sweep import Sweep

    with pytest.raises(UsageError, match=r"search: .* swept as well"):
        replace(TINY, search=(1e-3,), sweeps=(Sweep(),)).validate()
