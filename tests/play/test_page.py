"""The page in a real browser: a text is typed, written, stopped, scrubbed, cut and continued, and errors are read."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from lstm_lab.play.player import Player
from lstm_lab.play.server import Server
from lstm_lab.text.sampling import Sampling
from lstm_lab.text.writer import Writer
from tests.play.browser import Browser

TEXT = "[...document.querySelectorAll('#text span')].map(s => s.textContent).join('')"
SAID = "document.querySelector('#said').textContent"
DONE = "document.querySelector('#stop').disabled && !document.querySelector('#played').hidden"
PROMPT = "to be or not\nto "


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Browser]:
    """The page, opened anew; whatever it complains of is a failure."""
    browser.open(server.address)
    yield browser
    assert browser.complaints == []


def fill(page: Browser, name: str, value: str) -> None:
    """Type over what is in a field."""
    field = f"document.querySelector('[name={name}]')"
    page.value(f"{field}.focus(), {field}.select()")
    page.write(value)


def count(page: Browser) -> int:
    return int(page.value("document.querySelectorAll('#text span').length"))


def start(page: Browser, length: int) -> None:
    """Type a prompt and settings, and ask for a text by the keyboard."""
    fill(page, "prompt", PROMPT)
    fill(page, "length", str(length))
    fill(page, "seed", "5")
    page.press("Enter", 13, modifiers=2)


def test_a_text_is_written_and_its_steps_are_seen(
    page: Browser, writer: Writer, player: Player
) -> None:
    start(page, 60)
    page.wait(f"{DONE} && {SAID}.startsWith('60 symbols written')")
    assert count(page) == len(PROMPT) + 60
    text = PROMPT + "".join(piece for (piece,) in writer.write(PROMPT, 60, Sampling(), 5))
    assert page.value(TEXT) == text
    given = "document.querySelectorAll('#text .given').length"
    assert page.value(given) == len(PROMPT)

    # It stands at the end; the keyboard and a click go elsewhere.
    place = "document.querySelector('#place').textContent"
    page.wait(f"{place}.startsWith('step 76 of 76')")
    page.value("document.querySelector('#step').focus()")
    page.press("ArrowLeft", 37)
    page.wait(f"{place}.startsWith('step 75 of 76')")
    page.click("#text [data-step='3']")
    page.wait(f"{place}.startsWith('step 4 of 76: b, ')")
    assert page.value("document.querySelector('#step').value") == "3"

    symbols = list(player.play(player.vocabulary.encode(text), 1, Sampling(), 0))
    told = re.search(r"probability ([\d.]+), a surprise of ([\d.]+) bits", page.value(place))
    assert told
    assert symbols[3].p == pytest.approx(float(told[1]), rel=0.01)
    assert 2 ** -float(told[2]) == pytest.approx(float(told[1]), rel=0.01)
    rows = "[...document.querySelectorAll('#next li')].map(li => li.firstChild.textContent)"
    names = [name.replace(" ", "␣").replace("\n", "↵") for _, name, _ in symbols[3].expected]
    assert page.value(rows) == names
    came = symbols[3].id in [i for i, _, _ in symbols[2].expected]
    assert page.value("document.querySelectorAll('#here .came').length") == came

    # Every unit has a cell: blue below zero, red above.
    pixels = "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, 1).data]"
    shown = f"({pixels})(document.querySelector('#strips canvas'))"
    colours = np.array(page.value(shown)).reshape(-1, 4)
    held = symbols[3].state[:8]
    assert colours.shape == (8, 4)
    certain = np.abs(held) > 0.2 * np.abs(held).max()
    red = colours[:, 0] - colours[:, 2]
    zero = int("f6", 16) - int("ef", 16)
    assert np.array_equal(red[certain] > zero, held[certain] > 0)


def test_a_unit_colours_the_text(page: Browser) -> None:
    start(page, 20)
    page.wait(DONE)
    assert page.value("document.querySelector('#text span:last-child').style.background")
    page.wait("document.querySelector('#strips canvas').width === 8")
    page.click("#strips canvas", across=0.3)
    assert page.value("document.querySelector('#by').value") == "0"
    assert page.value("document.querySelector('#unit').value") == "2"
    background = "document.querySelector('#text span:last-child').style.background"
    page.wait(f"{background}.includes('color-mix')")
    page.wait("document.querySelector('figcaption').textContent.includes('unit 2: ')")


def test_it_is_stopped_and_goes_on_from_an_earlier_symbol(page: Browser, writer: Writer) -> None:
    start(page, 1_000_000)
    page.wait("document.querySelectorAll('#text span').length > 40")
    page.click("#stop")
    page.wait(f"{DONE} && {SAID}.startsWith('stopped: ')")
    page.click(f"#text [data-step='{len(PROMPT) + 9}']")
    kept = page.value(TEXT)[: len(PROMPT) + 10]
    fill(page, "length", "30")
    page.click("#continue")
    page.wait(f"{DONE} && {SAID}.startsWith('40 symbols written')")
    # Of the forty, ten were there before; what the reader typed stays in bold.
    drawn = writer.write(kept, 30, Sampling(), 5)
    assert page.value(TEXT) == kept + "".join(piece for (piece,) in drawn)
    assert page.value("document.querySelectorAll('#text .given').length") == len(PROMPT)


def test_an_error_is_read_on_the_page(browser: Browser, server: Server) -> None:
    browser.open(server.address)
    fill(browser, "top_k", "99")
    browser.click("#write")
    browser.wait(f"{SAID}.startsWith('top_k: got 99, wanted 1 to 16, the vocabulary')")
    assert browser.value("document.querySelector('#said').classList.contains('broken')")
    assert browser.value("document.querySelector('#said').getAttribute('aria-live')") == "polite"
    fill(browser, "prompt", "<img src=x onerror=alert(1)>")
    browser.click("#write")
    browser.wait(f"{SAID}.startsWith(\"text: character '<' (U+003C)\")")
    assert browser.value("document.querySelector('#stop').disabled")
    # Chromium's console names answers that are no success, and nothing else is wrong.
    assert all("400 (Bad Request)" in complaint for complaint in browser.complaints)
    browser.complaints.clear()


def test_nothing_is_cut_off_where_there_is_little_room(page: Browser) -> None:
    start(page, 200)
    page.wait(DONE)
    for width in (360, 1280):
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        page("Emulation.setDeviceMetricsOverride", **size)
        assert page.value("document.documentElement.scrollWidth <= innerWidth")
    page("Emulation.clearDeviceMetricsOverride")
