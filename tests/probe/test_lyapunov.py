"""Lyapunov exponents of systems whose exponents are known."""

import json
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.cells.elman import Elman
from lstm_lab.cells.lstm import LSTM
from lstm_lab.cells.min_gru import MinGRU
from lstm_lab.layers.heads import Heads
from lstm_lab.model import Model
from lstm_lab.probe.lyapunov import Lyapunov
from lstm_lab.tasks.base import Batch
from lstm_lab.tasks.recall import Recall
from lstm_lab.train import Network
from lstm_lab.trial import Trial
from tests.probe.known import LINEAR, network, weights

TASK = Recall(lag=9, symbols=2)


class Fixed(Recall):
    """The same two sequences always; the second is over after three steps."""

    def sample(self, data: Any, key: Any, step: Any, batch: int) -> Batch:
        del data, key, step
        x = np.random.default_rng(5).normal(size=(2, self.lag + 1, self.d_in)).astype(np.float32)
        lengths = jnp.array([self.lag + 1, 3])
        return Batch(jnp.asarray(x[:batch]), jnp.zeros(batch, jnp.int32), jnp.ones(batch, bool),
                     lengths[:batch])  # fmt: skip


FIXED = Fixed(lag=9, symbols=2)


def test_a_linear_networks_exponents_are_the_logs_of_its_eigenvalues_moduli() -> None:
    """Two seeds: a skewed matrix of real eigenvalues, and a turn that shrinks beside one that stays."""
    quantiles = [0, 0.25, 0.5, 0.75, 1]
    basis = np.random.default_rng(0).normal(size=(4, 4))
    real = np.array([1.05, -0.9, 0.6, 0.3])
    turn = 0.95 * np.array([[math.cos(1), math.sin(1)], [-math.sin(1), math.cos(1)]])
    turning = np.diag([0.0, 0.0, 1.0, -0.5])
    turning[:2, :2] = turn
    skewed = basis @ np.diag(real) @ np.linalg.inv(basis)
    built = network(TASK, 4)
    result = Lyapunov(examples=1).measure(
        built, weights(built, [{"U": skewed}, {"U": turning}]), ()
    )
    wanted = np.log([np.abs(real), [1.0, 0.95, 0.95, 0.5]])
    np.testing.assert_allclose(result["exponents"][0], wanted, atol=1e-3)
    np.testing.assert_allclose(result["largest"], wanted[:, 0], atol=1e-3)
    np.testing.assert_allclose(
        result["moduli"][0][0], np.quantile(np.abs(real), quantiles), atol=1e-4
    )
    norms = [float(np.linalg.norm(skewed, ord=2)), 1.0]
    np.testing.assert_allclose(result["norm"][0], norms, rtol=1e-4)
    assert result["units"] == [4]
    assert result["steps"] == 260


def test_only_steps_that_are_read_count_and_their_mean_is_taken() -> None:
    """One unit of h' = (1 - u(x)) h + ...: the exponent is the mean of log (1 - u)."""
    built = network(FIXED, 1, cell=MinGRU())
    w = np.array([1.0, -2.0, 0.5])
    params = weights(built, [{"W": np.stack([w, np.zeros(3)], axis=1)}])
    (exponents,) = Lyapunov(steps=20, examples=2).measure(built, params, ())["exponents"]
    batch = FIXED.sample((), None, 0, 2)
    logs = -np.logaddexp(0, np.asarray(batch.x) @ w)
    wanted = np.concatenate([logs[0], logs[1, :3]]).mean()
    np.testing.assert_allclose(exponents, [[wanted]], rtol=1e-5)


def test_a_stack_has_the_exponents_of_the_product_of_its_jacobians() -> None:
    """Two LSTM layers, against the eigenvalues of the whole network's J_T ... J_1, and its determinant."""
    built = Network(Trial(model=Model(cell=LSTM(), layers=2), task=FIXED, d_hidden=2))
    rng = np.random.default_rng(2)
    params = jax.tree.map(lambda p: rng.normal(size=p.shape), built.shapes)
    single = jax.tree.map(lambda p: p[None].astype(np.float32), params)
    result = Lyapunov(steps=2000, examples=1).measure(built, single, ())
    x = np.asarray(FIXED.sample((), None, 0, 1).x, np.float64)

    @jax.jit
    def jacobian(params: Any, carry: Any, x: Any) -> tuple[Any, Any]:
        def after(carry: Any) -> Any:
            return built.apply(params, x, carry=carry)[0]

        return after(carry), jax.jacrev(after)(carry)

    with jax.enable_x64(True):
        carry, product, volume = built.initial_carry(params, 1), np.eye(8), 0.0
        for t in range(x.shape[1]):
            carry, blocks = jacobian(params, carry, x[:, t : t + 1])
            parts = np.reshape(jax.tree.leaves(blocks), (4, 4, 2, 2))  # leaf by leaf, unit by unit
            step = parts.transpose(0, 2, 1, 3).reshape(8, 8)
            product, volume = step @ product, volume + np.linalg.slogdet(step)[1]
    moduli = np.sort(np.log(np.abs(np.linalg.eigvals(product))))[::-1] / x.shape[1]
    measured = np.sort(np.concatenate([e[0] for e in result["exponents"]]))[::-1]
    # The others are eigenvalues below 1e-16 of a matrix whose largest is 0.03: rounding, in double precision too.
    np.testing.assert_allclose(measured[:4], moduli[:4], rtol=1e-5)
    np.testing.assert_allclose(measured.sum(), volume / x.shape[1], rtol=1e-4)
    assert result["largest"] == [pytest.approx(measured[0])]


def test_heads_have_the_exponents_of_their_blocks() -> None:
    built = Network(Trial(model=Model(cell=Heads(LINEAR, heads=2)), task=TASK, d_hidden=2))
    params = jax.tree.map(lambda p: np.zeros((1, *p.shape), p.dtype), built.shapes)
    params["body"]["copies"]["params"]["U"][...] = np.array([[[[0.9]], [[0.5]]]], np.float32)
    (exponents,) = Lyapunov(examples=1).measure(built, params, ())["exponents"]
    np.testing.assert_allclose(exponents, [np.log([0.9, 0.5])], atol=1e-3)


def test_what_is_lost_within_a_step_is_lost_to_rounding() -> None:
    built = network(TASK, 2, cell=Elman())
    result = Lyapunov(examples=1).measure(built, weights(built, [{}]), ())
    assert result["exponents"] == [[[pytest.approx(math.log(2**-23))] * 2]]


def test_fewer_exponents_are_the_largest_and_too_large_a_carry_has_none() -> None:
    built = network(TASK, 3)
    probe = Lyapunov(exponents=1, examples=1, spectrum=2)
    result = probe.measure(built, weights(built, [{"U": np.diag([0.3, 0.8, 0.5])}]), ())
    np.testing.assert_allclose(result["exponents"], [[[math.log(0.8)]]], atol=1e-3)
    assert (result["moduli"], result["norm"]) == ([None], [None])
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    nothing = Lyapunov(most=2, spectrum=2).measure(built, weights(built, [{}, {}]), ())
    assert (nothing["exponents"], nothing["largest"]) == ([None], [None, None])
