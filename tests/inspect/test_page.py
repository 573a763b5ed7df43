"""The page: text that stays text, one script and no other, and what a reader sees of it in a browser."""

import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from lstm_lab.inspect.page import View, page
from lstm_lab.inspect.said import LAGS, Said
from lstm_lab.inspect.states import Leaf
from lstm_lab.inspect.tracking import Row, Tracked
from lstm_lab.stats import Interval
from lstm_lab.text.vocabulary import ByteVocabulary, CharVocabulary, Vocabulary

TEXT = 'a </script><b>&amp;"\n\u202ex</b> <!-- \n' * 2


def view(text: str = TEXT, vocabulary: Vocabulary | None = None, units: int = 3) -> View:
    """Unit 2 of c rises from -1 to 1 along the text; the prediction after a symbol leans on the one 2 back alone."""
    vocabulary = vocabulary or CharVocabulary.of(text)
    ids = vocabulary.encode(text)
    T = len(ids)
    bits = np.append(np.nan, np.arange(1, T) % 7 + 0.5)
    top = np.stack([(ids + k) % vocabulary.size for k in range(3)], axis=1)
    influence = np.zeros((T, LAGS))
    influence[2:, 2] = 1.0
    value = np.zeros((1, T, units))
    value[0, :, units - 1] = np.linspace(-1, 1, T)
    kinds = (("c", "state"), ("c", "kept"), ("c", "written"), ("h", "state"))
    leaves = [Leaf(1, name, kind, np.arange(units), value) for name, kind in kinds]  # type: ignore[arg-type]
    tracked = Tracked(0, units - 1, 0.9, Interval(0.8, 0.95))
    rows = [
        Row("upper case", "balanced accuracy", 0.5, 1, name, units - 1, tracked, tracked)
        for name in ("c", "h")
    ]
    probability = np.tile([0.5, 0.25, 0.125], (T, 1))
    return View(
        "A <b>run</b>.", vocabulary, ids, Said(bits, top, probability, influence), leaves, rows
    )


class Seen(HTMLParser):
    """The tags of a document, and what stands in its text and in its scripts."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.symbols: list[str] = []
        self.styles: list[str] = []
        self.scripts: list[str] = []
        self.words = ""
        self._inside: list[tuple[str, str | None]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append(tag)
        self.addresses += [named[key] or "" for key in ("src", "href", "action") if key in named]
        if tag not in ("meta", "br"):
            self._inside.append((tag, named.get("id")))
        if tag == "span" and ("pre", "text") in self._inside:
            self.symbols.append("")
            self.styles.append(f"{named.get('class')} {named.get('style')}")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if ("pre", "text") in self._inside:
            self.symbols[-1] += data
        elif self._inside and self._inside[-1][0] == "script":
            self.scripts[-1] += data
        else:
            self.words += data


def test_text_stays_text_and_nothing_is_asked_for() -> None:
    seen = Seen(page(view()))
    assert seen.tags.count("script") == 2
    assert not {"b", "img", "link", "iframe"} & set(seen.tags)
    assert all(address.startswith("#") for address in seen.addresses)
    assert "A <b>run</b>." in seen.words
    shown = "".join(seen.symbols).replace("↵", "").replace("\\u202e", "\u202e")
    assert shown == TEXT
    told = json.loads(seen.scripts[0])["shown"]
    assert sorted(told) == sorted(set(seen.symbols))


def test_a_byte_within_a_character_is_an_escape() -> None:
    seen = Seen(page(view("é\n", ByteVocabulary())))
    assert seen.symbols == ["\\xc3", "é", "↵\n"]
    assert "\\xa9" in json.loads(seen.scripts[0])["shown"]


def test_a_thousand_symbols_of_512_units_are_less_than_three_megabytes() -> None:
    assert len(page(view("abcdefghij" * 100, units=512)).encode()) < 3_000_000


def test_what_the_network_does_not_say_is_left_out() -> None:
    nothing = view()._replace(leaves=[], rows=[])
    assert "for units that track something" in Seen(page(nothing)).words


def browsed(document: str, folder: Path) -> Seen:
    """What a browser makes of a page, without a complaint."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("no chromium or google-chrome on the path")
    (folder / "page.html").write_text(document, encoding="utf-8")
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--enable-logging=stderr", "--v=0", "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder / 'profile'}", "--dump-dom", (folder / "page.html").as_uri(),
        ],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    return Seen(done.stdout)


def test_a_browser_colours_the_text_by_the_first_unit_and_shows_a_place(tmp_path: Path) -> None:
    seen = browsed(page(view()), tmp_path)
    T = len(TEXT)
    assert "var(--low) 100%" in seen.styles[0]
    assert "var(--high) 100%" in seen.styles[-1]
    at = min(LAGS, T - 1)
    assert [t for t, style in enumerate(seen.styles) if "here" in style] == [at]
    leaned = [t for t, style in enumerate(seen.styles) if "var(--lean) 100%" in style]
    assert leaned == [at - 2]
    assert f"symbol {at + 1} of {T}" in seen.words
    assert re.search(r"predicted next, with probability.*0\.500.*0\.250.*0\.125", seen.words)
    assert re.search(r"layer 1, unit 2c state.*c kept.*c written.*h state", seen.words)


# What a reader does. The page's policy forbids any script but its own, so it is taken off.
DONE = """
const press = (key) => document.getElementById("text").dispatchEvent(new KeyboardEvent("keydown", { key }));
press("Home");
press("ArrowRight");
const leaf = document.getElementById("leaf");
leaf.value = -1;
leaf.dispatchEvent(new Event("change"));
"""


def test_keys_move_the_place_and_the_text_can_show_surprise(tmp_path: Path) -> None:
    document, found = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page(view()))
    assert found == 1
    seen = browsed(document.replace("</body>", f"<script>{DONE}</script></body>"), tmp_path)
    assert [t for t, style in enumerate(seen.styles) if "here" in style] == [1]
    assert "its surprise 1.5 bits" in seen.words
    blind = round(math.log2(len(set(TEXT))), 2)
    assert 1.5 < blind < 6.5
    assert "var(--high) 100%" in seen.styles[6]
    assert f"var(--high) {round(150 / blind)}%" in seen.styles[1]
    assert f"{blind:.1f} bits and more" in seen.words
    # Before the second symbol there is nothing two back to lean on.
    assert not any("lean" in style for style in seen.styles)
