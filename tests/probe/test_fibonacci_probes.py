"""A network that *is* Fibonacci's rule: its coefficients, and how it continues a sequence."""

import json

import numpy as np
import pytest

from lstm_lab.model import Model
from lstm_lab.probe.coefficients import Coefficients
from lstm_lab.probe.continuation import Continuation
from lstm_lab.tasks.fibonacci import Fibonacci
from lstm_lab.tasks.recall import Recall
from tests.probe.known import network, weights

TASK = Fibonacci(length=8)
NETWORK = network(TASK, 2)
# h_t = (x_t, x_{t-1}), and their sum is shown: the companion matrix of x_{t+1} = x_t + x_{t-1}.
RULE = {"W": np.eye(1, 2), "U": np.eye(2, k=1)}


def test_the_rule_is_read_off_as_its_coefficients() -> None:
    params = weights(NETWORK, [RULE, {"W": [[1.0, 0.0]]}], head=np.ones((2, 1)))
    result = Coefficients(examples=4).measure(NETWORK, params, TASK.load())
    rest = len(result["lag"]) - 2
    np.testing.assert_allclose(result["coefficient"][0], [1, 1] + [0] * rest, atol=1e-6)
    np.testing.assert_allclose(result["coefficient"][1], [1, 0] + [0] * rest, atol=1e-6)


def test_the_rule_continues_any_start_without_error_beyond_the_trained_length() -> None:
    params = weights(NETWORK, [RULE], head=np.ones((2, 1)))
    result = Continuation(starts=5).measure(NETWORK, params, TASK.load())
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert len(result["truth"]) == 2 * result["trained_length"] == 16
    np.testing.assert_allclose(result["prediction"][0], result["truth"], rtol=1e-5)
    np.testing.assert_allclose(result["relative_error"], 0, atol=1e-5)


def test_a_wrong_rule_shows_in_the_first_term_it_predicts() -> None:
    params = weights(NETWORK, [RULE], head=[[1.1], [1.1]])
    (error,) = Continuation(starts=5).measure(NETWORK, params, TASK.load())["relative_error"]
    np.testing.assert_allclose(error[:3], [0, 0, 0.1], atol=1e-5)
    assert (np.diff(error[2:]) > 0).all()


@pytest.mark.parametrize("probe", [Coefficients(), Continuation()])
def test_they_apply_where_there_is_a_scalar_rule(probe: Coefficients | Continuation) -> None:
    assert probe.applies(Model(), TASK)
    assert not probe.applies(Model(), Recall())


def test_what_reads_the_future_cannot_continue() -> None:
    assert not Continuation().applies(Model(bidirectional="concat"), TASK)
