"""The process in which one question is measured: `python -m lstm_lab.bench.costs NAME SETTINGS`."""

import json
import sys

from lstm_lab.bench.costs import Compile, Generation, Memory, Overhead, Question, SecondStart, Seeds
from lstm_lab.devices import use_all_cores


def main() -> None:
    """Answer one question on stdout, as a line of JSON."""
    name, settings = sys.argv[1:]
    kinds: list[type[Question]] = [Seeds, Overhead, Compile, SecondStart, Memory, Generation]
    kind = next(kind for kind in kinds if kind.__name__ == name)
    use_all_cores()
    print(json.dumps(kind(**json.loads(settings)).measure()))


if __name__ == "__main__":
    main()
