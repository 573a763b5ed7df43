"""Whole values from the command line, by the name of their class."""

import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.cells.gru import GRU
from lstm_lab.cells.initial import Chrono, ForgetBias, Orthogonal
from lstm_lab.cells.lstm import LSTM
from lstm_lab.errors import UsageError
from lstm_lab.experiment import Experiment
from lstm_lab.model import Model
from lstm_lab.overrides import override
from lstm_lab.size import FlopBudget
from lstm_lab.tasks.adding import Adding
from lstm_lab.tasks.copy_memory import CopyMemory
from lstm_lab.tasks.recall import Recall
from lstm_lab.unroll import Associative, Sequential

TWO = Experiment(models=(Model(LSTM()), Model(Elman("relu"))))


def test_a_value_is_put_in_place_by_name_and_its_fields_can_be_set_after_it() -> None:
    words = ["--models.1.cell", "gru", "--models.1.cell.reset", "before"]
    changed = override(TWO, words)
    assert changed.models == (Model(LSTM()), Model(GRU("before")))


def test_every_model_that_has_the_field_takes_the_value() -> None:
    changed = override(
        TWO, ["--model.cell.recurrent=orthogonal", "--model.schedule", "Associative"]
    )
    assert [model.cell for model in changed.models] == [
        LSTM(recurrent=Orthogonal()),
        Elman("relu", Orthogonal()),
    ]
    assert {model.schedule for model in changed.models} == {Associative()}


def test_tasks_that_an_option_makes_alike_are_run_once() -> None:
    experiment = Experiment(tasks=(Recall(lag=5), Recall(lag=10)))
    words = ["--task.lag", "7", "--sweep", "optimizer.learning-rate", "0.1", "0.2"]
    trials = list(override(experiment, words).trials())
    assert [(trial.task, trial.optimizer.learning_rate) for trial in trials] == [
        (Recall(lag=7), 0.1),
        (Recall(lag=7), 0.2),
    ]


def test_a_field_only_one_model_has_is_set_there_alone() -> None:
    changed = override(TWO, ["--model.cell.biases", "chrono", "--model.cell.biases.longest", "50"])
    assert changed.models == (Model(LSTM(Chrono(50))), TWO.models[1])


def test_tasks_are_named_likewise_and_all_else_stays() -> None:
    changed = override(TWO, ["--tasks.0", "adding", "--steps", "7", "--model.schedule.remat", "3"])
    assert changed.tasks == (Adding(),)
    assert changed.steps == 7
    assert changed.models[0].schedule == Sequential(remat=3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model.schedule", "sequental"], "schedule: sequental: no such name: did you mean"),
        # An LSTM is known here, but is no schedule.
        (["--model.schedule", "lstm"], "schedule: lstm: no such name"),
        (["--model.cell"], "cell: nothing: no such name: use CausalAttention"),
        (["--tasks.7", "adding"], "--tasks.7: no such option"),
        (["--model.sell", "GRU"], "did you mean --model.cell"),
    ],
)
def test_what_does_not_stand_there_is_refused_in_one_line(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as refusal:
        override(TWO, words)
    assert "\n" not in str(refusal.value)


def test_models_and_tasks_are_chosen_by_class_or_label_before_new_ones_are_made() -> None:
    models = (Model(LSTM(ForgetBias(2.0)), name="mine"), Model(LSTM()), Model(GRU()))
    experiment = Experiment(models=models, tasks=(Recall(lag=3), Recall(lag=7), Adding(length=9)))
    words = ["--cells", "lstm", "Elman", "--tasks", "recall-lag-7", "Adding", "copy-memory"]
    changed = override(experiment, words)
    assert changed.models[:2] == models[:2]
    assert [model.label for model in changed.models[2:]] == ["Elman"]
    assert changed.tasks == (Recall(lag=7), Adding(length=9), CopyMemory())
    assert override(experiment, ["--cells", "MINE"]).models == models[:1]
    with pytest.raises(UsageError, match="--tasks: recal: no such name: did you mean Recall"):
        override(experiment, ["--tasks", "recal"])


def test_numbers_side_by_side_and_a_footing_by_name() -> None:
    words = ["--search", "1e-2", "3e-3", "--longer", "2", "4", "--solved-at", "task"]
    changed = override(Experiment(), [*words, "--size", "flop-budget", "--size.flops", "9000"])
    assert (changed.search, changed.longer, changed.solved_at) == ((1e-2, 3e-3), (2, 4), "task")
    assert changed.size == FlopBudget(9_000)
    assert override(TWO, ["--seconds", "3.5"]).seconds == 3.5
