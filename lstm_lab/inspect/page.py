"""One HTML file: the text, coloured by a unit's state, and at any place what the network said and leaned on.

Unlike the report it has a script, the one in `page.js`: its policy names that script's hash, so no other runs, and
nothing is asked of the network. Without it there is the text and the table of units. What is shown of every unit is a
byte per symbol, of the unit's greatest absolute value on this text.
"""

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lstm_lab.inspect.labels import pieces_of
from lstm_lab.inspect.said import LAGS, Said
from lstm_lab.inspect.states import Leaf
from lstm_lab.inspect.tracking import Row, Tracked
from lstm_lab.report.figures import log_axis
from lstm_lab.report.markup import Markup, join, tag, visible
from lstm_lab.report.numbers import number
from lstm_lab.report.page import style
from lstm_lab.report.svg import PAINT, draw
from lstm_lab.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEANING = {
    "state": "state",
    "kept": "kept: the part of it that a step keeps, as a forget gate says",
    "written": "written: what a step adds",
}


class View(NamedTuple):
    """What a page shows.

    Attributes:
        about: a sentence or two on the run and the text.
        vocabulary: of the ids.
        ids: the text, int `[T]`.
        said: what the network said of it.
        leaves: the state after each symbol, `[1, T, K]` each, with what gates keep and write.
        rows: the units that track something.
    """

    about: str
    vocabulary: Vocabulary
    ids: np.ndarray
    said: Said
    leaves: Sequence[Leaf]
    rows: Sequence[Row]


def page(view: View) -> Markup:
    """Write the whole page.

    Args:
        view: what it shows.

    Returns:
        A complete HTML document.
    """
    own = Path(__file__)
    script = own.with_name("page.js").read_text(encoding="utf-8")
    sheet = style() + own.with_name("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    head = (
        Markup('<!doctype html><html lang="en"><head><meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        tag("title", "lstm_lab inspect"),
        tag("style", Markup(sheet)),
        Markup("</head>"),
    )
    body = tag(
        "body",
        tag(
            "main",
            tag("header", tag("h1", "A network reads"), tag("p", view.about, class_="note")),
            tag("div", _reading(view), _HERE, class_="board"),
            _tracking(view),
            _lags(view.said.influence),
        ),
        # A script's text is not unescaped, and only "<" could end it.
        tag("script", _json(_data(view)), id="data", type="application/json"),
        tag("script", Markup(script)),
    )
    return join((*head, body, Markup("</html>\n")))


def _reading(view: View) -> Markup:
    """The text, and what decides its colours."""
    choices = [tag("option", "surprise", value=-1)]
    choices += [
        tag("option", f"layer {leaf.layer}: {leaf.name} {leaf.kind}", value=n)
        for n, leaf in enumerate(view.leaves)
    ]
    controls = tag(
        "div",
        tag("label", "colour by ", tag("select", *choices, id="leaf")),
        tag("label", "unit ", tag("select", id="unit"), id="units"),
        tag(
            "span",
            tag("span", id="least"),
            tag("span", class_="ramp", id="ramp"),
            tag("span", id="most"),
            class_="note legend-scale",
        ),
        class_="controls",
    )
    symbols = [tag("span", shown) for shown in _shown(view)]
    return tag(
        "div",
        controls,
        tag("pre", *symbols, id="text", tabindex=0, role="group", aria_label="the text"),
        tag(
            "p",
            "Point at a symbol, or click it and go on with ← and →. ",
            tag("span", "Underlined", class_="leaned"),
            f" is what the prediction after it leaned on, among the last {LAGS} symbols.",
            class_="note",
        ),
        tag("noscript", tag("p", "The colours need JavaScript.", class_="note")),
        class_="reading",
    )


_HERE = tag(
    "aside",
    tag("h2", id="symbol"),
    tag("p", id="surprise", class_="note"),
    tag("table", id="predictions"),
    tag("p", id="leaning", class_="note"),
    tag("table", id="numbers"),
    aria_live="polite",
)


def _tracking(view: View) -> Markup:
    """The units that track something, each a button that colours the text."""
    if not view.rows:
        said = (
            "The network has no state, or its corpus is too short, for units that track something."
        )
        return tag("section", tag("p", said, class_="note"))
    place = {(leaf.layer, leaf.name, leaf.kind): n for n, leaf in enumerate(view.leaves)}
    head = ("tracked", "unit", "score [95%]", "untrained [95%]", "chance", "measure")
    rows = []
    for row in view.rows:
        leaf = place[row.layer, row.name, "state"]
        name = f"layer {row.layer}: {row.name} {row.unit}"
        button = tag("button", name, type="button", data_leaf=leaf, data_place=row.trained.place)
        cells = [_score(row.trained), _score(row.untrained), number(row.chance)]
        rows.append(
            tag(
                "tr",
                tag("th", row.label, scope="row"),
                tag("td", button),
                *(tag("td", cell, class_="figure") for cell in cells),
                tag("td", row.measure),
            )
        )
    classes = {name: {"class_": "figure"} for name in head[2:5]}
    header = [tag("th", name, scope="col", **classes.get(name, {})) for name in head]
    about = (
        "The unit that tells each best by itself, by a threshold or a line. It was chosen on the beginning of the "
        "training text and scored on that of the held-out text, as was the best unit of the network before training."
    )
    table = tag("table", tag("thead", tag("tr", *header)), tag("tbody", *rows), class_="tracked")
    return tag(
        "section",
        tag("h2", "Units that track something"),
        tag("p", about, class_="note"),
        tag("div", table, class_="scroll"),
    )


def _lags(influence: np.ndarray) -> Markup:
    """How far back predictions lean, over all positions that reach so far."""
    lag = np.arange(min(influence.shape))
    reached = np.where(lag <= np.arange(len(influence))[:, None], influence[:, lag], np.nan)
    low, middle, high = np.nanpercentile(reached, (25, 50, 75), axis=0)

    def paint(axes: "Axes") -> None:
        axes.fill_between(lag, low, high, color=PAINT[0], alpha=0.16, lw=0)
        axes.plot(lag, middle, color=PAINT[0], marker="o" if lag.size == 1 else None)
        if (middle > 0).any():
            log_axis(axes)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("lag (symbols)")
        axes.set_ylabel("influence (gradient norm)")

    title = (
        "Influence: norm of the derivative of the next symbol's log probability (nats) by the input so many symbols "
        "back. Median over positions, and the middle half of them."
    )
    panel = tag("div", draw(paint, "influence against lag", (4.6, 2.7)), class_="panel")
    return tag(
        "section",
        tag("h2", "How far back predictions lean"),
        tag("p", title, class_="note"),
        tag("div", panel, class_="panels"),
    )


def _score(found: Tracked) -> str:
    low, high = (number(end, 2) for end in found.interval)
    return f"{number(found.score, 2)} [{low}, {high}]"


def _data(view: View) -> dict[str, Any]:
    """What the script needs."""
    said = view.said
    kinds, which = np.unique(np.append(view.ids, said.top), return_inverse=True)
    T = len(view.ids)
    largest = said.influence.max(axis=1, keepdims=True)
    share = np.nan_to_num(said.influence / np.where(largest > 0, largest, 1))
    return {
        "bits": [None if np.isnan(bits) else round(float(bits), 2) for bits in said.bits],
        # What each symbol would cost one who thinks all equally likely.
        "blind": round(math.log2(view.vocabulary.size), 2),
        "shown": [_alone(view.vocabulary.symbols[kind]) for kind in kinds],
        "ids": which[:T].tolist(),
        "top": which[T:].reshape(said.top.shape).tolist(),
        "probability": np.round(said.probability, 3).tolist(),
        "lags": LAGS,
        "influence": _bytes(np.round(share * 255).astype(np.uint8)),
        "leaves": [_leaf(leaf) for leaf in view.leaves],
    }


def _leaf(leaf: Leaf) -> dict[str, Any]:
    values = np.nan_to_num(leaf.value[0].T)
    scale = np.abs(values).max(axis=1)
    levels = np.round(values / np.where(scale > 0, scale, 1)[:, None] * 127).astype(np.int8)
    return {
        "layer": leaf.layer,
        "name": leaf.name,
        "kind": leaf.kind,
        "meaning": MEANING[leaf.kind],
        "unit": leaf.unit.tolist(),
        "scale": [float(f"{size:.3g}") for size in scale],
        "values": _bytes(levels),
    }


def _shown(view: View) -> list[str]:
    """How the text's symbols are written: what completes no character by itself as its bytes."""
    pieces = zip(view.ids, pieces_of(view.vocabulary, view.ids), strict=True)
    symbols = view.vocabulary.symbols
    return [_visible(piece) if piece else _alone(symbols[i]) for i, piece in pieces]


def _alone(symbol: int | bytes | str) -> str:
    """How a symbol is written that has no neighbours: bytes that are no character as escapes."""
    if isinstance(symbol, str):
        return _visible(symbol)
    as_bytes = bytes([symbol]) if isinstance(symbol, int) else symbol
    return _visible(as_bytes.decode(errors="backslashreplace"))


def _visible(text: str) -> str:
    return visible(text).replace("\n", "↵\n")


def _bytes(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _json(value: Any) -> Markup:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))
