"""How numbers are printed: as many digits as the interval supports, and no more."""

import math
from collections.abc import Iterable

from lstm_lab.stats import Summary, summary

UNITS = {
    "accuracy": "fraction",
    "loss": "nats",
    "bits": "bits",
    "bits_per_byte": "bits per byte",
    "mse": "squared error",
    "error": "absolute error",
    "relative_error": "fraction",
}

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MISSING = "–"


def over_seeds(values: Iterable[float | None]) -> Summary:
    """Summarise numbers that come from JSON, where null stands for none.

    Args:
        values: one per seed.

    Returns:
        Median and interval.
    """
    return summary([None if value is None else float(value) for value in values])


def number(value: float, decimals: int | None = None) -> str:
    """Print a measured number.

    Args:
        value: the number; NaN prints as a dash.
        decimals: places after the point; three significant digits where None.

    Returns:
        The number, with a real minus sign and powers of ten below 0.001 and from a million.

    >>> number(0.125), number(-1234.5), number(4.2e-7), number(float("nan"))
    ('0.125', '−1,234', '4.20×10⁻⁷', '–')
    """
    if math.isnan(value):
        return _MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value and decimals is None and not 1e-3 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPT)}".replace("-", "−")
    if decimals is None:
        decimals = max(0, 2 - _magnitude(value))
        text = f"{value:,.{decimals}f}"
        return (text.rstrip("0").rstrip(".") if decimals else text).replace("-", "−")
    # What rounds to zero has no sign.
    return f"{value:z,.{decimals}f}".replace("-", "−")


def scored(value: float) -> str:
    """Print a score known without spread, with three significant digits, so that a column lines up.

    >>> scored(1.4), scored(0.97912)
    ('1.40', '0.979')
    """
    plain = math.isfinite(value) and 1e-3 <= abs(value) < 1e3
    return number(value, max(0, 2 - _magnitude(value))) if plain else number(value)


def interval(measured: Summary | None) -> str:
    """Print a median with its 95% interval.

    Args:
        measured: what :func:`lstm_lab.stats.summary` made; None prints as a dash.

    Returns:
        The median, then the interval in brackets, all to the same place; how many seeds it rests
        on where some gave no number; the median alone with one seed.

    >>> interval(over_seeds([0.88, 0.93, 0.97])), interval(over_seeds([0.5])), interval(None)
    ('0.93 [0.88, 0.97]', '0.5', '–')
    """
    if measured is None or math.isnan(measured.median):
        return _MISSING
    some = f" ({measured.n} of {measured.n + measured.missing} seeds)" if measured.missing else ""
    if measured.interval is None:
        return number(measured.median) + some
    parts = (measured.median, measured.low, measured.high)
    largest = max((abs(part) for part in parts if math.isfinite(part)), default=0.0)
    if largest and not 1e-3 <= largest < 1e6:
        median, low, high = (number(part) for part in parts)
    else:
        width = measured.high - measured.low
        places = -_magnitude(width)
        # Two digits of the median even where the interval is many times as wide.
        places = max(places, 2 - max(0, _magnitude(largest)), 1 - _magnitude(measured.median), 0)
        places = min(3 if largest >= 0.1 else 4, places)
        median, low, high = (number(part, places) for part in parts)
    return f"{median} [{low}, {high}]{some}"


def count(value: float) -> str:
    """Print a whole number with thousands separated.

    Args:
        value: how many.

    Returns:
        The number; a dash for NaN.

    >>> count(50123)
    '50,123'
    """
    return number(value, 0)


def power(value: float, position: float = 0) -> str:
    """Label a tick of a logarithmic axis.

    Args:
        value: where the tick is.
        position: its place among the ticks, which Matplotlib passes.

    Returns:
        The power of ten; empty for what is none.

    >>> power(1e-3), power(10.0), power(-1e4), power(0.0), power(2.0)
    ('10⁻³', '10', '−10⁴', '0', '')
    """
    if value == 0:
        return "0"
    exponent = math.log10(abs(value))
    if abs(exponent - round(exponent)) > 1e-9:
        return ""
    digits = str(round(exponent)).translate(_SUPERSCRIPT)
    shown = {"⁰": "1", "¹": "10"}.get(digits, f"10{digits}")
    return ("−" if value < 0 else "") + shown


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
