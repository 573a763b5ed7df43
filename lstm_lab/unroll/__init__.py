"""Schedules: how a cell's step becomes a sequence. Only CuDNN knows a cell."""

from lstm_lab.unroll.associative import Associative
from lstm_lab.unroll.auto import Auto
from lstm_lab.unroll.base import Schedule
from lstm_lab.unroll.cudnn import CuDNN
from lstm_lab.unroll.newton import Newton, newton_report
from lstm_lab.unroll.run import unroll
from lstm_lab.unroll.sequential import Sequential

__all__ = [
    "Associative",
    "Auto",
    "CuDNN",
    "Newton",
    "Schedule",
    "Sequential",
    "newton_report",
    "unroll",
]
