"""The contract of `lstm_lab.tasks.base`, asked of every concrete task in the folder.

Nothing here names a task: a new file in `lstm_lab/tasks` is found and tested as it is.
"""

import dataclasses
import doctest
import importlib
import pkgutil
import re
from collections import Counter
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

import lstm_lab.tasks
from lstm_lab.discover import subclasses
from lstm_lab.errors import AbsentError, UsageError
from lstm_lab.tasks.base import Batch, Classification, Task

TASKS = [cls() for cls in subclasses("lstm_lab.tasks", Task)]
MODULES = [info.name for info in pkgutil.iter_modules(lstm_lab.tasks.__path__)]
KEY = jax.random.key(0)
BATCH = 6
CROWD = 2048  # examples of which an average is taken


def absent(task: Task) -> str:
    """Why a task cannot be loaded here: its files are for users to bring."""
    try:
        task.validate()
    except AbsentError as error:
        return str(error)
    return ""


LOADABLE = [
    pytest.param(task, marks=pytest.mark.skipif(bool(reason), reason=reason or "present"))
    for task, reason in ((task, absent(task)) for task in TASKS)
]
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
# For what needs the data; all else is promised without them.
every_task_with_data = pytest.mark.parametrize(
    "task", LOADABLE, ids=lambda task: type(task).__name__
)


def by_scores() -> list[Any]:
    """Every task with data; of those that inherit the same scores over the same axes, `make test` takes the first."""
    params, met = [], set()
    for task in TASKS:
        reason = absent(task)
        kind = (type(task).loss, type(task).metrics, task.per_step)
        marks = [pytest.mark.skipif(bool(reason), reason=reason or "present")]
        marks += [pytest.mark.variant] if kind in met else []
        params.append(pytest.param(task, marks=marks))
        met |= set() if reason else {kind}
    return params


every_score = pytest.mark.parametrize("task", by_scores(), ids=lambda task: type(task).__name__)


# How often a sampler was traced, which runs its Python code; a compiled call does not.
traces: Counter[tuple[Task, int]] = Counter()


@partial(jax.jit, static_argnums=(0, 4))
def draw(task: Task, data: Any, key: Array, step: int, batch: int) -> Batch:
    traces[task, batch] += 1
    return task.sample(data, key, step, batch)


@partial(jax.jit, static_argnums=(0, 4))
def draw_held_out(task: Task, data: Any, key: Array, index: int, batch: int) -> Batch:
    return task.evaluation_batch(data, key, index, batch)


def batch_of(task: Task, step: int = 0, key: Array = KEY, batch: int = BATCH) -> Batch:
    return draw(task, task.load(), key, step, batch)


@partial(jax.jit, static_argnums=0)
def scores_of(task: Task, outputs: Array, batch: Batch) -> dict[str, Array]:
    return {**task.metrics(outputs, batch), "weight": task.weight(batch)}


@partial(jax.jit, static_argnums=0)
def loss_and_gradient(task: Task, outputs: Array, batch: Batch) -> tuple[Array, Array]:
    loss, backward = jax.vjp(lambda outputs: task.loss(outputs, batch), outputs)
    return loss, backward(jnp.ones_like(loss))[0]


def random_outputs(task: Task, batch: Batch) -> Array:
    shape = (*batch.mask.shape, task.d_out)
    return jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)


def random_mask(batch: Batch) -> Array:
    """Some of the counted steps, and none at all in the first example."""
    mask = np.asarray(batch.mask) & (np.random.default_rng(2).random(batch.mask.shape) < 0.5)
    mask[0] = False
    return jnp.asarray(mask)


def equal(a: Batch, b: Batch) -> bool:
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def test_tasks_are_discovered() -> None:
    names = {type(task).__name__ for task in TASKS}
    assert {"Adding", "CopyMemory", "Fibonacci", "FutureTag", "Recall", "TemporalOrder"} <= names


@every_task
def test_is_a_value(task: Task) -> None:
    again = type(task)()
    assert task == again
    assert hash(task) == hash(again)
    assert dataclasses.replace(task) == task
    for field in dataclasses.fields(task):
        assert isinstance(getattr(task, field.name), int | float | str | tuple | None), field.name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(task, dataclasses.fields(task)[0].name, None)


@every_task
def test_names_itself_and_its_scores(task: Task) -> None:
    assert 0 < len(task.label) <= 40
    assert task.label == " ".join(task.label.split())
    assert type(task).__doc__
    assert task.metric in task.solved


@every_task_with_data
def test_chance_does_not_solve(task: Task) -> None:
    better = np.greater if task.higher_is_better else np.less
    assert better(task.solved[task.metric], task.chance[task.metric])
    assert "loss" in task.chance


@every_task
def test_refuses_negative_sizes_in_one_line(task: Task) -> None:
    numbers = [
        field.name
        for field in dataclasses.fields(task)
        if isinstance(getattr(task, field.name), int | float)
        and not isinstance(getattr(task, field.name), bool)
    ]
    for name in numbers:
        with pytest.raises(UsageError, match=name) as refusal:
            dataclasses.replace(task, **{name: -1}).validate()
        assert re.fullmatch(r"[\w., ]+: got .*-1.*, wanted [^:]+: \w[^:]+", str(refusal.value))


@every_task_with_data
def test_refuses_an_empty_batch(task: Task) -> None:
    task.check(1)
    with pytest.raises(UsageError, match="batch: got 0, wanted"):
        task.check(0)


@every_task_with_data
def test_batch_is_a_pure_function_of_key_and_step(task: Task) -> None:
    batch = batch_of(task, step=3)
    assert equal(batch, batch_of(task, step=3))
    assert not np.array_equal(batch.x, batch_of(task, step=4).x)
    assert not np.array_equal(batch.x[0], batch.x[1])
    other = batch_of(task, step=3, key=jax.random.key(1))
    # Where the carry goes on, the data alone says what comes next.
    assert np.array_equal(batch.x, other.x) == task.stateful


@every_task_with_data
def test_one_trace_serves_every_step_and_equal_config(task: Task) -> None:
    for step in range(3):
        batch_of(type(task)(), step)
    assert traces[task, BATCH] == 1


@every_score
def test_traced_and_untraced_batches_are_equal(task: Task) -> None:
    untraced = task.sample(task.load(), KEY, 5, BATCH)
    for a, b in zip(jax.tree.leaves(untraced), jax.tree.leaves(batch_of(task, 5)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@every_task_with_data
def test_shapes_and_types_are_as_declared(task: Task) -> None:
    batch = batch_of(task)
    assert batch.x.shape[0] == BATCH
    steps = batch.x.shape[1]
    counted = (BATCH, steps) if task.per_step else (BATCH,)
    assert batch.mask.shape == counted
    assert batch.mask.dtype == bool
    assert batch.mask.any()
    if task.tokens:
        assert batch.x.ndim == 2
        assert batch.x.dtype == jnp.int32
        assert 0 <= batch.x.min() <= batch.x.max() < task.d_in
    else:
        assert batch.x.shape == (BATCH, steps, task.d_in)
        assert batch.x.dtype == jnp.float32
    if isinstance(task, Classification):
        assert batch.y.shape == counted
        assert batch.y.dtype == jnp.int32
        assert 0 <= batch.y.min() <= batch.y.max() < task.d_out
    else:
        assert batch.y.shape == (*counted, task.d_out)
        assert batch.y.dtype == jnp.float32


@every_score
def test_scores_are_per_example_and_include_the_loss(task: Task) -> None:
    batch = batch_of(task)
    outputs = random_outputs(task, batch)
    scores = scores_of(task, outputs, batch)
    assert {"loss", task.metric} | task.chance.keys() <= scores.keys()
    for value in scores.values():
        assert value.shape == (BATCH,)
        assert value.dtype == jnp.float32
    loss, _ = loss_and_gradient(task, outputs, batch)
    np.testing.assert_allclose(scores["loss"], loss, rtol=1e-6)
    assert np.array_equal(scores["weight"], np.reshape(batch.mask, (BATCH, -1)).sum(axis=1))


@every_score
def test_half_precision_outputs_are_scored_in_float32(task: Task) -> None:
    batch = batch_of(task)
    outputs = jnp.asarray(random_outputs(task, batch), jnp.bfloat16)
    loss, gradient = loss_and_gradient(task, outputs, batch)
    assert loss.dtype == jnp.float32
    assert gradient.dtype == jnp.bfloat16
    expected, _ = loss_and_gradient(task, outputs.astype(jnp.float32), batch)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


@every_task_with_data
def test_oracle_solves(task: Task) -> None:
    batch = batch_of(task)
    outputs = task.oracle(batch)
    assert outputs.shape == (*batch.mask.shape, task.d_out)
    reached = np.asarray(scores_of(task, outputs, batch)[task.metric])
    threshold = task.solved[task.metric]
    assert (reached >= threshold if task.higher_is_better else reached <= threshold).all()


@every_score
def test_nothing_counted_scores_zero(task: Task) -> None:
    batch = batch_of(task)
    batch = batch._replace(mask=jnp.zeros(batch.mask.shape, bool))
    outputs = random_outputs(task, batch)
    for value in scores_of(task, outputs, batch).values():
        assert np.array_equal(value, np.zeros(BATCH))
    _, gradient = loss_and_gradient(task, outputs, batch)
    assert np.array_equal(gradient, np.zeros(outputs.shape))


@every_score
def test_masked_steps_do_not_matter(task: Task) -> None:
    batch = batch_of(task)
    mask = random_mask(batch)
    batch = batch._replace(mask=mask)
    outputs = random_outputs(task, batch)
    changed = jnp.where(mask[..., None], outputs, jnp.float32(jnp.nan))
    before, after = scores_of(task, outputs, batch), scores_of(task, changed, batch)
    for name, value in before.items():
        assert np.array_equal(value, after[name]), name
    _, gradient = loss_and_gradient(task, outputs, batch)
    assert np.array_equal(np.any(gradient, axis=-1), mask)


@every_score
def test_loss_is_the_mean_over_counted_steps(task: Task) -> None:
    batch = batch_of(task)
    outputs = random_outputs(task, batch)
    mask = np.asarray(batch.mask).reshape(BATCH, -1)
    steps = np.arange(mask.shape[1])
    single = (mask & (steps == steps[:, None, None])).reshape(-1, *batch.mask.shape)
    alone = jax.jit(jax.vmap(lambda mask: task.loss(outputs, batch._replace(mask=mask))))(single)
    expected = np.asarray(alone).sum(axis=0) / mask.sum(axis=1)
    loss, _ = loss_and_gradient(task, outputs, batch)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@every_task_with_data
def test_held_out_batches_are_not_trained_on(task: Task) -> None:
    data = task.load()
    trained = [np.asarray(draw(task, data, KEY, step, BATCH).x) for step in range(8)]
    held_out = [np.asarray(draw_held_out(task, data, KEY, index, BATCH).x) for index in range(8)]
    rows = {row.tobytes() for x in trained for row in x}
    unseen = [row.tobytes() for x in held_out for row in x]
    assert not {x.tobytes() for x in trained}.intersection(x.tobytes() for x in held_out)
    # Where rows are so few that training meets the same one twice, so may who is examined.
    assert len(rows) < 8 * BATCH or not rows.intersection(unseen)
    assert len(set(unseen)) > len(unseen) // 2
    again = draw_held_out(task, data, KEY, 7, BATCH)
    assert np.array_equal(again.x, held_out[7])


@every_task_with_data
def test_the_final_examination_shows_what_no_other_has(task: Task) -> None:
    data = task.load()
    last = task.test_data(data)
    if last is data and jax.tree.leaves(data):
        pytest.skip("its data has no part for it")
    assert (task.evaluation(data, BATCH) is None) == (task.evaluation(last, BATCH) is None)
    seen = [draw(task, data, KEY, step, BATCH) for step in range(8)]
    seen += [draw_held_out(task, data, jax.random.key(1), index, BATCH) for index in range(8)]
    new = [draw_held_out(task, last, jax.random.key(2), index, BATCH) for index in range(8)]
    # Parts may be padded to different lengths: what a row holds is its steps.
    rows = {content(batch, i) for batch in seen for i in range(BATCH)}
    unseen = {content(batch, i) for batch in new for i in range(BATCH)}
    # As above: a language of few short strings repeats them.
    assert len(rows) < 16 * BATCH or not rows & unseen
    assert len(unseen) > 8 * BATCH // 2


def content(batch: Batch, row: int) -> bytes:
    """What a row shows, without its padding."""
    x = np.asarray(batch.x[row])
    return x[: None if batch.lengths is None else int(batch.lengths[row])].tobytes()


@every_task_with_data
def test_baselines_are_scores(task: Task) -> None:
    for name, scores in task.baselines(task.load()).items():
        assert name
        assert scores.keys() & task.solved.keys()
        assert np.isfinite(list(scores.values())).all()


@every_task_with_data
def test_chance_is_what_ignoring_the_input_scores(task: Task) -> None:
    if jax.tree.leaves(task.load()):
        # Chance has not seen the data either: it guesses, ties broken at random.
        tested = batch_of(task, step=1, batch=128)
        guesses = dict.fromkeys(task.chance, 1e-6 * random_outputs(task, tested))
    else:
        fitted, tested = (batch_of(task, step, batch=CROWD) for step in (0, 1))
        shape = (*tested.mask.shape, task.d_out)
        guesses = {
            name: jnp.broadcast_to(best_constant(task, fitted, name), shape) for name in task.chance
        }
    for name, chance in task.chance.items():
        scores = scores_of(task, guesses[name], tested)
        # A mean over counted steps, as training and examination take it.
        share = np.asarray(scores["weight"]) / np.mean(scores["weight"])
        mean = np.mean(scores[name] * share)
        spread = np.std((scores[name] - mean) * share)
        assert abs(mean - chance) < 4 * spread / np.sqrt(len(share)) + task.d_out / CROWD, name


def best_constant(task: Task, batch: Batch, name: str) -> np.ndarray:
    """The outputs, the same for every input, that score best at each step, for one metric."""
    if isinstance(task, Classification):
        y, mask = (np.asarray(array)[..., None] for array in (batch.y, batch.mask))
        seen = (np.arange(task.d_out) == y) & mask
        # One example more, spread over the classes, for steps that few examples reach.
        return np.log(seen.sum(axis=0) + 1 / task.d_out).astype(np.float32)
    y, mask = np.asarray(batch.y), np.asarray(batch.mask)
    candidates = [y.mean(axis=0), *np.quantile(y, np.linspace(0, 1, 101), axis=0)]
    outputs = [jnp.broadcast_to(jnp.float32(candidate), y.shape) for candidate in candidates]
    best = np.empty_like(y[0])
    for step in np.ndindex(mask.shape[1:]):
        alone = np.zeros_like(mask)
        alone[:, *step] = mask[:, *step]
        asked = batch._replace(mask=jnp.asarray(alone))
        scores = [float(scores_of(task, output, asked)[name].mean()) for output in outputs]
        chosen = np.argmax(scores) if task.higher_is_better else np.argmin(scores)
        best[step] = candidates[chosen][step]
    return best


@pytest.mark.parametrize("name", MODULES)
def test_worked_example_runs(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"lstm_lab.tasks.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
