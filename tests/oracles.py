"""The equations again, in NumPy: one row, one step, one gate at a time, written from the papers.

Nothing here is fast or fused. An oracle is named like its cell in lower case and takes the cell's
settings, its parameters, the carry as a tuple of vectors `[H]` and one input `[D]`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Vectors = tuple[np.ndarray, ...]
Step = Callable[[Any, Any, Vectors, np.ndarray], tuple[Vectors, np.ndarray]]


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def elman(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Elman 1990: h = φ(W x + U h + b)."""
    W, U, b = params
    a = W.T @ x + U.T @ carry[0] + b
    h = {"tanh": np.tanh(a), "relu": np.maximum(a, 0), "linear": a}[cell.activation]
    return (h,), h


def lstm(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Gers et al. 2000, section 3, gates in the order i f g o."""
    del cell
    h, c = carry
    i, f, g, o = (
        W.T @ x + U.T @ h + b
        for W, U, b in zip(*(np.split(p, 4, axis=-1) for p in params), strict=True)
    )
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return (h, c), h


def gru(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Cho et al. 2014, equations 5 to 8, with the reset on either side of the product."""
    (h,) = carry
    W, U, b, c_n = params
    W_r, W_u, W_n = np.split(W, 3, axis=1)
    U_r, U_u, U_n = np.split(U, 3, axis=1)
    b_r, b_u, b_n = np.split(b, 3)
    r = sigmoid(W_r.T @ x + U_r.T @ h + b_r)
    u = sigmoid(W_u.T @ x + U_u.T @ h + b_u)
    past = r * (U_n.T @ h + c_n) if cell.reset == "after" else U_n.T @ (r * h)
    n = np.tanh(W_n.T @ x + b_n + past)
    h = (1 - u) * n + u * h
    return (h,), h


def unroll(
    step: Step,
    cell: Any,
    params: Any,
    start: Vectors,
    x: np.ndarray,
    *,
    carry: Vectors | None = None,
    lengths: np.ndarray | None = None,
    reset: np.ndarray | None = None,
    reverse: bool = False,
) -> tuple[Vectors, np.ndarray]:
    """Read row after row and step after step.

    Args:
        step: one of the oracles above.
        cell: the cell's settings.
        params: its parameters, as NumPy arrays.
        start: the cell's own initial carry, arrays `[B, H]`.
        x: inputs `[B, T, D]`.
        carry: the carry to begin with instead, arrays `[B, H]`.
        lengths: int `[B]`; steps beyond a row's length do not happen.
        reset: bool `[B, T]`, True at the first step of a sequence.
        reverse: read from the last step to the first.

    Returns:
        The carry after the last step read, arrays `[B, H]`, and the outputs `[B, T, H]`.
    """
    B, T, _ = x.shape
    finals, y = [], np.zeros((B, T, start[0].shape[-1]))
    for row in range(B):
        state = tuple(part[row] for part in (start if carry is None else carry))
        steps = range(T if lengths is None else lengths[row])
        for t in reversed(steps) if reverse else steps:
            # The border a reset marks lies between its step and the one before.
            border = t + 1 if reverse else t
            if reset is not None and border < T and reset[row, border]:
                state = tuple(part[row] for part in start)
            state, y[row, t] = step(cell, params, state, x[row, t])
        finals.append(state)
    return tuple(np.stack(parts) for parts in zip(*finals, strict=True)), y
