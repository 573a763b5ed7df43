"""A probe measures what a network remembers; one probe, one file."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from lstm_lab.tasks.base import Task

if TYPE_CHECKING:
    from lstm_lab.model import Model
    from lstm_lab.train import Network


class Probe(ABC):
    """A measurement of one network; subclasses are frozen dataclasses whose every field has a default.

    Attributes:
        name: its key in a result.
        moments: when it is taken: "before" training, "after" it, or both.
    """

    name: ClassVar[str]
    moments: ClassVar[tuple[str, ...]] = ("after",)

    def applies(self, model: "Model", task: Task) -> bool:
        """Whether this probe says anything of such a model on such a task; by default of every one."""
        del model, task
        return True

    @abstractmethod
    def measure(self, network: "Network", params: Any, data: Any) -> dict[str, Any]:
        """Measure.

        Args:
            network: the model and its task.
            params: parameters of all seeds, NumPy leaves `[S, ...]`.
            data: what the task's `load` returned.

        Returns:
            Numbers, texts and lists for the result file; a list over seeds where they differ.
        """
