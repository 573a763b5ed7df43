"""The shape of a `result.json`: which fields, of what type, how long over seeds."""

from typing import Any

import numpy as np

_REQUIRED: dict[str, type] = {
    "model": str,
    "task": str,
    "metric": str,
    "higher_is_better": bool,
    "parameters": int,
    "seeds": list,
    "final": dict,
}
_OPTIONAL: dict[str, type] = {
    "task_config": dict,
    "best": dict,
    "chance": dict,
    "baselines": dict,
    "probes": dict,
    "seconds": dict,
    "device": str,
    "solved_step": list,
    "steps": list,
    "solved": dict,
    "optimizer": dict,
    "elsewhere": list,
    "published": dict,
}
# The largest whole number that every format a report is written in can hold.
_LARGEST = 2**53
# Fields of a probe that hold one row per seed, and the field each row is as long as.
_PROBE_ROWS = {
    "influence": ("norm", "lag"),
    "continuation": ("prediction", "truth"),
    "coefficients": ("coefficient", "lag"),
    "gradients": ("norm", "lag"),
    "state": ("rms", "step"),
    "decoding": ("score", "lag"),
}
# Fields of a probe that hold one number per seed.
_PROBE_NUMBERS = {
    "gradients": ("decades",),
    "state": ("mean", "rank", "rank_fraction"),
    "decoding": ("horizon", "censored"),
    "dynamic_evaluation": ("static", "dynamic"),
}


def check(result: dict[str, Any]) -> None:
    """Refuse a result that tables and figures could not rely on, and fill in what may be left out.

    Args:
        result: contents of a `result.json`; optional fields that are absent are added, empty.

    Raises:
        ValueError: a field is missing or of another type or shape; the message names it.
    """
    for name, kind in _OPTIONAL.items():
        if result.get(name) is None:
            result[name] = kind()
    for name, kind in {**_REQUIRED, **_OPTIONAL}.items():
        if not isinstance(result.get(name), kind):
            raise ValueError(f"result.json: {name}: got {type(result.get(name)).__name__}")
    if not (result["model"] and result["task"]):
        raise ValueError("result.json: model or task: got no label")
    if not result["seeds"] or result["metric"] not in result["final"]:
        raise ValueError(f"result.json: final: no {result['metric']} of any seed")
    _check_scores(result, len(result["seeds"]))
    _check_published(result["published"])
    for place, examined in enumerate(result["elsewhere"]):
        _check_elsewhere(f"elsewhere.{place}", examined, len(result["seeds"]))
    for name, moments in result["probes"].items():
        for when, probe in _mapping(f"probes.{name}", moments).items():
            where = f"probes.{name}.{when}"
            _check_probe(where, name, _mapping(where, probe), len(result["seeds"]))
            _check_drawn(where, name, probe)


def _check_scores(result: dict[str, Any], seeds: int) -> None:
    _numbers("seeds", result["seeds"], (seeds,), finite=True)
    whole = (*result["seeds"], result["parameters"])
    if any(not isinstance(number, int) or abs(number) > _LARGEST for number in whole):
        raise ValueError("result.json: seeds or parameters: not whole numbers, or too large")
    for place in ("final", "best"):
        for name, column in result[place].items():
            _numbers(f"{place}.{name}", column, (seeds,))
    for name in ("solved_step", "steps"):
        if result[name]:
            _numbers(name, result[name], (seeds,))
    for name in ("parameters", "solved_at", "max_steps"):
        _numbers(name, result.get(name), ())
    _numbers("optimizer.learning_rate", result["optimizer"].get("learning_rate"), ())
    scores = {f"baselines.{name}": score for name, score in result["baselines"].items()}
    scores |= {place: result[place] for place in ("chance", "seconds", "solved")}
    for where, score in scores.items():
        _check_known(where, score)


def _check_known(where: str, score: object) -> None:
    """Numbers known without seeds, by metric; what was not measured is null, and taken out."""
    score = _mapping(where, score)
    for name, value in list(score.items()):
        _numbers(f"{where}.{name}", value, ())
        if value is None:
            del score[name]


def _check_elsewhere(where: str, examined: object, seeds: int) -> None:
    """What the trained network scores on the same task at another length."""
    examined = _mapping(where, examined)
    for name in ("task", "metric"):
        if not isinstance(examined.get(name), str):
            raise ValueError(
                f"result.json: {where}.{name}: got {type(examined.get(name)).__name__}"
            )
    _mapping(f"{where}.task_config", examined.setdefault("task_config", {}))
    _check_known(f"{where}.chance", examined.setdefault("chance", {}))
    scores = _mapping(f"{where}.scores", examined.get("scores"))
    for name, column in scores.items():
        _numbers(f"{where}.scores.{name}", column, (seeds,))
    if examined["metric"] not in scores:
        raise ValueError(f"result.json: {where}.scores: no {examined['metric']}")


def _check_published(published: dict[str, Any]) -> None:
    """What others have published of the same training; empty for nothing."""
    if not published:
        return
    kinds = {"name": str, "source": str, "every": int, "values": list, "running": bool}
    for name, kind in kinds.items():
        if not isinstance(published.get(name), kind):
            raise ValueError(
                f"result.json: published.{name}: got {type(published.get(name)).__name__}"
            )
    if published["every"] < 1:
        raise ValueError(f"result.json: published.every: got {published['every']}")
    _numbers("published.values", published["values"], (len(published["values"]),), finite=True)


def _check_probe(where: str, name: str, probe: dict[str, Any], seeds: int) -> None:
    if name == "lyapunov":
        _check_lyapunov(where, probe, seeds)
    if name == "retention":
        _check_retention(where, probe, seeds)
    if name in _PROBE_ROWS:
        _check_rows(where, name, probe, seeds)
    for field in _PROBE_NUMBERS.get(name, ()):
        _numbers(f"{where}.{field}", probe.get(field), (seeds,))


def _check_rows(where: str, name: str, probe: dict[str, Any], seeds: int) -> None:
    """A row per seed, over an axis; and what else the panel of such a probe stands on."""
    rows, axis = _PROBE_ROWS[name]
    if not isinstance(probe.get(axis), list):
        raise ValueError(f"result.json: {where}.{axis}: got {type(probe.get(axis)).__name__}")
    length = len(probe[axis])
    # A sequence to continue may overflow; what stands on an axis may not.
    _numbers(f"{where}.{axis}", probe[axis], (length,), finite=axis != "truth")
    shape: tuple[int, ...] = (seeds,)
    if name == "gradients":
        _numbers(f"{where}.layers", probe.get("layers"), (), finite=True)
        shape = (seeds, int(probe["layers"]))
        _numbers(f"{where}.parameter_norm", probe.get("parameter_norm"), shape)
    _numbers(f"{where}.{rows}", probe.get(rows), (*shape, length))
    if name == "decoding":
        _numbers(f"{where}.chance", probe.get("chance"), (), finite=True)
        if probe.get("measure") not in ("accuracy", "r2"):
            raise ValueError(f"result.json: {where}.measure: got {probe.get('measure')!r}")
    if name == "continuation":
        _numbers(f"{where}.relative_error", probe.get("relative_error"), (seeds, length))
        _numbers(f"{where}.trained_length", probe.get("trained_length"), (), finite=True)
    if name == "influence" and probe.get("half_life") is not None:
        _numbers(f"{where}.half_life", probe["half_life"], (seeds,))


def _check_lyapunov(where: str, probe: dict[str, Any], seeds: int) -> None:
    _numbers(f"{where}.largest", probe.get("largest"), (seeds,))
    for n, rows in enumerate(_list(f"{where}.exponents", probe.get("exponents"))):
        # null: its carry is too large.
        if rows is not None:
            place = f"{where}.exponents.{n}"
            first = _list(place, (_list(place, rows) or [[]])[0])
            _numbers(place, rows, (seeds, len(first)))


def _check_retention(where: str, probe: dict[str, Any], seeds: int) -> None:
    _numbers(f"{where}.time_constant", probe.get("time_constant"), (seeds,))
    edges = len(_list(f"{where}.edges", probe.get("edges")))
    # A share lies below the first edge of f and one above its last; no time constant is below the first.
    shapes = {"histogram": (seeds, edges + 1)}
    shapes["times"] = (seeds, len(_list(f"{where}.time_edges", probe.get("time_edges"))))
    for n, leaves in enumerate(_list(f"{where}.layers", probe.get("layers"))):
        for leaf, own in _mapping(f"{where}.layers.{n}", leaves).items():
            place = f"{where}.layers.{n}.{leaf}"
            # null: a step is no elementwise function of this leaf.
            for field, shape in shapes.items() if own is not None else ():
                _numbers(f"{place}.{field}", _mapping(place, own).get(field), shape)


def _list(where: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"result.json: {where}: got {type(value).__name__}, wanted a list")
    return value


def _check_drawn(where: str, name: str, probe: dict[str, Any]) -> None:
    """What a panel relies on beyond the shapes: that there is something to draw."""
    if name == "gradients" and probe["layers"] < 1:
        raise ValueError(f"result.json: {where}.layers: got none")
    if name == "lyapunov" and not probe["exponents"]:
        raise ValueError(f"result.json: {where}.exponents: got no layer")
    if name == "retention" and probe.get("leaf") is not None:
        edges = probe["time_edges"]
        _numbers(f"{where}.time_edges", edges, (max(2, len(edges)),), finite=True)
        _leaf(where, probe["layers"], _mapping(f"{where}.leaf", probe["leaf"]))


def _leaf(where: str, layers: list[dict[str, Any]], leaf: dict[str, Any]) -> None:
    """The part of the carry that a retention probe found to keep the most must be among its layers."""
    layer, name = leaf.get("layer"), leaf.get("leaf")
    if not isinstance(layer, int) or not 0 <= layer < len(layers):
        raise ValueError(f"result.json: {where}.leaf: got layer {layer!r} of {len(layers)}")
    _mapping(f"{where}.leaf", layers[layer].get(name) if isinstance(name, str) else name)


def _mapping(where: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"result.json: {where}: got {type(value).__name__}, wanted an object")
    return value


def _numbers(where: str, value: object, shape: tuple[int, ...], finite: bool = False) -> None:
    try:
        # NumPy would read a number out of a text, and nothing after this module would.
        texts = any(isinstance(item, str | bytes) for item in np.array(value, object).flat)
        got = np.array(value, float)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"result.json: {where}: not numbers") from error
    if texts:
        raise ValueError(f"result.json: {where}: got a text, wanted numbers")
    if got.shape != shape:
        raise ValueError(f"result.json: {where}: got shape {list(got.shape)}, wanted {list(shape)}")
    if finite and not np.isfinite(got).all():
        raise ValueError(f"result.json: {where}: not finite")
