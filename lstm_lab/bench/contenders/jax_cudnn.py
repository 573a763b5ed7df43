"""NVIDIA's LSTM through `jax.experimental.rnn`."""

from lstm_lab.bench.contenders.ours import Ours
from lstm_lab.bench.workload import Workload
from lstm_lab.unroll import CuDNN, Schedule


class JaxCuDNN(Ours):
    """One call of cuDNN for all steps, trained as ours is."""

    name = "jax.experimental.rnn"

    @staticmethod
    def schedule() -> Schedule:
        return CuDNN()

    @classmethod
    def version(cls) -> str:
        import jax

        if jax.default_backend() != "gpu":
            raise ImportError("it needs an NVIDIA GPU")
        return str(jax.__version__)

    @staticmethod
    def refusal(workload: Workload) -> str:
        if workload.cell != "LSTM" or workload.lengths:
            return "here it runs the LSTM, and without lengths"
        return ""
