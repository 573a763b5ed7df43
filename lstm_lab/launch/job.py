"""What a job of a cluster does, on the node where it runs: one group in one watched process.

Time limits, crashes and their reasons are thereby the same as on one machine, and a job that dies takes its
group's process with it.
"""

import json
import os
import signal
from typing import Any

from lstm_lab.errors import LabError, LostError
from lstm_lab.launch.messages import read_request, reply
from lstm_lab.launch.workers import Workers
from lstm_lab.progress import Silent
from lstm_lab.signals import Stop


def answer(text: str, stop: Stop) -> str:
    """Run a group for a `Cluster`, on the node where this is called.

    Args:
        text: the request.
        stop: asked whether to save and leave.

    Returns:
        As JSON the lines there are to say under "said", and under "outcomes" what became of each trial (see
        `lstm_lab.launch.messages`), or under "lost" why that is not known.
    """
    asked = json.loads(text)
    os.environ.update(asked["environment"])
    group, parent, terms = read_request(asked)
    kept = _Kept()
    try:
        outcomes = [outcome for _, outcome in Workers(1).run([group], parent, terms, stop, kept)]
    except LabError as error:
        outcomes = [error] * len(group)
    stopped = {128 + signum for signum in Stop.signals}
    lost = [str(outcome) for outcome in outcomes if isinstance(outcome, LostError)]
    if not outcomes or any(getattr(outcome, "exit_code", 0) in stopped for outcome in outcomes):
        name = signal.Signals(stop.signum or signal.SIGTERM).name
        lost.append(f"{name}: its job was asked to stop")
    told: dict[str, Any] = {"lost": lost[0]} if lost else {"outcomes": reply(outcomes)}
    return json.dumps({"said": kept.lines, **told})


class _Kept(Silent):
    """Keeps the lines that stay on."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def finish(self, line: str) -> None:
        self.lines.append(line)
