"""Schedules: one schedule, one file. How a cell's step becomes a sequence; only CuDNN knows a cell."""

from lstm_lab.unroll.associative import Associative
from lstm_lab.unroll.auto import Auto
from lstm_lab.unroll.base import Schedule
from lstm_lab.unroll.cudnn import CuDNN
from lstm_lab.unroll.run import unroll
from lstm_lab.unroll.sequential import Sequential

__all__ = ["Associative", "Auto", "CuDNN", "Schedule", "Sequential", "unroll"]
