"""The server over plain HTTP: what it says, to whom, and what it refuses."""

import base64
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_lab.cli import execute
from lstm_lab.errors import UsageError
from lstm_lab.play import server as module
from lstm_lab.play.asked import asked
from lstm_lab.play.page import page
from lstm_lab.play.player import Player
from lstm_lab.play.server import Server
from lstm_lab.text.sampling import Sampling
from lstm_lab.text.vocabulary import CharVocabulary
from lstm_lab.text.writer import Writer

NONE: Mapping[str, str | None] = {}
Ask = Callable[..., tuple[int, dict[str, str], str]]


@pytest.fixture
def ask(server: Server) -> Ask:
    """A request as a page of the server would send it, but for what is said otherwise: status, headers, text."""

    def call(
        method: str, path: str, body: bytes = b"", headers: Mapping[str, str | None] = NONE
    ) -> tuple[int, dict[str, str], str]:
        usual = {"Host": server.hosts[0], "Origin": f"http://{server.hosts[0]}"}
        usual["Content-Length"] = str(len(body))
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**usual, **headers}.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        told = answer.status, dict(answer.getheaders()), answer.read().decode()
        connection.close()
        return told

    return call


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def write(ask: Ask, **fields: Any) -> tuple[int, list[dict[str, Any]]]:
    status, _, text = ask("POST", "/write", json.dumps(fields).encode())
    return status, lines(text)


def test_it_hands_out_one_page_under_a_strict_policy(ask: Ask) -> None:
    status, headers, text = ask("GET", "/", headers={"Origin": None})
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert not any(name.startswith("Access-Control") for name in headers)
    assert "LSTM forget bias 1, 2 layers, embedding 4 on Text corpus length 8" in text
    assert "best weights of seed 1" in text
    # It asks nobody for anything: what it names is in it.
    assert not re.search(r"""(src|href)=["'](?!data:,)""", text)


def test_what_a_run_is_called_stays_text() -> None:
    hostile = "</title><script>alert(1)</script>$script"
    html = page(hostile, hostile).html.decode()
    assert "alert(1)</script>" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;$script") == 3


def test_it_answers_to_its_own_name_alone(ask: Ask, server: Server) -> None:
    assert ask("GET", "/", headers={"Host": server.hosts[1]})[0] == 200
    for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1", None):
        for method, path in (("GET", "/"), ("POST", "/write")):
            status, headers, text = ask(method, path, headers={"Host": host})
            assert status == 403
            assert "text/html" not in headers["Content-Type"]
            assert lines(text) == [{"error": f"host: not this server: open {server.address}"}]


def test_it_computes_for_its_own_page_alone(ask: Ask, server: Server) -> None:
    for origin in ("http://evil.example", "null", f"https://{server.hosts[0]}", None):
        assert ask("POST", "/write", b'{"length": 1}', headers={"Origin": origin})[0] == 403
    assert (
        ask("POST", "/write", b'{"length": 1}', headers={"Origin": f"http://{server.hosts[1]}"})[0]
        == 200
    )


def test_there_is_nothing_else(ask: Ask) -> None:
    for path in ("/play.js", "/../cli.py", "/?", "/write", "http://evil.example/"):
        assert ask("GET", path)[0] == 404, path
    for path in ("/", "/write/"):
        assert ask("POST", path, b"{}")[0] == 404, path
    assert ask("OPTIONS", "/write")[0] == 501


def test_too_much_is_refused_and_not_kept(ask: Ask) -> None:
    text = json.dumps({"prompt": "t" * module.MOST}).encode()
    status, _, said = ask("POST", "/write", text)
    assert status == 413
    assert "262,144 are taken: send a shorter text" in said
    for size in ("-1", "x", "", "9" * 5000, None):
        assert ask("POST", "/write", headers={"Content-Length": size})[0] == 411


def test_it_listens_on_the_loopback_alone(server: Server) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    # Another address of the same machine.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.server_port), 5).close()


def test_the_stream_is_what_a_writer_writes(ask: Ask, writer: Writer) -> None:
    settings: dict[str, Any] = {"temperature": 1.2, "top_k": 7, "repetition": 1.1}
    status, told = write(ask, prompt="to be\n", length=25, seed=5, **settings)
    assert status == 200
    head, *symbols, end = told
    assert end == {"end": True}
    assert head["strips"][0] == {"name": "layer 1 h", "shown": 8, "size": 8}
    text = "".join(symbol["text"] for symbol in symbols)
    pieces = writer.write("to be\n", 25, Sampling(**settings), 5)
    assert text == "to be\n" + "".join(piece for (piece,) in pieces)
    assert [symbol["drawn"] for symbol in symbols] == [False] * 6 + [True] * 25
    state = np.frombuffer(base64.b64decode(symbols[-1]["state"]), "<f4")
    assert state.shape == (sum(strip["shown"] for strip in head["strips"]),)
    assert 0 < np.abs(state).max() < 10
    # What has been written goes on by its symbols as by its text.
    ids = [symbol["id"] for symbol in symbols]
    again = [write(ask, length=9, **given)[1] for given in ({"ids": ids}, {"prompt": text})]
    assert again[0] == again[1]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prompt": "Ω"}, "character 'Ω' (U+03A9) at position 0"),
        ({"prompt": "\ud800"}, "(U+D800) at position 0"),
        ({"prompt": ""}, "prompt: got nothing, wanted at least one symbol"),
        ({"prompt": 3}, "prompt: got 3, wanted a text"),
        ({"ids": [0, 99]}, "ids: wanted a list of whole numbers of 0 to 15"),
        ({"ids": [True]}, "ids: wanted a list of whole numbers"),
        ({"ids": "to"}, "ids: wanted a list of whole numbers"),
        ({"length": 0}, "length: 0: give at least 1 symbol"),
        ({"length": 2.5}, "length: got 2.5, wanted a whole number"),
        ({"seed": -1}, "seed: got -1, wanted 0 to 4294967295"),
        ({"seed": True}, "seed: got True, wanted a whole number"),
        ({"temperature": "hot"}, "temperature: got 'hot', wanted a number"),
        ({"temperature": -1}, "temperature: got -1, wanted a finite number of at least 0"),
        ({"top_k": 99}, "top_k: got 99, wanted 1 to 16, the vocabulary"),
        ({"top_p": 0}, "top_p: got 0, wanted more than 0 and at most 1"),
        ({"repetition": 0}, "repetition: got 0, wanted a finite number above 0"),
        ({"beam": 3}, "request: beam: no such field"),
    ],
)
def test_what_makes_no_text_is_told_in_a_line(ask: Ask, fields: dict[str, Any], said: str) -> None:
    status, (told,) = write(ask, **fields)
    assert status == 400
    assert said in told["error"]
    assert "\n" not in told["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_request_is_told_as_well(body: bytes) -> None:
    with pytest.raises(UsageError, match=r"^request: "):
        asked(body, CharVocabulary.of("to"))


def test_what_fails_under_way_ends_the_stream_with_a_line(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = Player._notes

    def broken(self: Player, *words: Any) -> Any:
        yield next(draw(self, *words))
        raise RuntimeError("a defect\nof ours")

    monkeypatch.setattr(Player, "_notes", broken)
    status, told = write(ask, prompt="to")
    assert status == 200
    assert told[-1] == {"error": r"RuntimeError('a defect\nof ours')"}


def test_who_leaves_stops_the_drawing_and_two_may_write(
    ask: Ask, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    draw = Player._notes

    def watched(self: Player, *words: Any) -> Any:
        try:
            yield from draw(self, *words)
        finally:
            closed.append(True)

    monkeypatch.setattr(Player, "_notes", watched)
    body = json.dumps({"prompt": "to", "length": 10**9})
    host = server.hosts[0]
    with socket.create_connection(("127.0.0.1", server.server_port), 60) as long:
        head = f"POST /write HTTP/1.0\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
        long.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        assert long.recv(10)
        # Meanwhile another text is written whole.
        assert write(ask, prompt="be", length=5)[1][-1] == {"end": True}
        assert closed == [True]
    until = time.monotonic() + 60
    while len(closed) < 2:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_port_that_cannot_be_had_is_named(
    run: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    for port, said in (
        (server.server_port, "in use: give another, or 0 for any that is free"),
        (70_000, "give 1024 to 65535, or 0 for any that is free"),
    ):
        assert execute(["play", str(run), "--port", str(port)]) == 2
        assert capsys.readouterr().err == f"error: port: {port}: {said}\n"
    assert execute(["play"]) == 2
    assert "play: no run: name a run directory" in capsys.readouterr().err


def test_open_opens_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(Server, "run", lambda self: None)
    assert execute(["play", str(run), "--port", "0"]) == 0
    assert opened == []
    assert execute(["play", str(run), "--port", "0", "--open"]) == 0
    (address,) = opened
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)


def test_ctrl_c_ends_it_in_good_order(run: Path) -> None:
    command = "from lstm_lab.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", command, "play", str(run), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        address = process.stdout.readline().split()[0]
        body = json.dumps({"prompt": "to", "length": 10**9}).encode()
        request = urllib.request.Request(address + "write", body, {"Origin": address[:-1]})
        with urllib.request.urlopen(request, timeout=60) as answer:
            # It is in the middle of a text.
            assert "strips" in json.loads(answer.readline())
            assert json.loads(answer.readline())["text"] == "t"
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said == ""
