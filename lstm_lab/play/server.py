"""The server: on the loopback alone, for the page it hands out alone.

It answers `GET /` with the page, and `POST /write` with lines of JSON: first `strips`, the parts of the carry, then a
line per symbol as it is read or drawn, at last `end`, or `error` with one line of text. A web page opened elsewhere
can reach this port as well, under a name of its own that leads here, too: so the Host must be ours, and whatever
computes must come from a page of ours (Origin). No header allows another.
"""

import base64
import errno
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import Any

from lstm_lab.errors import LabError, UsageError, one_line
from lstm_lab.options import PlayOptions
from lstm_lab.play.asked import asked
from lstm_lab.play.page import page
from lstm_lab.play.player import Player, Symbol
from lstm_lab.text.writer import Writer

HOST = "127.0.0.1"
# Bytes of a request: some forty thousand symbols.
MOST = 256 * 1024
# Seconds after which one who neither asks nor listens is let go.
PATIENCE = 30


class Server(ThreadingHTTPServer):
    """A network that is open to the browsers of this machine.

    Args:
        path: the run directory.
        options: which of its networks, and where.

    Raises:
        UsageError: there is no such run, or the port cannot be had.
        DataError: the corpus is not the one that was trained on.
        CheckpointError: there is nothing to load.
    """

    # Whoever draws ends before the interpreter does.
    daemon_threads = False

    def __init__(self, path: Path, options: PlayOptions) -> None:
        if options.port != 0 and not 1024 <= options.port < 65536:
            raise UsageError(f"port: {options.port}: give 1024 to 65535, or 0 for any that is free")
        writer = Writer(path, options.weights, options.of_seed)
        self.player = Player(writer)
        trial = writer.trial
        self.page = page(
            f"{trial.model.label} on {trial.task.label}",
            f"{self.player.parameters:,} parameters, {options.weights} weights of seed {options.of_seed}, "
            f"the run {writer.run.path}.",
        )
        self._open: set[socket] = set()
        try:
            super().__init__((HOST, options.port), _Handler)
        except OSError as error:
            reason = "in use" if error.errno == errno.EADDRINUSE else one_line(error)
            raise UsageError(
                f"port: {options.port}: {reason}: give another, or 0 for any that is free"
            ) from error
        self.hosts = [f"{name}:{self.server_port}" for name in (HOST, "localhost")]

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{self.hosts[0]}/"

    def run(self) -> None:
        """Answer until Ctrl-C."""
        with suppress(KeyboardInterrupt):
            self.serve_forever()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, and know the connection while it lasts."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        super().shutdown_request(request)
        self._open.discard(request)

    def server_close(self) -> None:
        """Hang up on everybody, and wait until their threads have noticed."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line what went wrong in a thread, unless it is that the browser has left."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            print(f"error: {type(error).__name__}: {one_line(error)}", file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    server_version, sys_version = "lstm-lab", ""
    timeout = PATIENCE
    # A symbol is sent when it is drawn.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self._refused():
            return
        if self.path != "/":
            self._say(HTTPStatus.NOT_FOUND, "no such page: there is only /")
            return
        self._head(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page.policy)
        self.wfile.write(self.server.page.html)

    def do_POST(self) -> None:
        if self._refused():
            return
        if self.headers.get("Origin") not in [f"http://{host}" for host in self.server.hosts]:
            self._say(HTTPStatus.FORBIDDEN, "origin: not a page of this server")
            return
        if self.path != "/write":
            self._say(HTTPStatus.NOT_FOUND, "no such address: there is only /write")
            return
        size = self.headers.get("Content-Length", "")
        if not (size.isascii() and size.isdigit() and len(size) < 16):
            self._say(HTTPStatus.LENGTH_REQUIRED, "request: it must say how long it is")
            return
        if int(size) > MOST:
            # What is sent is read away: a connection closed on it would lose the answer.
            self.rfile.read(min(int(size), 64 * MOST))
            said = f"request: {int(size):,} bytes, and {MOST:,} are taken: send a shorter text"
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said)
            return
        player = self.server.player
        try:
            wanted = asked(self.rfile.read(int(size)), player.vocabulary)
            symbols = player.play(wanted.ids, wanted.length, wanted.sampling, wanted.seed)
        except LabError as error:
            self._say(HTTPStatus.BAD_REQUEST, str(error))
            return
        self._head(HTTPStatus.OK, "application/x-ndjson")
        self._line(strips=[strip._asdict() for strip in player.strips])
        self._stream(symbols)

    def _stream(self, symbols: Iterator[Symbol]) -> None:
        try:
            for symbol in symbols:
                state = base64.b64encode(symbol.state.astype("<f4").tobytes()).decode()
                self._line(**symbol._asdict() | {"state": state})
        except OSError:
            return  # The browser has left, or its reader has pressed Stop.
        except Exception as error:
            said = str(error) if isinstance(error, LabError) else one_line(repr(error))
            self._line(error=said)
            return
        self._line(end=True)

    def _refused(self) -> bool:
        if self.headers.get("Host") in self.server.hosts:
            return False
        self._say(HTTPStatus.FORBIDDEN, f"host: not this server: open {self.server.address}")
        return True

    def _say(self, status: HTTPStatus, error: str) -> None:
        self._head(status, "application/json")
        self._line(error=error)

    def _head(self, status: HTTPStatus, kind: str, policy: str = "default-src 'none'") -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()

    def _line(self, **fields: Any) -> None:
        self.wfile.write(json.dumps(fields).encode() + b"\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests."""
