"""Averaged SGD: the published rule, seed by seed, in everything that is examined, and over a resumed run."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_lab.checkpoint import Checkpoints
from lstm_lab.errors import Interrupted
from lstm_lab.fit import fit
from lstm_lab.model import Model
from lstm_lab.optimizer import Average, Optimizer
from lstm_lab.program import Program, program_key
from lstm_lab.progress import Silent
from lstm_lab.rundir import read_metrics
from lstm_lab.signals import Stop
from lstm_lab.tasks.text import Text
from lstm_lab.text.writer import Writer
from lstm_lab.trial import Evaluation, Trial

RATE, EVERY = 0.1, 3


def oracle(gradients: np.ndarray, losses: list[float], n: int) -> np.ndarray:
    """The network to be examined after each step, as algorithm 1 of the paper has it; w_0 = 1."""
    w, iterates, trigger, shown = 1.0, [1.0], None, []
    logs: list[float] = []
    for k, gradient in enumerate(gradients, start=1):
        w -= RATE * gradient
        iterates.append(w)
        if k % EVERY == 0 and trigger is None:
            v, t = losses[k // EVERY - 1], len(logs)
            if t > n and v > min(logs[: t - n]):
                trigger = k
            logs.append(v)
        shown.append(np.mean(iterates[trigger:]) if trigger is not None else w)
    return np.array(shown)


@given(
    losses=st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=8, max_size=8),
    n=st.integers(1, 3),
)
def test_what_is_examined_is_what_the_published_rule_says(losses: list[float], n: int) -> None:
    optimizer = Optimizer("asgd", learning_rate=RATE, clip=0, nonmonotone=n)
    chain = optimizer.chain(24)
    gradients = np.random.default_rng(0).normal(size=24).astype(np.float32)
    params, shown = jnp.ones(()), []
    state = chain.init(params)
    with jax.numpy_dtype_promotion("standard"):
        for k, gradient in enumerate(gradients, start=1):
            update, state = chain.update(jnp.asarray(gradient), state, params)
            params = params + update
            if k % EVERY == 0:
                state = optimizer.judge(state, jnp.float32(losses[k // EVERY - 1]))
            shown.append(float(optimizer.examined(params, state)))
    np.testing.assert_allclose(shown, oracle(gradients, losses, n), rtol=1e-4, atol=1e-6)


def test_the_oracle_triggers_and_not_too_soon() -> None:
    """The rule on a row of losses by hand: with n = 2, 3.0 is the first above the least but for the last two."""
    gradients = np.ones(24)
    plain = 1 - RATE * np.arange(1, 25)
    shown = oracle(gradients, [3.0, 2.0, 2.5, 2.5, 2.0, 3.0, 1.0, 1.0], 2)
    # 2.5 at the fourth is compared with 3.0 alone, 2.0 at the fifth with 2.0: neither is greater.
    np.testing.assert_allclose(shown[:18], plain[:18], atol=1e-12)
    np.testing.assert_allclose(shown[18], (plain[17] + plain[18]) / 2)
    np.testing.assert_allclose(shown[23], plain[17:24].mean())


TINY = Trial(
    model=Model(embedding=4, tied=True),
    task=Text(length=6, validation=0.005),
    d_hidden=4,
    optimizer=Optimizer("asgd", learning_rate=30.0, clip=0.5, nonmonotone=1),
    steps=24,
    batch=3,
    seeds=2,
    evaluate=Evaluation(every=2, batch=4),
)


def average(state: Any) -> Average:
    return state.opt_state[-1]


def test_each_seed_triggers_by_itself_and_takes_the_steps_of_sgd() -> None:
    trial = replace(TINY, evaluate=Evaluation(every=6, batch=4))
    program = Program(trial)
    plain = Program(replace(trial, optimizer=Optimizer("sgd", learning_rate=30.0, clip=0.5)))
    everyone = np.ones(2, bool)
    state, beside = program.init(), plain.init()
    kept = []
    for losses in ([2.0, 1.0], [2.0, 2.0], [2.0, 1.5], [2.0, 1.0]):
        state, _ = program.advance(state, everyone, 6)
        beside, _ = plain.advance(beside, everyone, 6)
        kept.append(program.axis.take(state.params))
        state = program.judge(state, everyone, np.array(losses, np.float32))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        program.axis.take(state.params),
        plain.axis.take(beside.params),
    )
    # The second's third loss is the first above the least but for the newest: then 6 more iterates.
    np.testing.assert_array_equal(program.axis.take(average(state).iterates), [0, 7])
    shown = program.axis.take(program.examined(state))
    for leaf, last, third in zip(*map(jax.tree.leaves, (shown, kept[-1], kept[2])), strict=True):
        np.testing.assert_array_equal(leaf[0], last[0])
        assert (leaf[1] != last[1]).any()
        assert (leaf[1] != third[1]).any()


def test_a_seed_at_rest_hears_nothing() -> None:
    program = Program(TINY)
    state = program.init()
    before = program.axis.take(average(state).recent)
    state = program.judge(state, np.array([True, False]), np.array([1.0, 1.0], np.float32))
    np.testing.assert_array_equal(program.axis.take(average(state).recent)[:, -1], [1, np.inf])
    assert np.isinf(before).all()


def test_trials_of_other_rates_share_its_program() -> None:
    other = replace(TINY, optimizer=replace(TINY.optimizer, learning_rate=1.0, weight_decay=0.1))
    assert program_key(TINY) == program_key(other)
    assert program_key(TINY) != program_key(
        replace(TINY, optimizer=replace(TINY.optimizer, nonmonotone=2))
    )


class StopAt(Silent):
    """Asks for an end once a step is reached, as a signal would."""

    def __init__(self, step: int) -> None:
        self.step, self.stop = step, Stop()

    def update(self, step: int, *rest: Any) -> None:
        if step >= self.step:
            self.stop.signum = signal.SIGTERM


def last(directory: Path) -> tuple[Any, Any]:
    """The newest checkpoint's state and best parameters."""
    template = Program(TINY).template()
    found = Checkpoints(directory / "checkpoints").latest(
        {"state": template, "best": template.params}
    )
    assert found is not None
    return found[1]["state"], found[1]["best"]


def rows(directory: Path) -> list[dict[str, Any]]:
    found = read_metrics(directory / "metrics.jsonl")
    return [{name: value for name, value in row.items() if name != "time"} for row in found]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole") / "run"
    fit(TINY, directory)
    return directory


def test_scores_best_weights_and_the_writer_s_are_those_of_the_average(whole: Path) -> None:
    state, best = last(whole)
    assert (average(state).iterates > 1).any()
    program = Program(TINY)
    everyone = np.ones(2, bool)
    scores = program.examine(program.axis.put(average(state).mean), everyone)["loss"]
    at_the_end = [r["loss"] for r in rows(whole) if r["split"] == "validation" and r["step"] == 24]
    np.testing.assert_array_equal(scores, at_the_end)
    assert (program.examine(program.axis.put(state.params), everyone)["loss"] != scores).any()
    kept = program.examine(program.axis.put(best), everyone)["loss"]
    validation = [r for r in rows(whole) if r["split"] == "validation"]
    for seed in (0, 1):
        assert kept[seed] == min(r["loss"] for r in validation if r["seed"] == seed)
        _, own = Writer(whole, "last", seed).network()
        jax.tree.map(
            lambda a, b, seed=seed: np.testing.assert_array_equal(a, b[seed]),
            own,
            average(state).mean,
        )


def test_a_resumed_run_averages_the_same_iterates(whole: Path, tmp_path: Path) -> None:
    triggered = 24 - int(average(last(whole)[0]).iterates.max()) + 1
    assert 2 < triggered < 22
    for step in (triggered - 2, triggered, triggered + 2):
        watcher = StopAt(step)
        with pytest.raises(Interrupted, match=f"at step {step}"):
            fit(TINY, tmp_path, stop=watcher.stop, watcher=watcher)
    fit(TINY, tmp_path)
    assert rows(tmp_path) == rows(whole)
    for one, other in zip(*map(jax.tree.leaves, (last(tmp_path), last(whole))), strict=True):
        if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = map(jax.random.key_data, (one, other))
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
