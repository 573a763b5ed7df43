"""Compile each program once, however many functions turn out to be it.

`jax.jit` caches by the function's identity, so two trials that differ only in how their weights are drawn
compile the same training step twice. Here the key is the program itself: the lowered text, the shape of its
arguments and results, and whether XLA is to optimise it. Tracing costs a tenth of compiling.

`keep` hands programs on to later processes as well, in JAX's persistent compilation cache. What runs is then
the very machine code that was compiled, so no bit of a result depends on it.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

from lstm_lab.errors import StorageError
from lstm_lab.files import make_directory

# Halves the time XLA's CPU compiler takes.
_PLAIN: dict[str, str | bool] = {"xla_backend_optimization_level": "0"}

_programs: dict[tuple[Any, ...], Callable[..., Any]] = {}


def keep(folder: Path) -> None:
    """Keep all programs that are compiled from now on in a directory, and take from there what is in it.

    Whoever can write there can have code run here, so it is made for the owner alone.

    Args:
        folder: made where missing.

    Raises:
        StorageError: nothing can be written there.
    """
    try:
        make_directory(folder)
        # JAX only warns, program by program, and after each has been compiled.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(
            f"cache: cannot write {folder}: {error.strerror}: make it writable or give another directory"
        ) from error
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # An experiment has few programs, and none of them is compiled at once: the small ones are worth keeping too.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # JAX looks at the directory's name once, at the first program.
    compilation_cache.reset_cache()


def forget() -> None:
    """Drop all programs; who holds a `Compiler` keeps its own."""
    _programs.clear()


class Compiler:
    """Compiled functions of one user, by name, with the seconds they took to compile."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._functions: dict[Any, Callable[..., Any]] = {}

    def call(
        self,
        name: Any,
        function: Callable[..., Any],
        *arguments: Any,
        once: bool = False,
        **options: Any,
    ) -> Any:
        """Run a function as a compiled program.

        Args:
            name: what it is to its user; always with arguments of the same shapes.
            function: pure, over arrays; looked at only the first time.
            *arguments: pytrees of arrays.
            once: it runs once or twice, so that on a CPU XLA's optimisations would take longer than they save.
            **options: for `jax.jit`.

        Returns:
            What the function returns.
        """
        if name not in self._functions:
            begin = time.perf_counter()
            lowered = jax.jit(function, **options).lower(*arguments)
            text = hashlib.sha256(lowered.as_text().encode()).hexdigest()
            once = once and jax.default_backend() == "cpu"
            plain = jax.config.values["jax_disable_most_optimizations"] or once
            # An argument that is never used is not in the text.
            given = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(lowered.args_info))
            key = (text, lowered.in_tree, lowered.out_tree, given, plain)
            if key not in _programs:
                _programs[key] = lowered.compile(compiler_options=_PLAIN if once else None)
            self._functions[name] = _programs[key]
            self.seconds += time.perf_counter() - begin
        return self._functions[name](*arguments)
