"""How well do a few minutes on two cores predict Shakespeare?

Claim: one layer of LSTM, trained for at most fifteen minutes on two cores, loses at most 1.50 nats per character of
text it has not seen.
Source: Karpathy 2015, char-rnn, whose text and split (95 to 5) this is. For comparison, on a 90 to 10 split: 1.47 of a
transformer of ten million weights (Karpathy 2022, nanoGPT), 1.55 of a minLSTM (Feng et al. 2024), both on a GPU.
Command: lstm-lab run experiments/tinyshakespeare.py --task.corpus tinyshakespeare.txt   (7 to 11 minutes on two cores)
The settings were written down before the first run, which gave 1.479 after 802 seconds. They have not been changed:
since the loop is quicker, and sums in another order, they gave 1.481 after 383, and on a slower processor 1.491 after
651.
See: nats per character on the last twentieth of the text beside Markov models and xz of the same split.
"""

from dataclasses import replace

from lstm_lab.cells.lstm import LSTM
from lstm_lab.claims import Claim
from lstm_lab.experiment import Experiment, main
from lstm_lab.model import Model
from lstm_lab.optimizer import Optimizer
from lstm_lab.probe.text_sample import TextSample
from lstm_lab.size import Hidden
from lstm_lab.tasks.text import Text
from lstm_lab.trial import Evaluation

experiment = Experiment(
    question="How well do a few minutes on two cores predict Shakespeare?",
    claim="One layer of LSTM loses at most 1.50 nats per character of text it has not seen.",
    source="Karpathy 2015, The unreasonable effectiveness of recurrent neural networks.",
    models=(Model(LSTM(), embedding=64, input_dropout=0.1, output_dropout=0.25, name="LSTM"),),
    tasks=(Text(length=64, validation=0.05),),
    size=Hidden(512),
    optimizer=Optimizer(learning_rate=4e-3, decay="cosine", warmup=100),
    steps=4_200,
    batch=32,
    seeds=1,
    evaluate=Evaluation(every=600, batch=32),
    probes=(TextSample(),),
    claims=(
        Claim(
            "a network can lose at most 1.50 nats per character",
            "LSTM",
            "*",
            "loss",
            "at most",
            1.5,
            possible=True,
        ),
    ),
)
full = replace(
    experiment,
    models=(
        Model(
            LSTM(),
            layers=3,
            embedding=128,
            dropout=0.3,
            input_dropout=0.1,
            output_dropout=0.3,
            name="LSTM",
        ),
    ),
    optimizer=Optimizer(learning_rate=2e-3, decay="cosine", warmup=500),
    steps=21_000,
    batch=64,
    seeds=6,
)

if __name__ == "__main__":
    main(experiment, full)
