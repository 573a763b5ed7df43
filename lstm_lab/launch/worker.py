"""A process that runs groups of trials for another, which asks on stdin and reads replies on stdout.

    python -m lstm_lab.launch.worker CORES      such as 0,1: the cores it may use

One JSON object a line. To a request (`lstm_lab.launch.messages`) the replies are `{"say": line}` while it runs,
and `{"outcomes": [...]}` at the end. When whoever asks is gone, so is the worker, at once: what it was at goes on
from the last checkpoint.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TextIO

from lstm_lab.errors import LabError
from lstm_lab.launch.here import run_group
from lstm_lab.launch.messages import read_request, reply
from lstm_lab.progress import Silent
from lstm_lab.signals import PatientStop


class _Relay(Silent):
    """Hands the lines that stay on to whoever asks."""

    def __init__(self, replies: TextIO) -> None:
        self._replies = replies

    def finish(self, line: str) -> None:
        _say(self._replies, say=line)


def _say(replies: TextIO, **content: Any) -> None:
    replies.write(json.dumps(content) + "\n")
    replies.flush()


def _requests() -> Iterator[dict[str, Any]]:
    """The requests as they come; the end of them ends the process, whatever it is doing."""
    waiting: SimpleQueue[str] = SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            waiting.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield json.loads(waiting.get())


def main() -> None:
    """Answer requests until there are no more."""
    # A scheduler signals every process of a job, but what follows is for whoever asks to say.
    for signum in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(signum, signal.SIG_IGN)
    cores = [int(core) for core in sys.argv[1].split(",")]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    # Whatever a library prints must not stand among the replies.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # JAX counts the cores when its backend starts, so not before they are set.
    from lstm_lab.devices import use_all_cores

    use_all_cores()
    kept: Path | None = None
    for request in _requests():
        trials, parent, terms = read_request(request)
        if terms.cache is not None and terms.cache != kept:
            from lstm_lab.compiled import keep

            keep(terms.cache)
            kept = terms.cache
        with PatientStop() as stop:
            try:
                outcomes = run_group(trials, parent, terms, stop, _Relay(replies))
            except LabError as error:
                outcomes = [error] * len(trials)
        _say(replies, outcomes=reply(outcomes))


if __name__ == "__main__":
    main()
