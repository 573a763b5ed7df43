"""The controls against their equations in NumPy: one row, one step, one head, one tap at a time."""

from math import erf, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_lab.errors import UsageError
from lstm_lab.layers.attention import AttentionLayer, CausalAttention
from lstm_lab.layers.convolution import ConvolutionLayer, TemporalConvolution
from lstm_lab.unroll import Sequential

T, D, H = 9, 3, 4
K, C = 2, 4
X = np.random.default_rng(0).normal(size=(1, T, D)).astype(np.float32)


def moved(module: Any, seed: int = 1) -> Any:
    """The same layer with every parameter moved, so that no bias is zero."""
    rng = np.random.default_rng(seed)
    graph, params = nnx.split(module)
    noise = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape) / 3, jnp.float32), params)
    return nnx.merge(graph, jax.tree.map(jnp.add, params, noise))


def attention() -> Any:
    return moved(AttentionLayer(D, H, heads=K, context=C, reverse=False, rngs=nnx.Rngs(params=0)))


def read(module: Any, x: np.ndarray) -> np.ndarray:
    graph, params = nnx.split(module)
    return np.asarray(jax.jit(lambda p, x: nnx.merge(graph, p)(x).y)(params, x))


def weights(of: Any) -> np.ndarray:
    return np.asarray(of[...])


def norm(layer: Any, u: np.ndarray) -> np.ndarray:
    u = (u - u.mean()) / np.sqrt(u.var() + 1e-6)
    return u * weights(layer.scale) + weights(layer.bias)


def network(layer: Any, a: np.ndarray) -> np.ndarray:
    """What stands above the attention."""
    hidden = norm(layer.norm_network, a) @ weights(layer.widen.kernel) + weights(layer.widen.bias)
    gelu = np.array([v * (1 + erf(v / sqrt(2))) / 2 for v in hidden])
    return a + gelu @ weights(layer.narrow.kernel) + weights(layer.narrow.bias)


def attention_oracle(layer: Any, x: np.ndarray) -> np.ndarray:
    """Vaswani et al. 2017, equation 1, with scores moved by a number per head and distance."""
    d = H // K
    u = x @ weights(layer.embed.kernel)
    qkv = np.stack([norm(layer.norm_attention, row) @ weights(layer.qkv.kernel) for row in u])
    y = []
    for t in range(len(x)):
        mixed = np.zeros(H)
        for head in range(K):
            q, k, v = (qkv[:, 3 * d * head + d * j :][:, :d] for j in range(3))
            seen = range(max(0, t - C + 1), t + 1)
            scores = [q[t] @ k[s] / sqrt(d) + weights(layer.relative)[head, t - s] for s in seen]
            w = np.exp(scores) / np.exp(scores).sum()
            mixed[head * d : (head + 1) * d] = w @ v[list(seen)]
        y.append(network(layer, u[t] + mixed @ weights(layer.mix.kernel)))
    return np.stack(y)


def test_attention_is_the_papers() -> None:
    layer = attention()
    np.testing.assert_allclose(
        read(layer, X)[0], attention_oracle(layer, X[0]), rtol=1e-4, atol=1e-5
    )


def test_attention_that_sees_one_step_gives_its_value() -> None:
    layer = attention()
    u = X[0, 0] @ weights(layer.embed.kernel)
    qkv = (norm(layer.norm_attention, u) @ weights(layer.qkv.kernel)).reshape(K, 3, H // K)
    wanted = network(layer, u + qkv[:, 2].reshape(H) @ weights(layer.mix.kernel))
    np.testing.assert_allclose(read(layer, X[:, :1])[0, 0], wanted, rtol=1e-4, atol=1e-5)


def test_attention_weights_sum_to_one() -> None:
    # A mixture of equal values is that value, whatever the scores, if the weights sum to one.
    y = read(attention(), np.repeat(X[:, :1], T, axis=1))[0]
    np.testing.assert_allclose(y, np.broadcast_to(y[0], y.shape), rtol=1e-4, atol=1e-5)


def convolution(kernel: int = 3, levels: int = 2, d_in: int = D) -> Any:
    return moved(
        ConvolutionLayer(
            d_in, H, kernel=kernel, levels=levels, reverse=False, rngs=nnx.Rngs(params=0)
        )
    )


def convolution_oracle(layer: Any, x: np.ndarray) -> np.ndarray:
    """Bai et al. 2018, equation of section 3.3 and the residual block of 3.4, tap by tap."""

    def convolve(of: Any, u: np.ndarray) -> np.ndarray:
        filters, out = weights(of.filters), np.zeros((len(u), H)) + weights(of.bias)
        for t in range(len(u)):
            for j in range(len(filters)):
                if t - j * of.dilation >= 0:
                    out[t] += u[t - j * of.dilation] @ filters[j]
        return np.maximum(out, 0)

    for level in layer.levels:
        past = x
        if level.map is not None:
            past = x @ weights(level.map.kernel) + weights(level.map.bias)
        x = np.maximum(convolve(level.second, convolve(level.first, x)) + past, 0)
    return x


@pytest.mark.parametrize("d_in", [D, H], ids=["mapped", "equal widths"])
def test_convolution_is_the_papers(d_in: int) -> None:
    layer = convolution(d_in=d_in)
    x = np.random.default_rng(2).normal(size=(1, T, d_in)).astype(np.float32)
    np.testing.assert_allclose(
        read(layer, x)[0], convolution_oracle(layer, x[0]), rtol=1e-4, atol=1e-5
    )


def reach(module: Any) -> int:
    """How many steps back the last output depends on its input."""
    graph, params = nnx.split(module)
    # Positive throughout, no ReLU hides a path.
    positive = jax.tree.map(lambda p: jnp.abs(p) + 0.1, params)
    last = lambda x: jnp.sum(nnx.merge(graph, positive)(x).last * jnp.arange(1.0, H + 1))  # noqa: E731
    dx = jax.jit(jax.grad(last))(np.abs(X))
    return T - 1 - int(np.flatnonzero(np.asarray(dx[0]).any(axis=-1))[0])


def test_convolution_reaches_as_far_as_its_window_and_no_further() -> None:
    assert reach(convolution(kernel=2, levels=2)) == 2 * 1 * 3


def test_attention_reaches_as_far_as_its_context_and_no_further() -> None:
    assert reach(attention()) == C - 1


@pytest.mark.parametrize("make", [attention, convolution])
def test_reading_backwards_is_reading_the_flipped_sequence(make: Any) -> None:
    ahead, back = make(), make()
    back.reverse = True
    np.testing.assert_allclose(
        read(back, X), read(ahead, X[:, ::-1])[:, ::-1], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": 0}, "heads: 0"),
        ({"context": 1}, "context: 1"),
        ({"kernel": 1}, "kernel: 1"),
        ({"levels": 0}, "levels: 0"),
    ],
)
def test_settings_that_make_no_control_are_refused(settings: dict[str, int], message: str) -> None:
    cls = CausalAttention if {"heads", "context"} & set(settings) else TemporalConvolution
    with pytest.raises(UsageError, match=message):
        cls(**settings)


@pytest.mark.parametrize("d_hidden", [6, 7])
def test_heads_that_cannot_share_out_the_units_are_refused(d_hidden: int) -> None:
    with pytest.raises(UsageError, match=f"hidden units: {d_hidden}: .* multiple of 4"):
        CausalAttention(heads=4).build(
            D, d_hidden, reverse=False, schedule=Sequential(), rngs=nnx.Rngs(params=0)
        )
