"""The page: one HTML document with its style and its script in it, and the policy that lets nothing else run."""

import base64
import hashlib
from importlib.resources import files
from string import Template
from typing import NamedTuple

from lstm_lab.report.markup import escape


class Page(NamedTuple):
    """A document.

    Attributes:
        html: all of it, UTF-8.
        policy: its Content-Security-Policy.
    """

    html: bytes
    policy: str


def page(title: str, about: str) -> Page:
    """Write the page.

    Args:
        title: what is played with.
        about: what else is to say of it.
    """
    style = _asset("report", "page.css") + _asset("play", "play.css")
    script = _asset("play", "play.js")
    html = Template(_asset("play", "play.html")).substitute(
        title=escape(title), about=escape(about), style=style, script=script
    )
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(html.encode(), policy)


def _asset(room: str, name: str) -> str:
    return (files(f"lstm_lab.{room}") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """An inline text as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
