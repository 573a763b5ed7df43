"""Writing with a network by itself."""

from pathlib import Path
from typing import Any

from lstm_lab.architecture import Architecture
from lstm_lab.errors import UsageError
from lstm_lab.export.exported import load
from lstm_lab.text.vocabulary import Vocabulary
from lstm_lab.text.writer import Writer


class ExportedWriter(Writer):
    """An exported network of a text, ready to continue prompts.

    Args:
        folder: that `lstm-lab export` wrote.

    Raises:
        DataError: as `load`.
        UsageError: the network was not trained on text, or reads both ways.
    """

    def __init__(self, folder: Path) -> None:
        self.exported = load(folder)
        if self.exported.vocabulary is None or not self.exported.steps:
            raise UsageError(
                f"{folder}: {self.exported.model.label} on {self.exported.widths.label}: "
                "name a network that reads text forward"
            )
        self._vocabulary = self.exported.vocabulary

    @property
    def vocabulary(self) -> Vocabulary:
        """What the network's symbols stand for."""
        return self._vocabulary

    def network(self) -> tuple[Architecture, Any]:
        """The network and its parameters."""
        return self.exported.network, self.exported.params
