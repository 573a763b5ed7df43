"""Runs that have taken no step, and a server of one."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from lstm_lab.cells.lstm import LSTM
from lstm_lab.checkpoint import Checkpoints
from lstm_lab.config import to_json
from lstm_lab.model import Model
from lstm_lab.options import PlayOptions
from lstm_lab.play.player import Player
from lstm_lab.play.server import Server
from lstm_lab.program import Program
from lstm_lab.rundir import RunDirectory
from lstm_lab.tasks.text import Text
from lstm_lab.text.writer import Writer
from lstm_lab.trial import Trial

Draw = Callable[..., Path]


@pytest.fixture(scope="session")
def draw_run(tmp_path_factory: pytest.TempPathFactory) -> Draw:
    def call(text: str, unit: Literal["character", "byte"], layers: int) -> Path:
        folder = tmp_path_factory.mktemp("play")
        corpus = folder / "corpus.txt"
        corpus.write_text(text * 60)
        task = Text(str(corpus), unit, length=8)
        model = Model(LSTM(), layers=layers, embedding=4)
        trial = Trial(model=model, task=task, d_hidden=8, batch=2, seeds=2)
        program = Program(trial)
        state = program.axis.take(program.init())
        with RunDirectory(folder / "run") as files:
            files.start({"trial": to_json(trial)}, {"data": task.sha256()})
        Checkpoints(files.checkpoints).save(0, {"state": state, "best": state.params}, {})
        return files.path

    return call


@pytest.fixture(scope="session")
def run(draw_run: Draw) -> Path:
    return draw_run("to be or not to be,\nthat is the question.\n", "character", 2)


@pytest.fixture(scope="session")
def writer(run: Path) -> Writer:
    return Writer(run, "best", 1)


@pytest.fixture(scope="session")
def player(writer: Writer) -> Player:
    return Player(writer)


@pytest.fixture(scope="session")
def server(run: Path) -> Iterator[Server]:
    with Server(run, PlayOptions(port=0, of_seed=1)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
