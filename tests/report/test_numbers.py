"""How numbers are printed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_lab.report.numbers import count, interval, number, over_seeds


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.88, 0.93, 0.97], "0.93 [0.88, 0.97]"),
        ([0.996, 0.998, 1.0], "0.998 [0.996, 1.000]"),
        ([1.0, 1.0, 1.0], "1.00 [1.00, 1.00]"),
        ([0.1, 0.9, 1.0], "0.90 [0.10, 1.00]"),
        ([1.429, 1.4312, 1.433], "1.431 [1.429, 1.433]"),
        ([-0.31, -0.2, 0.05], "−0.20 [−0.31, 0.05]"),
        ([120.0, 130.0, 180.0], "130 [120, 180]"),
        ([2e-5, 3e-5, 4e-4], "3.00×10⁻⁵ [2.00×10⁻⁵, 4.00×10⁻⁴]"),
        ([0.5], "0.5"),
        ([0.4, None, 0.6], "0.50 [0.40, 0.60] (2 of 3 seeds)"),
        ([400.0, 500.0, math.inf], "500 [400, ∞]"),
        ([None], "–"),
        ([], "–"),
    ],
)
def test_intervals(values: list[float | None], text: str) -> None:
    assert interval(over_seeds(values)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.5, "0.5"), (1234.0, "1,234"), (2e6, "2.00×10⁶"), (-1e-4, "−1.00×10⁻⁴")],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_counts() -> None:
    assert (count(5123), count(math.nan)) == ("5,123", "–")


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_float_prints_on_one_line(value: float) -> None:
    text = number(value) + interval(over_seeds([value, value, 0.5]))
    assert text
    assert "\n" not in text
    assert "e+" not in text
