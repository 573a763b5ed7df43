"""lstm_lab: what a recurrent network can remember, how far back, and why not further.

Importing the package loads nothing heavy: each room imports what it needs when it is entered, so that
`lstm-lab --help` and every error message answer before JAX has been read from disk.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lstm-lab")
except PackageNotFoundError:  # a checkout on the path that was never installed
    __version__ = "0+uninstalled"
