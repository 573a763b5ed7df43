"""What somebody else has published of the same training, to lie beside ours."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """The training loss, epoch by epoch.

    Attributes:
        name: what tables and legends call it.
        source: where it stands.
        every: steps of an epoch.
        values: the loss over each epoch, in nats, the first epoch's first.
        running: whether each value is the mean, over the epoch's steps, of the mean loss up to that step; else it is
            the mean loss of the epoch. The progress bar of Keras 3.0 showed the former (`Progbar.update` averages
            logs that are running means already), which makes the first epochs look worse than they were.
    """

    name: str
    source: str
    every: int
    values: tuple[float, ...]
    running: bool = False
