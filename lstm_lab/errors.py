"""Every way lstm_lab refuses, each with the exit code the command line returns for it.

A message is one line, ``what: value: fix``: what went wrong, what was got (and wanted), what to do.
The command line prints it as ``error: <message>`` on stderr; only ``--debug`` shows a traceback.

==== ==========================================================================
code meaning
==== ==========================================================================
0    done
1    a defect in lstm_lab itself            in a sweep, of one trial: :class:`CrashError`, :class:`LostError`
2    usage or configuration                  :class:`UsageError`
3    data                                    :class:`DataError`
4    checkpoint                              :class:`CheckpointError`
5    run directory held by another process   :class:`LockedError`
6    loss, gradient or parameter not finite  :class:`NonFiniteError`
7    disk                                    :class:`StorageError`
8    some trials of a sweep did not finish   :class:`SweepIncomplete`, :class:`OutOfTimeError`
130  SIGINT, after saving                    :class:`Interrupted`
143  SIGTERM, after saving                   :class:`Interrupted`
==== ==========================================================================
"""

import signal


def one_line(error: BaseException | str) -> str:
    """Collapse the message of any exception to a single printable line.

    Args:
        error: an exception, or a message that may span lines.

    Returns:
        The message with every run of white space made one space and unprintable characters
        escaped; the class name where the message is empty.

    >>> one_line(ValueError("bad shape:\\n  (2, 3)\\twanted (3, 2)\\n"))
    'bad shape: (2, 3) wanted (3, 2)'
    >>> one_line(KeyboardInterrupt())
    'KeyboardInterrupt'
    """
    line = " ".join(str(error).split())
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    return line or (error if isinstance(error, str) else type(error).__name__)


class LabError(Exception):
    """Raised only through its subclasses: something outside the code is wrong."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        """Keep the message on one line.

        Args:
            message: ``what: value: fix``.
        """
        super().__init__(one_line(message))


class UsageError(LabError):
    """Raised when an argument, a name or a configuration cannot be used, before any computation."""

    exit_code = 2


class DataError(LabError):
    """Raised when a corpus is missing, malformed, too small, or not the one that was recorded."""

    exit_code = 3


class AbsentError(DataError):
    """Raised when data that a user must bring is not there: its trials are listed as not run."""


class CheckpointError(LabError):
    """Raised when no checkpoint verifies, none fits the model, or resuming would be another run."""

    exit_code = 4


class LockedError(LabError):
    """Raised when another live process holds the run directory."""

    exit_code = 5


class NonFiniteError(LabError):
    """Raised when training meets a NaN or an infinity; nothing of that step is saved.

    Args:
        message: ``what: value: fix``.
        step: training step at which the value was first seen.
        tensor: name of the array that held it, such as ``"loss"`` or ``"gradient norm"``.
    """

    exit_code = 6

    def __init__(self, message: str, *, step: int, tensor: str) -> None:
        super().__init__(message)
        self.step = step
        self.tensor = tensor


class StorageError(LabError):
    """Raised when a file cannot be written: disk full, quota, read-only, no permission."""

    exit_code = 7


class CrashError(LabError):
    """Raised for a trial that ended by a defect, or whose process was killed; others go on."""


class LostError(CrashError):
    """Raised for a trial whose process ended before it could say why: another may fare better."""


class OutOfTimeError(LabError):
    """Raised for a trial that was stopped because its time was up; it stays resumable."""

    exit_code = 8


class SweepIncomplete(LabError):
    """Raised after a sweep has run every trial it could, when at least one did not finish."""

    exit_code = 8


class Interrupted(LabError):
    """Raised at the step boundary after a signal asked the process to stop, once state is saved.

    Args:
        message: ``what: value: fix``.
        signum: the signal; the exit code is 128 + signum, as shells report it.
    """

    def __init__(self, message: str, *, signum: int = signal.SIGTERM) -> None:
        super().__init__(message)
        self.signum = int(signum)
        self.exit_code = 128 + self.signum
