"""The hub is reached within a deadline or not at all, and a cached copy opens no socket."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lstm_lab.data import hub
from lstm_lab.data.labelled import Rows, read_labelled
from lstm_lab.errors import DataError
from lstm_lab.text.corpora import END, open_corpus, survey

PROGRAM = (
    "import sys; from lstm_lab.text.corpora import open_corpus, survey;"
    "survey(open_corpus(sys.argv[1]))"
)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Start every test on line and with an empty cache, whatever the surroundings say."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_CACHE", "HTTPS_PROXY", "https_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    yield tmp_path / "hf" / "datasets"
    for column in hub._columns.values():
        column.close()
    hub._columns.clear()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def cached(empty_cache: Path, tmp_path: Path) -> str:
    """The name of a data set that is in the cache as a download would have left it."""
    import datasets

    folder = tmp_path / "toy"
    folder.mkdir()
    rows = [{"text": t, "n": i} for i, t in enumerate(["one", "two\n", "thr\r\nee", ""])]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    builder = datasets.load_dataset_builder(str(folder), cache_dir=str(tmp_path / "build"))
    builder.download_and_prepare()
    shutil.copytree(builder.cache_dir, empty_cache / "lab___toy" / "default" / "0.0.0" / "abc")
    return "hub:lab/toy"


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        ("hub:a/b", hub.Source("a/b")),
        ("hub:a/b/c", hub.Source("a/b", "c")),
        ("hub:a/b:test", hub.Source("a/b", split="test")),
        (
            "hub:a-1/b.2/c_3:train[:1%]+test:body",
            hub.Source("a-1/b.2", "c_3", "train[:1%]+test", "body"),
        ),
    ],
)
def test_specifications_are_parsed(spec: str, source: hub.Source) -> None:
    assert hub.parse(spec) == source


@pytest.mark.parametrize(
    "spec", ["hub:", "hub:a", "hub:/a", "hub:a/b/c/d", "hub:a b/c", "hub:a/b:"]
)
def test_malformed_specifications_are_refused(spec: str) -> None:
    with pytest.raises(DataError, match="write hub:OWNER/NAME"):
        hub.parse(spec)


@pytest.mark.parametrize("obstacle", ["no such host", "silent hub", "silent proxy"])
def test_without_network_the_process_ends_without_the_clients_retries(
    obstacle: str, silent: str
) -> None:
    setting = {
        "no such host": {"HF_ENDPOINT": "https://hub.invalid"},
        "silent hub": {"HF_ENDPOINT": silent},
        "silent proxy": {"HF_ENDPOINT": "https://hub.invalid", "HTTPS_PROXY": silent},
    }[obstacle]
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM, "hub:owner/name"],
        env={**os.environ, **setting},
        capture_output=True,
        timeout=20,  # the hub's client alone would take 23 seconds
    )
    assert child.returncode == 1
    last = child.stderr.decode().splitlines()[-1]
    assert "DataError: hub: cannot fetch 'owner/name'" in last
    assert "give a local file" in last


def test_a_name_look_up_that_hangs_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(*_: object, **__: object) -> None:
        release.wait(60)
        raise OSError("released")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(DataError, match="did not answer in 2 seconds"):
        survey(open_corpus("hub:owner/name"))
    release.set()


def test_offline_by_request_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    with pytest.raises(DataError, match=r"HF_HUB_OFFLINE is set; it has no copy"):
        survey(open_corpus("hub:owner/name"))


@pytest.mark.parametrize("code", [200, 401, 404, 503])
def test_any_answer_but_a_failure_counts_as_reached(code: int) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(code)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        reason = hub._unreachable(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert ("answers 503" in reason) if code == 503 else reason == ""


def test_a_cached_copy_is_read_without_asking(
    cached: str, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(endpoint: str) -> str:
        raise AssertionError(f"asked {endpoint}")

    monkeypatch.setattr(hub, "_unreachable", forbidden)
    monkeypatch.setenv("HF_ENDPOINT", silent)  # the child would wait for it
    corpus = open_corpus(cached)
    for _ in range(2):
        assert "".join(corpus.pieces()) == f"one{END}two\n{END}thr\r\nee{END}{END}"
    assert "".join(open_corpus(cached, "line").pieces()) == "one\ntwo\nthr\r\nee\n\n"
    parts = open_corpus(f"{cached}:train[:2],train[2:]")
    assert "".join(parts.pieces("validation")) == f"thr\r\nee{END}{END}"


def test_labelled_rows_come_from_a_cached_copy_one_by_one(cached: str, tmp_path: Path) -> None:
    found = read_labelled(cached, "text", "n", tmp_path)
    assert found == Rows(["one", "two\n", "thr\r\nee", ""], ["0", "1", "2", "3"])


@pytest.mark.parametrize(
    ("suffix", "reason"),
    [
        (":train:body", "no column 'body', only text, n"),
        (":train:n", "column 'n' holds int, not text"),
        (":nosplit", "nosplit"),
    ],
)
def test_what_a_cached_copy_lacks_is_named(cached: str, suffix: str, reason: str) -> None:
    with pytest.raises(DataError, match="cannot read 'lab/toy'") as caught:
        hub._read(hub.parse(cached + suffix), "text", offline=True)
    assert reason in str(caught.value)


def test_a_download_that_never_ends_is_killed(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", silent)
    monkeypatch.setattr(hub, "DOWNLOAD_SECONDS", 0.5)
    with pytest.raises(DataError, match=r"took over 0\.5 seconds"):
        hub._read(hub.parse("hub:owner/name"), "text", offline=False)
