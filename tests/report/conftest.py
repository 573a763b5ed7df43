"""Run directories as five experiments would leave them; made up, no network was trained."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Write = Callable[..., Path]


def write_trial(folder: Path, name: str, result: dict[str, Any], curve: bool = True) -> None:
    """Write one finished trial: config, metrics and result."""
    place = folder / name
    place.mkdir(parents=True)
    labels = {"model": result["model"], "task": result["task"]}
    (place / "config.json").write_text(json.dumps({"type": "Trial", **labels}))
    (place / "result.json").write_text(json.dumps({"trial": name, **result}))
    rng = np.random.default_rng(len(name))
    metric, rows = result["metric"], []
    for row, seed in enumerate(result["seeds"]):
        end = result["final"][metric][row]
        start = result["chance"].get(metric, 3.0)
        for step in range(0, result["steps"][row] + 1, 100):
            value = end + (start - end) * math.exp(-step / 300) + rng.normal(0, 0.004)
            row_of = {"step": step, "seed": seed, metric: value, "time": 1.0}
            rows += [{**row_of, "split": split} for split in ("train", "validation")]
    if curve:
        (place / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_result(
    model: str, task: str, metric: str, values: Any, chance: float | None, **fields: Any
) -> dict[str, Any]:
    """Contents of a `result.json`, sensible where `fields` say nothing."""
    values = [float(value) for value in values]
    higher = metric == "accuracy"
    solved = [bool(v >= 0.99) if higher else False for v in values]
    return {
        "experiment": "made_up",
        "model": model,
        "task": task,
        "task_config": {"type": "Made", "lag": None},
        "model_config": {"type": "Model"},
        "metric": metric,
        "higher_is_better": higher,
        "parameters": 5123,
        "d_hidden": 32,
        "batch": 64,
        "seeds": list(range(len(values))),
        "max_steps": 1500,
        "steps": [800 + 100 * i if s else 1500 for i, s in enumerate(solved)],
        "solved_at": 0.99 if higher else None,
        "solved_step": [800 + 100 * i if s else None for i, s in enumerate(solved)],
        "final": {metric: values},
        "best": {metric: values, "step": [1500] * len(values)},
        "chance": {} if chance is None else {metric: chance},
        "baselines": {},
        "probes": {},
        "seconds": {"compile": 3.1, "train": 20.2, "total": 25.04},
        "device": "cpu x2",
        "status": "finished",
        **fields,
    }


def influence(length: int, half_life: float, seeds: int = 5) -> dict[str, Any]:
    """An influence probe whose norm halves every so many steps, a little apart between seeds."""
    lags = list(range(length))
    halves = [half_life * (1 + 0.1 * seed) for seed in range(seeds)]
    norm = [[0.5 ** (lag / half) for lag in lags] for half in halves]
    return {"lag": lags, "norm": norm, "half_life": halves}


def write_experiment(out: Path, name: str, results: list[dict[str, Any]], **fields: Any) -> Path:
    """Write one experiment and its trials."""
    folder = out / name
    names = [f"{index:012x}" for index in range(len(results))]
    for trial, result in zip(names, results, strict=True):
        write_trial(folder, trial, result)
    definition = {"type": "Experiment", "name": name, **fields}
    command = f"lstm-lab run experiments/{name}.py"
    index = {"experiment": definition, "command": command, "trials": names, "version": "0.1.0"}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.json").write_text(json.dumps(index))
    return folder


def claim(statement: str, model: str, task: str, **fields: Any) -> dict[str, Any]:
    """A claim as `config.to_json` writes it."""
    return {"type": "Claim", "statement": statement, "model": model, "task": task, **fields}


@pytest.fixture
def experiment(tmp_path: Path) -> Write:
    """Writes an experiment under the test's own directory."""

    def write(name: str, results: list[dict[str, Any]], **fields: Any) -> Path:
        return write_experiment(tmp_path, name, results, **fields)

    return write


@pytest.fixture
def result() -> Callable[..., dict[str, Any]]:
    """Makes the contents of a `result.json`."""
    return make_result


@pytest.fixture(scope="session")
def write_battery() -> Callable[[Path], Path]:
    """Writes an experiment of three models on four tasks, with a search, a failure and absent data."""
    return _write_battery


@pytest.fixture(scope="session")
def write_five() -> Callable[[Path], None]:
    """Writes the five experiments, with one trial that diverged and one that is torn."""
    return _write_five


def _write_five(out: Path) -> None:
    rng = np.random.default_rng(0)
    _long_range(out, rng)
    _text(out, rng)
    _fibonacci(out)
    _bidirectional(out, rng)
    write_experiment(
        out,
        "adding",
        [
            make_result("LSTM", "Adding length 100", "mse", rng.uniform(3e-4, 9e-4, 5), 0.1667),
            make_result("Elman", "Adding length 100", "mse", rng.uniform(0.16, 0.17, 5), 0.1667),
        ],
        question="Can a recurrent network add two marked numbers of a long sequence?",
        claim="An LSTM solves the adding problem.",
        source="Hochreiter & Schmidhuber, Long Short-Term Memory, 1997, section 5.4",
        claims=[
            claim("the LSTM adds", "LSTM", "Adding*", metric="mse", relation="below", against=0.01)
        ],
    )


def _long_range(out: Path, rng: np.random.Generator) -> None:
    reach = {
        "Elman": 12.0,
        "Elman orthogonal": 60.0,
        "GRU": 90.0,
        "LSTM": 130.0,
        "LSTM chrono": 2e4,
    }
    results = []
    for lag in (10, 50, 100, 500):
        for model, half in reach.items():
            level = 0.125 + 0.875 / (1 + (lag / half) ** 4)
            values = np.clip(level + rng.normal(0, 0.03, 5) * (1 - level), 0, 1)
            probes = {
                "influence": {"before": influence(lag + 1, 3.0), "after": influence(lag + 1, half)}
            }
            task = {"type": "Recall", "lag": lag}
            name = f"Recall lag {lag}"
            results.append(
                make_result(model, name, "accuracy", values, 0.125, probes=probes, task_config=task)
            )
    folder = write_experiment(
        out,
        "long_range",
        results,
        question="How far back does a recurrent network remember, and why?",
        claim="A plain RNN loses what is far away; the cell state of an LSTM carries it.",
        source="Bengio, Simard & Frasconi, Learning long-term dependencies, 1994",
        claims=[
            claim("a plain RNN loses what is far away", "Elman", "Recall lag 500",
                  relation="equal", against="chance", tolerance=0.02),
            claim("so does every plain RNN, however started", "Elman orthogonal", "Recall lag 50",
                  relation="equal", against="chance", tolerance=0.02),
            claim("the cell state of an LSTM carries it", "LSTM chrono", "Recall lag *",
                  relation="at least", against=0.99),
            claim("the LSTM remembers better than the GRU", "LSTM", "Recall lag 100",
                  against="model:GRU"),
            claim("a longer memory than anyone measured", "LSTM", "Recall lag 5000"),
        ],
    )  # fmt: skip
    failed = folder / "feedfacefeed"
    failed.mkdir()
    (failed / "config.json").write_text("{}")
    reason = "loss not finite: nan at step 412: lower the learning rate"
    failure = {"model": "Elman relu", "task": "Recall lag 500", "status": "diverged"}
    (failed / "failure.json").write_text(json.dumps({**failure, "reason": reason}))
    torn = folder / "00000000torn"
    torn.mkdir()
    (torn / "config.json").write_text(json.dumps({"model": "GRU", "task": "Recall lag 1000"}))
    (torn / "result.json").write_text('{"model": "GRU", "ta')


def _text(out: Path, rng: np.random.Generator) -> None:
    orders = (3.32, 2.49, 2.08, 1.87, 1.82, 1.95)
    known: dict[str, Mapping[str, float]] = {
        f"markov order {order}": {"loss": loss, "bits": loss / math.log(2)}
        for order, loss in enumerate(orders)
    }
    known = {**known, "xz": {"loss": 1.98, "bits": 1.98 / math.log(2)}}
    text = (
        "O Romeo, what art thou that wouldst be gone?\n\nNURSE:\nMadam, your lady mother <comes>."
    )
    sample = {"prompt": "O Romeo", "text": text, "temperature": 0.8, "seed": 0}
    read = {"static": [1.6, 1.61, 1.62, 1.63, 1.64], "dynamic": [1.5, 1.51, 1.52, 1.53, 1.54]}
    probes = {"text_sample": {"after": sample}, "dynamic_evaluation": {"after": read}}
    extra = {"baselines": known, "parameters": 412_345}
    results = [
        make_result("LSTM", "Text shakespeare", "loss", 1.55 + rng.normal(0, 0.006, 5), 4.17,
                    probes=probes, **extra),
        make_result("Elman", "Text shakespeare", "loss", 1.84 + rng.normal(0, 0.02, 5), 4.17,
                    **extra),
    ]  # fmt: skip
    write_experiment(
        out,
        "text",
        results,
        question="Does a small LSTM predict text better than counting does?",
        source="Karpathy, The Unreasonable Effectiveness of Recurrent Neural Networks, 2015",
        claims=[
            claim(f"{who} beats counting", model, "Text*", metric="loss", relation="below",
                  against="baseline:markov order *")
            for who, model in (("the LSTM", "LSTM"), ("a plain RNN", "Elman"))
        ],
    )  # fmt: skip


def _fibonacci(out: Path) -> None:
    steps = np.arange(40)
    truth = (1.618**steps).tolist()

    def probes(error: float) -> dict[str, Any]:
        wrong = [[error * (1 + seed) * 1.1**step for step in steps] for seed in range(5)]
        guess = [[t * (1 + e) for t, e in zip(truth, row, strict=True)] for row in wrong]
        after = {"truth": truth, "prediction": guess, "relative_error": wrong, "trained_length": 20}
        return {"continuation": {"after": after}}

    coefficient = [[1 + 1e-4 * seed, 1 - 2e-4 * seed, 1e-5] for seed in range(5)]
    linear = {"coefficients": {"after": {"lag": [1, 2, 3], "coefficient": coefficient}}}
    name = "Fibonacci length 20"
    results = [
        make_result(
            "Linear", name, "mse", np.full(5, 2e-9), 0.9, probes={**probes(1e-5), **linear}
        ),
        make_result("LSTM", name, "mse", np.full(5, 3e-4), 0.9, probes=probes(3e-3)),
    ]
    write_experiment(
        out,
        "fibonacci",
        results,
        question="Does a linear recurrent network find the rule of a linear sequence?",
        source="the recurrence x[t] = x[t-1] + x[t-2]",
        claims=[
            claim(f"coefficient at lag {lag} is 1", "Linear", "Fibonacci*", relation="equal",
                  metric=f"probe:coefficients:after:coefficient:{lag}", against=1.0, tolerance=0.01)
            for lag in (1, 2)
        ]
        + [
            claim(f"{model} continues to twice the trained length", model, "Fibonacci*",
                  metric="probe:continuation:after:relative_error:max", relation="below",
                  against=0.01)
            for model in ("Linear", "LSTM")
        ],
    )  # fmt: skip


def _bidirectional(out: Path, rng: np.random.Generator) -> None:
    tasks = {"Future bit": (0.5, 0.999), "Palindrome": (0.71, 0.998)}
    results = [
        make_result(model, task, "accuracy", np.clip(level + rng.normal(0, 0.001, 5), 0, 1), 0.5)
        for task, levels in tasks.items()
        for model, level in zip(("LSTM", "LSTM bidirectional"), levels, strict=True)
    ]
    write_experiment(
        out,
        "bidirectional",
        results,
        question="What does reading backwards buy?",
        source="Schuster & Paliwal, Bidirectional Recurrent Neural Networks, 1997",
        claims=[
            claim("one direction knows nothing of the future", "LSTM", "Future bit",
                  relation="equal", against="chance", tolerance=0.02),
            claim("two directions know it", "LSTM bidirectional", "Future bit",
                  relation="at least", against=0.99),
        ],
    )  # fmt: skip


def every_probe(length: int = 12, seeds: int = 6) -> dict[str, Any]:
    """What each probe leaves behind, in the shapes their docstrings give."""
    lags = [0, 1, 3, length - 1]
    fading = [[0.5**lag for lag in lags]] * seeds
    gradients = {"layers": 2, "lag": lags, "norm": [[row, row] for row in fading]}
    state = {"step": [0, 5, 11], "rms": [[0.1, 0.2, None]] * seeds, "mean": [0.0] * seeds}
    times = {"histogram": [[0.0, 1.0, 0.0]] * seeds, "times": [[0.5, 0.25, 0.25]] * seeds}
    moments = {
        "influence": influence(length, 3.0, seeds),
        "gradients": {
            **gradients,
            "parameter_norm": [[1.0, 2.0]] * seeds,
            "decades": [3.0] * seeds,
        },
        "state": {**state, "rank": [2.0] * seeds, "rank_fraction": [0.25] * seeds},
        "lyapunov": {
            "exponents": [[[-0.1, -0.5]] * seeds, [[-0.2]] * seeds],
            "largest": [-0.1] * seeds,
        },
        "retention": {
            "edges": [0.0, 1.0],
            "time_edges": [1.0, 10.0, 100.0],
            "layers": [{"h": None, "c": times}],
            "leaf": {"layer": 0, "leaf": "c"},
            "time_constant": [8.0] * seeds,
        },
    }
    decoding = {"measure": "accuracy", "lag": lags, "score": fading, "chance": 0.1}
    asked = {"horizon": [3] * seeds, "censored": [False] * seeds}
    both = {name: {"before": seen, "after": seen} for name, seen in moments.items()}
    return {**both, "decoding": {"after": {**decoding, **asked}}}


def _write_battery(out: Path) -> Path:
    """Skill of each model on each task; Elman twice on one, as a search; Elman diverges on another."""
    levels = {"Elman": 0.1, "LSTM": 0.9, "GRU": 0.8}
    spread = np.linspace(-0.03, 0.03, 6)
    results = []
    for task, metric, chance, config in (
        ("Recall lag 100", "accuracy", 0.125, {"type": "Recall", "lag": 100}),
        ("Adding length 50", "mse", 0.2, {"type": "Adding", "length": 50}),
        ("Recall lag 20", "accuracy", 0.125, {"type": "Recall", "lag": 20}),
        ("Digits", "accuracy", 0.1, {"type": "Digits"}),
    ):
        for model, level in levels.items():
            if task == "Digits" or (model, task) == ("Elman", "Recall lag 20"):
                continue
            skill = level + spread + (0.05 if model == "LSTM" else 0.0)
            values = chance + (1 - chance) * skill if metric == "accuracy" else chance * (1 - skill)
            results.append(
                make_result(
                    model,
                    task,
                    metric,
                    values,
                    chance,
                    task_config=config,
                    probes=every_probe(),
                    elsewhere=[_twice_as_long(config, metric, values.tolist(), chance)],
                    solved={metric: chance + 0.7 * (1 - chance)} if metric == "accuracy" else {},
                    optimizer={"method": "adam", "learning_rate": 0.003},
                    solved_at=None,
                )
            )
    # A candidate that is better on the test but worse on validation is not the one to choose.
    first = next(r for r in results if r["model"] == "Elman")
    other = {**first, "final": {"accuracy": [1.0] * 6}, "best": {"accuracy": [0.13] * 6}}
    results.append({**other, "optimizer": {"method": "adam", "learning_rate": 0.1}})
    folder = write_experiment(out, "battery", results, question="Which cell carries what?")
    index = json.loads((folder / "experiment.json").read_text())
    index["trials"] = [{"id": name, "command": f"run only {name}"} for name in index["trials"]]
    missing = [("Elman", "Recall lag 20", "diverged", "loss: nan at step 412")]
    missing += [(model, "Digits", "not run", "no digits here: bring them") for model in levels]
    for place, (model, task, status, reason) in enumerate(missing):
        (folder / f"missing{place}").mkdir()
        failure = {"model": model, "task": task, "status": status, "reason": reason}
        (folder / f"missing{place}" / "failure.json").write_text(json.dumps(failure))
        index["trials"].append({"id": f"missing{place}", "model": model, "task": task})
    (folder / "experiment.json").write_text(json.dumps(index))
    return folder


def _twice_as_long(
    config: dict[str, Any], metric: str, values: list[float], chance: float
) -> dict[str, Any]:
    name = "lag" if "lag" in config else "length"
    half = [(value + chance) / 2 for value in values]
    return {
        "task": f"{config['type']} {name} {2 * config[name]}",
        "task_config": {**config, name: 2 * config[name]},
        "metric": metric,
        "chance": {metric: chance},
        "scores": {metric: half},
    }
