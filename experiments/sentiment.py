"""Does reading in both directions help to tell a good review from a bad one?

Claim: on real sentences a network that reads both ways is right more often than one that reads forward.
Source: Graves and Schmidhuber 2005, who found it on speech; that bags of bigrams are hard to beat on short texts, Wang
and Manning 2012.
Command: lstm-lab run experiments/sentiment.py --data-dir DIR      (two minutes on two cores; DIR has uci_sentiment)
See: five LSTMs of equal size: forward, backward, both, read off their last steps or the maximum over all, beside a
logistic regression on words and pairs of them. Each tries the same learning rates, chosen on the validation part as
are the regression's penalty and, alike for all, steps and dropout; the test part is scored once. Other texts:
--task.source sms_spam, mine.csv, or hub:stanfordnlp/imdb with --task.test hub:stanfordnlp/imdb:test.
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

# Few sentences: words are dropped, and what the network shows.
READER = Model(
    VariationalDropout(LSTM(), input=0.2, output=0.5), embedding=32, embedding_dropout=0.4
)

experiment = Experiment(
    question="Does reading in both directions help to tell a good review from a bad one?",
    claim="On real sentences a network that reads both ways is right more often than one that reads forward.",
    source="Graves and Schmidhuber 2005, on speech; Wang and Manning 2012, on bags of bigrams.",
    models=(
        replace(READER, name="forward, last"),
        replace(READER, reverse=True, name="backward, last"),
        replace(READER, bidirectional="concat", name="both ways, last"),
        replace(READER, pool="max", name="forward, maximum"),
        replace(READER, bidirectional="concat", pool="max", name="both ways, maximum"),
    ),
    tasks=(LabelledText("uci_sentiment", length=40),),
    size=ParameterBudget(72_000),
    optimizer=Optimizer(decay="cosine"),
    search=(3e-2, 1e-2),
    steps=200,
    batch=32,
    seeds=6,
    evaluate=Evaluation(every=100, batch=298),
    claims=(
        Claim(
            "reading both ways beats reading forward, last steps",
            "both ways, last",
            "*",
            "accuracy",
            "above",
            "model:forward, last",
        ),
        Claim(
            "reading both ways beats reading forward, maximum over steps",
            "both ways, maximum",
            "*",
            "accuracy",
            "above",
            "model:forward, maximum",
        ),
        Claim(
            "reading backward is worse than reading forward",
            "backward, last",
            "*",
            "accuracy",
            "below",
            "model:forward, last",
        ),
        Claim(
            "an LSTM that reads both ways beats counting words and bigrams",
            "both ways, *",
            "*",
            "accuracy",
            "above",
            "baseline:logistic regression*",
        ),
    ),
)
full = replace(
    experiment,
    size=ParameterBudget(200_000),
    search=(3e-2, 1e-2, 3e-3),
    steps=2_000,
    seeds=10,
    evaluate=Evaluation(every=250, batch=298),
)

if __name__ == "__main__":
    main(experiment, full)
