"""Does reading in both directions help to tell a surname's language?

Claim: a name's letters say where it is from, its ending above all; reading both ways is right more often than forward.
Source: Robertson 2017, "Classifying names with a character-level RNN", the data; rows that occur twice count once here.
Graves and Schmidhuber 2005 on both directions.
Command: lstm-lab run experiments/names.py --data-dir DIR      (two minutes on two cores; DIR has the names)
See: three LSTMs of equal size, forward, backward and both, beside a logistic regression on runs of one to three
letters, which sees a name's ends but no order beyond. More than half of the names are Russian, so balanced accuracy,
the mean over 18 languages, stands beside accuracy. Each tries the same learning rates, chosen on the validation part
as is the regression's penalty; the test part is scored once.
"""

from dataclasses import replace

from lstm_lab.cells.lstm import LSTM
from lstm_lab.claims import Claim
from lstm_lab.experiment import Experiment, main
from lstm_lab.model import Model
from lstm_lab.optimizer import Optimizer
from lstm_lab.regularisers.variational_dropout import VariationalDropout
from lstm_lab.size import ParameterBudget
from lstm_lab.tasks.labelled_text import LabelledText
from lstm_lab.trial import Evaluation

READER = Model(VariationalDropout(LSTM(), output=0.2), embedding=24)

experiment = Experiment(
    question="Does reading in both directions help to tell a surname's language?",
    claim="A name's letters say where it is from, and reading them both ways is right more often than forward.",
    source="Robertson 2017, the data; Graves and Schmidhuber 2005, both directions.",
    models=(
        replace(READER, name="forward"),
        replace(READER, reverse=True, name="backward"),
        replace(READER, bidirectional="concat", name="both ways"),
    ),
    tasks=(LabelledText("names_by_language", unit="character", length=20),),
    size=ParameterBudget(16_000),
    optimizer=Optimizer(decay="cosine"),
    search=(3e-2, 1e-2),
    steps=800,
    batch=32,
    seeds=6,
    evaluate=Evaluation(every=200),
    claims=(
        Claim(
            "reading both ways beats reading forward",
            "both ways",
            "*",
            "accuracy",
            "above",
            "model:forward",
        ),
        Claim(
            "reading both ways beats reading forward in the mean over languages",
            "both ways",
            "*",
            "balanced_accuracy",
            "above",
            "model:forward",
        ),
        Claim(
            "where one direction must do, backward beats forward: endings tell",
            "backward",
            "*",
            "accuracy",
            "above",
            "model:forward",
        ),
        Claim(
            "an LSTM that reads both ways beats counting runs of letters",
            "both ways",
            "*",
            "accuracy",
            "above",
            "baseline:logistic regression*",
        ),
        Claim(
            "it beats counting in the mean over languages",
            "both ways",
            "*",
            "balanced_accuracy",
            "above",
            "baseline:logistic regression*",
        ),
    ),
)
full = replace(
    experiment,
    size=ParameterBudget(100_000),
    search=(3e-2, 1e-2, 3e-3),
    steps=6_000,
    batch=64,
    seeds=10,
    evaluate=Evaluation(every=500),
)

if __name__ == "__main__":
    main(experiment, full)
