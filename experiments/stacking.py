"""Does stacking help, each layer returning its full sequence to the next?

Claim: several recurrent layers on top of each other learn more than one.
Source: the introduction this lab began with; Graves, Mohamed and Hinton 2013, section 2, found depth more
important than width.
Command: python experiments/stacking.py          (about a minute on two cores)
See: one, two and three LSTM layers with equal parameters, so that depth is paid for in width, on copying symbols and
on the order of two marks far apart. "Better" is the paired difference from one layer, seed by seed.
"""

from dataclasses import replace

from lstm_lab.cells.lstm import LSTM
from lstm_lab.claims import Claim
from lstm_lab.experiment import Evaluation, Experiment, Model, ParameterBudget, main
from lstm_lab.optimizer import Optimizer
from lstm_lab.tasks.copy_memory import CopyMemory
from lstm_lab.tasks.temporal_order import TemporalOrder

COPY = CopyMemory(lag=10, items=5)
ORDER = TemporalOrder(length=30)

experiment = Experiment(
    question="Does stacking help, each layer returning its full sequence to the next?",
    claim="Layers on top of each other learn more than one layer of as many parameters.",
    source="Graves, Mohamed and Hinton 2013, section 2.",
    models=(
        Model(LSTM(), name="1 layer"),
        Model(LSTM(), layers=2, name="2 layers"),
        Model(LSTM(), layers=3, name="3 layers"),
    ),
    tasks=(COPY, ORDER),
    size=ParameterBudget(10_000),
    optimizer=Optimizer(learning_rate=3e-3),
    steps=600,
    batch=64,
    seeds=6,
    evaluate=Evaluation(every=100),
    claims=tuple(
        Claim(f"{layers} layers beat 1: {task.label}", f"{layers} layers", task.label, "accuracy", "above", "model:1 layer")
        for task in (COPY, ORDER)
        for layers in (2, 3)
    ),
)
full = replace(experiment, tasks=(CopyMemory(lag=50), TemporalOrder(length=100)), steps=10_000, claims=())

if __name__ == "__main__":
    main(experiment, full)
