"""Does it learn as fast as a published run of the same, epoch by epoch?

Claim: one LSTM of 128 units, trained as Keras' text generation example trains it, loses what that one printed.
Source: Chollet 2015, "Character-level text generation with LSTM", Keras code examples, run again with Keras 3.0.
Command: lstm-lab run experiments/nietzsche.py --task.corpus nietzsche.txt     (ten minutes on two cores; --full for
all 40 epochs and six seeds)
What differs: matrices are drawn as PyTorch draws them, not Glorot and orthogonal; RMSprop's epsilon is 1e-8, not 1e-7;
an epoch's last, short batch is left out.
See: the training loss of every epoch beside the printed one. The progress bar there showed the mean of running means,
and so does the table here. The loss after the last epoch is of windows that were trained on: nothing is held out.
"""

from dataclasses import replace

from lstm_lab.cells.lstm import LSTM
from lstm_lab.claims import Claim
from lstm_lab.experiment import Experiment, main
from lstm_lab.model import Model
from lstm_lab.optimizer import Optimizer
from lstm_lab.size import Hidden
from lstm_lab.tasks.next_character import NextCharacter
from lstm_lab.trial import Evaluation

# 200,285 windows make so many batches of 128.
EPOCH = 1_564


def ends_at(printed: float, epochs: int) -> tuple[Claim, ...]:
    """Claim that the loss is the printed one when training ends, to what two runs of the same may differ by."""
    said = (
        f"after {epochs} epochs an LSTM loses what was printed there, {printed}, give or take 0.05"
    )
    return (Claim(said, "LSTM", "*", "loss", "equal", printed, tolerance=0.05, possible=True),)


experiment = Experiment(
    question="Does it learn as fast as a published run of the same?",
    claim="An LSTM of 128 units loses, epoch by epoch, what Keras' text generation example printed.",
    source="Chollet 2015, Character-level text generation with LSTM, Keras code examples.",
    models=(Model(LSTM(), name="LSTM"),),
    tasks=(NextCharacter(),),
    size=Hidden(128),
    optimizer=Optimizer(method="rmsprop", learning_rate=1e-2, clip=0.0),
    steps=6 * EPOCH,
    batch=128,
    seeds=2,
    evaluate=Evaluation(every=EPOCH),
    claims=ends_at(1.3667, epochs=6),
)
full = replace(experiment, steps=40 * EPOCH, seeds=6, claims=ends_at(1.2021, epochs=40))

if __name__ == "__main__":
    main(experiment, full)
