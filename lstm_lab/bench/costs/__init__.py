"""What the lab itself costs: seeds beside each other, the trainer's loop, compiling, memory over long sequences,
drawing text.

Each question is measured in a process of its own, `python -m lstm_lab.bench.costs NAME SETTINGS`, by the very
code that runs experiments, and laid over the devices as there. What is a ratio is taken in turns, round by round,
after both sides have been found to train alike.
"""

from lstm_lab.bench.costs.base import Cost, Question, measured
from lstm_lab.bench.costs.compiling import Compile, SecondStart
from lstm_lab.bench.costs.generation import Generation
from lstm_lab.bench.costs.memory import Memory
from lstm_lab.bench.costs.overhead import Overhead
from lstm_lab.bench.costs.seeds import Seeds
from lstm_lab.bench.costs.table import line, read, record, table

__all__ = [
    "Compile",
    "Cost",
    "Generation",
    "Memory",
    "Overhead",
    "Question",
    "SecondStart",
    "Seeds",
    "every_question",
    "line",
    "measured",
    "quick_questions",
    "read",
    "record",
    "table",
]


def every_question(rounds: int) -> list[Question]:
    """All costs, at the sizes their bars are set for.

    Args:
        rounds: turns of each side, several times as many where the bar is a few percent; or processes one after the
            other.
    """
    return [
        Seeds(rounds=rounds),
        # The shorter a step, the more a single turn is moved by what else the machine does.
        Overhead(rounds=5 * rounds),
        Overhead(hidden=32, rounds=15 * rounds),
        Compile(rounds=rounds),
        SecondStart(rounds=rounds),
        Memory(),
        Generation(rounds=rounds),
    ]


def quick_questions(rounds: int) -> list[Question]:
    """Those that take seconds, the seeds' with shorter sequences."""
    return [
        Seeds(length=49, steps=1, rounds=rounds),
        Compile(rounds=1),
    ]
