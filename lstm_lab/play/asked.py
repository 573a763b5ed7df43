"""What the page asks for: a JSON object whose fields are named, and mean, as the options of `lstm-lab generate`."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_lab.errors import UsageError
from lstm_lab.text.sampling import Sampling
from lstm_lab.text.vocabulary import Vocabulary

NUMBERS = ("temperature", "top_p", "min_p", "typical", "repetition")
WHOLE = ("top_k", "length", "seed")
# Symbols drawn where the page does not say.
LENGTH = 500
# What a PRNG key is made of.
SEEDS = 2**32


@dataclass(frozen=True, eq=False)
class Asked:
    """A text that is asked for.

    Attributes:
        ids: the prompt, int `[T]`.
        length: symbols to draw.
        sampling: how each is chosen.
        seed: of the draw.
    """

    ids: np.ndarray
    length: int
    sampling: Sampling
    seed: int


def asked(body: bytes, vocabulary: Vocabulary) -> Asked:
    """Read a request.

    Args:
        body: `prompt`, a text, or `ids`, a text as symbols; and any of `length`, `seed` and the fields of `Sampling`.
        vocabulary: of the network that is asked.

    Raises:
        UsageError: it cannot be read; what is out of range, whoever draws will say.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"request: {error}: send JSON") from error
    if not isinstance(given, dict):
        raise UsageError("request: got a value, wanted a JSON object: send one")
    known = (*NUMBERS, *WHOLE, "prompt", "ids")
    for name in given:
        if name not in known:
            raise UsageError(f"request: {name}: no such field: use {', '.join(known)}")
    for name in (*NUMBERS, *WHOLE):
        if name in given:
            _check(name, given[name])
    seed = given.pop("seed", 0)
    if not 0 <= seed < SEEDS:
        raise UsageError(f"seed: got {seed}, wanted 0 to {SEEDS - 1}: give another")
    length = given.pop("length", LENGTH)
    ids = _ids(given.pop("prompt", "\n"), given.pop("ids", None), vocabulary)
    return Asked(ids, length, Sampling(**given), seed)


def _check(name: str, value: Any) -> None:
    wanted, kinds = ("a whole number", int) if name in WHOLE else ("a number", int | float)
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise UsageError(f"{name}: got {value!r}, wanted {wanted}: give one, or leave it out")


def _ids(prompt: Any, ids: Any, vocabulary: Vocabulary) -> np.ndarray:
    if ids is None:
        if not isinstance(prompt, str):
            raise UsageError(f"prompt: got {prompt!r}, wanted a text: send a string")
        return vocabulary.encode(prompt)
    size = vocabulary.size
    if not isinstance(ids, list) or not all(type(i) is int and 0 <= i < size for i in ids):
        raise UsageError(f"ids: wanted a list of whole numbers of 0 to {size - 1}: send one")
    return np.array(ids, np.int32)
