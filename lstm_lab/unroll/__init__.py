"""Schedules: one schedule, one file. How a cell's step becomes a sequence; no schedule knows a cell."""

from lstm_lab.unroll.associative import Associative
from lstm_lab.unroll.base import Schedule
from lstm_lab.unroll.newton import Newton, newton_report
from lstm_lab.unroll.run import unroll
from lstm_lab.unroll.sequential import Sequential

__all__ = ["Associative", "Newton", "Schedule", "Sequential", "newton_report", "unroll"]
