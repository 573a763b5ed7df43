"""Compile each program once, however many functions turn out to be it.

`jax.jit` caches by the function's identity, so two trials that differ only in how their weights are drawn
compile the same training step twice. Here the key is the program itself: the lowered text, the shape of its
arguments and results, and whether XLA is to optimise it. Tracing costs a tenth of compiling.
"""

import hashlib
import time
from collections.abc import Callable
from typing import Any

import jax

_programs: dict[tuple[str, Any, Any, bool], Callable[..., Any]] = {}


class Compiler:
    """Compiled functions of one user, by name, with the seconds they took to compile."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._functions: dict[Any, Callable[..., Any]] = {}

    def call(self, name: Any, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Run a function as a compiled program.

        Args:
            name: what it is to its user; always with arguments of the same shapes.
            function: pure, over arrays; looked at only the first time.
            *arguments: pytrees of arrays.
            **options: for `jax.jit`.

        Returns:
            What the function returns.
        """
        if name not in self._functions:
            begin = time.perf_counter()
            lowered = jax.jit(function, **options).lower(*arguments)
            text = hashlib.sha256(lowered.as_text().encode()).hexdigest()
            plain = jax.config.values["jax_disable_most_optimizations"]
            key = (text, lowered.in_tree, lowered.out_tree, plain)
            if key not in _programs:
                _programs[key] = lowered.compile()
            self._functions[name] = _programs[key]
            self.seconds += time.perf_counter() - begin
        return self._functions[name](*arguments)
