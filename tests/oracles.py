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


def lstm1997(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Hochreiter and Schmidhuber 1997, section 4; g in [-2, 2] and h in [-1, 1] as in section 5.4."""
    del cell
    y, s = carry
    net_in, net_c, net_out = (
        W.T @ x + U.T @ y + b
        for W, U, b in zip(*(np.split(p, 3, axis=-1) for p in params), strict=True)
    )
    s = s + sigmoid(net_in) * (4 * sigmoid(net_c) - 2)
    y = sigmoid(net_out) * (2 * sigmoid(s) - 1)
    return (y, s), y


def layernormlstm(
    cell: Any, params: Any, carry: Vectors, x: np.ndarray
) -> tuple[Vectors, np.ndarray]:
    """Ba et al. 2016, the supplementary material's LSTM, with the biases of both products inside b."""
    del cell
    h, c = carry

    def ln(a: np.ndarray, gain: np.ndarray) -> np.ndarray:
        return gain * (a - a.mean()) / np.sqrt(a.var() + 1e-5)

    a = ln(params.U.T @ h, params.alpha_h) + ln(params.W.T @ x, params.alpha_x) + params.b
    i, f, g, o = np.split(a, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(ln(c, params.alpha_c) + params.beta_c)
    return (h, c), h


def lstmprojection(
    cell: Any, params: Any, carry: Vectors, x: np.ndarray
) -> tuple[Vectors, np.ndarray]:
    """Sak et al. 2014, the recurrent projection layer, without peepholes and non-recurrent projection."""
    del cell
    r, c = carry
    i, f, g, o = (
        W.T @ x + U.T @ r + b
        for W, U, b in zip(*(np.split(p, 4, axis=-1) for p in params[:3]), strict=True)
    )
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    r = params.P.T @ (sigmoid(o) * np.tanh(c))
    return (r, c), r


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


def mingru(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Feng et al. 2024, section 3.1; positive: appendix B."""
    (h,) = carry
    W_u, W_n = np.split(params.W, 2, axis=1)
    b_u, b_n = np.split(params.b, 2)
    u, n = sigmoid(W_u.T @ x + b_u), W_n.T @ x + b_n
    if cell.positive:
        n = np.array([v + 0.5 if v >= 0 else sigmoid(v) for v in n])
    h = (1 - u) * h + u * n
    return (h,), h


def grefflstm(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Greff et al. 2015, sections II and III: blocks and peepholes by name, absent ones by their rule."""
    h, c, *seen = carry
    H, v = len(h), cell.variant
    names = [
        n for n in "ifgo" if (n, v) not in (("i", "NIG"), ("f", "NFG"), ("o", "NOG"), ("f", "CIFG"))
    ]
    a = {n: np.zeros(H) for n in "ifgo"}
    for k, n in enumerate(names):
        cut = slice(k * H, (k + 1) * H)
        a[n] = params.W[:, cut].T @ x + params.U[:, cut].T @ h + params.b[cut]
    seeing = [n for n in names if n != "g"] if v != "NP" else []
    p = {n: params.p[k * H : (k + 1) * H] for k, n in enumerate(seeing)}
    if v == "FGR":
        for k, n in enumerate("ifo"):
            for j in range(3):
                R = params.R[j * H : (j + 1) * H, k * H : (k + 1) * H]
                a[n] = a[n] + R.T @ seen[0][j * H : (j + 1) * H]
    i = sigmoid(a["i"] + p.get("i", 0) * c) if "i" in names else np.ones(H)
    f = sigmoid(a["f"] + p.get("f", 0) * c) if "f" in names else np.ones(H)
    f = 1 - i if v == "CIFG" else f
    c = f * c + i * (a["g"] if v == "NIAF" else np.tanh(a["g"]))
    o = sigmoid(a["o"] + p.get("o", 0) * c) if "o" in names else np.ones(H)
    h = o * (c if v == "NOAF" else np.tanh(c))
    return (h, c, np.concatenate([i, f, o])) if v == "FGR" else (h, c), h


def mgu(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Zhou et al. 2016, table 1."""
    del cell
    (h,) = carry
    (W_f, W_n), (U_f, U_n), (b_f, b_n) = (np.split(p, 2, axis=-1) for p in params)
    f = sigmoid(W_f.T @ x + U_f.T @ h + b_f)
    n = np.tanh(W_n.T @ x + U_n.T @ (f * h) + b_n)
    h = (1 - f) * h + f * n
    return (h,), h


def ugrnn(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Collins et al. 2017, the UGRNN, with b_fg inside b_g."""
    del cell
    (h,) = carry
    (W_c, W_g), (U_c, U_g), (b_c, b_g) = (np.split(p, 2, axis=-1) for p in params)
    c = np.tanh(W_c.T @ x + U_c.T @ h + b_c)
    g = sigmoid(W_g.T @ x + U_g.T @ h + b_g)
    h = g * h + (1 - g) * c
    return (h,), h


def indrnn(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Li et al. 2018, section 3: h = φ(W x + u ∘ h + b)."""
    W, u, b = params
    a = W.T @ x + u * carry[0] + b
    h = {"relu": np.maximum(a, 0), "tanh": np.tanh(a)}[cell.activation]
    return (h,), h


def cornn(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Rusch and Mishra 2021, equation 3, damping the old velocity; their z is v here, and their u is x."""
    V, W, W_v, b = params
    y, v = carry
    driven = np.tanh(W.T @ y + W_v.T @ v + V.T @ x + b)
    v = v + cell.dt * driven - cell.dt * cell.gamma * y - cell.dt * cell.epsilon * v
    y = y + cell.dt * v
    return (y, v), y


def exprnn(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Lezcano-Casado and Martinez-Rubio 2019: exp by its eigenvalues, modReLU unit by unit."""
    del cell
    (h,) = carry
    A = np.zeros((len(h), len(h)))
    entry = iter(params.A)
    for i in range(len(h)):
        for j in range(i + 1, len(h)):
            A[i, j] = next(entry)
    # i (A - Aᵀ) is Hermitian: its eigenvalues are real, and those of A - Aᵀ are -i times as large.
    angles, V = np.linalg.eigh(1j * (A - A.T))
    U = ((V * np.exp(-1j * angles)) @ V.conj().T).real
    a = params.W.T @ x + U.T @ h
    h = np.array([np.sign(v) * max(abs(v) + b, 0) for v, b in zip(a, params.b, strict=True)])
    return (h,), h


def lem(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Rusch et al. 2022, section 2."""
    y, z = carry
    V_1, V_2, V_z, V_y = np.split(params.V, 4, axis=1)
    b_1, b_2, b_z, b_y = np.split(params.b, 4)
    W_1, W_2, W_z = np.split(params.W, 3, axis=1)
    dt = cell.dt * sigmoid(W_1.T @ y + V_1.T @ x + b_1)
    dt_bar = cell.dt * sigmoid(W_2.T @ y + V_2.T @ x + b_2)
    z = (1 - dt) * z + dt * np.tanh(W_z.T @ y + V_z.T @ x + b_z)
    y = (1 - dt_bar) * y + dt_bar * np.tanh(params.W_y.T @ z + V_y.T @ x + b_y)
    return (y, z), y


def minlstm(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Feng et al. 2024, section 3.2; positive: appendix B."""
    (h,) = carry
    W_f, W_i, W_n = np.split(params.W, 3, axis=1)
    b_f, b_i, b_n = np.split(params.b, 3)
    f, i, n = sigmoid(W_f.T @ x + b_f), sigmoid(W_i.T @ x + b_i), W_n.T @ x + b_n
    if cell.positive:
        n = np.array([v + 0.5 if v >= 0 else sigmoid(v) for v in n])
    h = f / (f + i) * h + i / (f + i) * n
    return (h,), h


def sru(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Lei and Zhang 2017, section 2, with a projected highway."""
    (c,) = carry
    W_f, W_r, W_c, W_x = np.split(params.W, 4, axis=1)
    b_f, b_r = np.split(params.b, 2)
    f, r = sigmoid(W_f.T @ x + b_f), sigmoid(W_r.T @ x + b_r)
    c = f * c + (1 - f) * (W_c.T @ x)
    shown = {"tanh": np.tanh(c), "identity": c}[cell.activation]
    return (c,), r * shown + (1 - r) * (W_x.T @ x)


def rglru(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """De et al. 2024, equations 1 to 4, with a projected input."""
    del cell
    (h,) = carry
    W_a, W_x, W = np.split(params.W, 3, axis=1)
    b_a, b_x = np.split(params.b, 2)
    r, i = sigmoid(W_a.T @ x + b_a), sigmoid(W_x.T @ x + b_x)
    a = sigmoid(params.Lambda) ** (8 * r)
    h = a * h + np.sqrt(1 - a**2) * (i * (W.T @ x))
    return (h,), h


def lru(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Orvieto et al. 2023, sections 3.2 to 3.4, in complex numbers."""
    del cell
    B, C = params.B_re + 1j * params.B_im, params.C_re + 1j * params.C_im
    lam = np.exp(-np.exp(params.nu_log) + 1j * np.exp(params.theta_log))
    h = lam * (carry[0] + 1j * carry[1]) + np.exp(params.gamma_log) * (B.T @ x)
    return (h.real, h.imag), (C.T @ h).real + params.D.T @ x


def s4d(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Gu et al. 2022, in complex numbers, channel by channel; states are columns of `[N, H]`."""
    del cell
    state = carry[0] + 1j * carry[1]
    u, y = params.W.T @ x, np.zeros(state.shape[1])
    for h in range(len(y)):
        A = -np.exp(params.A_log[:, h]) + 1j * params.A_im[:, h]
        A_bar = np.exp(np.exp(params.log_dt[h]) * A)
        state[:, h] = A_bar * state[:, h] + (A_bar - 1) / A * u[h]
        C = params.C_re[:, h] + 1j * params.C_im[:, h]
        y[h] = 2 * (C @ state[:, h]).real + params.D[h] * u[h]
    return (state.real, state.imag), y


def slstm(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Beck et al. 2024, section 2.2, first without the stabiliser, then divided by it."""
    h, c, n, m = carry
    i, f, g, o = (
        W.T @ x + U.T @ h + b
        for W, U, b in zip(*(np.split(p, 4, axis=-1) for p in params), strict=True)
    )
    forget = np.exp(f) if cell.forget == "exp" else sigmoid(f)
    c_true = forget * c * np.exp(m) + np.exp(i) * np.tanh(g)
    n_true = forget * n * np.exp(m) + np.exp(i)
    m = np.where(n == 0, i, np.maximum(np.log(forget) + m, i))
    h = sigmoid(o) * c_true / n_true
    return (h, c_true / np.exp(m), n_true / np.exp(m), m), h


def linearattention(
    cell: Any, params: Any, carry: Vectors, x: np.ndarray
) -> tuple[Vectors, np.ndarray]:
    """Katharopoulos et al. 2020, equations 16 to 20."""
    del cell
    S, s = carry
    q, k, v = (W.T @ x for W in np.split(params.W, 3, axis=1))
    q, k = (np.where(a > 0, a + 1, np.exp(a)) for a in (q, k))
    S, s = S + np.outer(k, v), s + k
    return (S, s), S.T @ q / (s @ q)


def deltanet(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Schlag et al. 2021, section 4.2: take out what the key recalls, put a mixture in its place."""
    del cell
    (S,) = carry
    H = len(S)
    q, k, v = (params.W[:, j * H : (j + 1) * H].T @ x for j in range(3))
    beta = sigmoid(params.W[:, -1] @ x + params.b[0])
    q, k = (np.where(a > 0, a + 1, np.exp(a)) for a in (q, k))
    q, k = q / q.sum(), k / k.sum()
    old = S.T @ k
    new = beta * v + (1 - beta) * old
    S = S - np.outer(k, old) + np.outer(k, new)
    return (S,), S.T @ q


def mlstm(cell: Any, params: Any, carry: Vectors, x: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """Beck et al. 2024, section 2.3, without the stabiliser, then divided by it."""
    del cell
    C, n, m = carry
    H = len(n)
    q, k, v, o = (params.W[:, j * H : (j + 1) * H].T @ x for j in range(4))
    k, o = k / np.sqrt(H), sigmoid(o + params.b[:H])
    i, f = params.W[:, 4 * H :].T @ x + params.b[H:]
    C = sigmoid(f) * C * np.exp(m) + np.exp(i) * np.outer(k, v)
    n = sigmoid(f) * n * np.exp(m) + np.exp(i) * k
    m = np.maximum(np.log(sigmoid(f)) + m, i)
    return (C / np.exp(m), n / np.exp(m), m), o * (C.T @ q) / max(abs(n @ q), 1.0)


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
