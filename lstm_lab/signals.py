"""Stopping when asked: SIGTERM and Ctrl-C end training at the next step boundary, state saved."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

from lstm_lab.errors import Interrupted


class Stop:
    """While entered, remembers the first SIGINT or SIGTERM instead of dying of it; a second one kills.

    Python runs signal handlers in the main thread only; enter it there.
    """

    signals: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signum: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for signum in self.signals:
            self._before[signum] = signal.signal(signum, self._remember)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        self.signum = signum
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)

    def error(self, where: str) -> Interrupted:
        """What to raise once the state is safe.

        Args:
            where: what was saved, and how far it had come.
        """
        name = signal.Signals(self.signum or signal.SIGTERM).name
        return Interrupted(
            f"{name}: {where}: run the same command again to go on",
            signum=self.signum or signal.SIGTERM,
        )


class PatientStop(Stop):
    """One that no second signal kills: whoever asks says it in several ways at once, and ends by itself what lasts.

    Args:
        more: signals that it remembers beside the usual.

    Attributes:
        received: all that came while it was entered; `signum` is the first.
    """

    def __init__(self, *more: int) -> None:
        super().__init__()
        self.signals = (*Stop.signals, *more)
        self.received: list[int] = []

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        self.received.append(signum)
        self.signum = self.received[0]
