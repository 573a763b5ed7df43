"""The page as a reader gets it: parsed, not grepped."""

import json
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lstm_lab.errors import DataError, StorageError
from lstm_lab.report import write_report
from lstm_lab.report.markup import escape, tag, visible

Make = Callable[..., Any]

_VOID = {"meta", "link", "img", "br", "input", "base", "embed"}


class Page(HTMLParser):
    """Elements with their attributes, the text by element, and whether every tag was closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append((self.open[-1] if self.open else "", data))

    def words(self, *tags: str) -> list[str]:
        return [data.strip() for tag, data in self.text if tag in tags and data.strip()]


@pytest.fixture(scope="module")
def reported(write_five: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The five experiments with their report."""
    out = tmp_path_factory.mktemp("five")
    write_five(out)
    write_report(out)
    return out


def parse(path: Path) -> Page:
    page = Page(path.read_text(encoding="utf-8"))
    assert not page.open
    return page


def test_the_five_experiments(reported: Path) -> None:
    page = parse(reported / "report.html")
    headings = page.words("h2")
    assert headings == [
        "the answers", "adding", "bidirectional", "fibonacci", "long_range", "text", "the claims",
    ]  # fmt: skip
    every = "\n".join(data for _, data in page.text)
    for part in (
        "lstm-lab run experiments/long_range.py",
        "1.82 (markov order 4)",
        "loss, static → dynamic evaluation (nats)",
        "1.62 [1.60, 1.64] → 1.52 [1.50, 1.54]",
        "never (0 of 5 seeds)",
        "loss not finite: nan at step 412: lower the learning rate",
        "2 of 22 trials have no result.",
        "93.8%",
        "accuracy (fraction)",
        "no trial of LSTM on Recall lag 5000",
    ):
        assert part in every
    assert len([tag for tag, _ in page.elements if tag == "svg"]) > 20


def test_verdicts_are_those_of_the_numbers(reported: Path) -> None:
    report = json.loads((reported / "report.json").read_text())
    verdicts = {c["claim"]["statement"]: c["verdict"] for c in report["claims"]}
    assert verdicts["the LSTM beats counting"] == "holds"
    assert verdicts["so does every plain RNN, however started"] == "does not hold"
    assert verdicts["LSTM continues to twice the trained length"] == "does not hold"
    assert verdicts["a longer memory than anyone measured"] == "not measured"
    assert verdicts["the cell state of an LSTM carries it"] == "holds"
    page = parse(reported / "report.html")
    for statement in verdicts:
        assert page.words("a", "span").count(statement) == 2
    links = [a["href"] for tag, a in page.elements if tag == "a"]
    targets = {f"#{a['id']}" for _, a in page.elements if "id" in a}
    assert set(links) <= targets
    assert len(links) == len(verdicts)


def test_the_json_has_the_numbers_of_the_page(reported: Path) -> None:
    report = json.loads((reported / "report.json").read_text())
    (text,) = (e for e in report["experiments"] if e["name"] == "text")
    summary = text["trials"][0]["summary"]["loss"]
    low, high = summary["interval"]
    shown = f"{summary['median']:.2f} [{low:.2f}, {high:.2f}]"
    assert shown in parse(reported / "report.html").words("td")


def test_the_page_asks_for_nothing(reported: Path) -> None:
    _assert_inert(parse(reported / "report.html"))


def test_the_same_runs_give_the_same_page_and_leave_nothing_else(reported: Path) -> None:
    first = (reported / "report.html").read_bytes()
    assert write_report(reported) == reported / "report.html"
    assert (reported / "report.html").read_bytes() == first
    files = sorted(path.name for path in reported.iterdir() if path.is_file())
    assert files == ["report.html", "report.json"]


PAYLOADS = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</style><style>*{background:url(https://evil.example)}",
    "</title></pre></table><a href=https://evil.example>click</a>",
    "<!-- --><iframe src=https://evil.example>",
    "]]><x/>&lt;b&gt;&#x3c;b&#x3e;",
    "$\\input{/etc/passwd}$ {{7*7}} ${7*7}",
    "a\u2028b\u2029c\u202ed\u0000e\x1bf",
    "\ud800 lone",
)  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_hostile_text_is_shown_as_text(experiment: Make, result: Make, payload: str) -> None:
    probes = {
        "text_sample": {"after": {"prompt": payload, "text": payload + "!", "temperature": payload}}
    }
    measured = result(
        payload, payload, "loss", [1.0, 1.1, 1.2], 4.0,
        probes=probes, device=payload, baselines={payload: {"loss": 2.0}},
        task_config={"type": payload, "lag": payload},
    )  # fmt: skip
    claims = [{"type": "Claim", "statement": payload, "model": "*", "task": "*", "metric": "loss"}]
    folder = experiment(
        "made_up", [measured], question=payload, claim=payload, source=payload, claims=claims,
        title=payload,
    )  # fmt: skip
    index = json.loads((folder / "experiment.json").read_text())
    index.update(command=payload, trials=[*index["trials"], payload, "failed"])
    (folder / "experiment.json").write_text(json.dumps(index))
    (folder / "failed").mkdir()
    failure = {"model": "m" + payload, "task": payload, "status": payload, "reason": payload}
    (folder / "failed" / "failure.json").write_text(json.dumps(failure))
    page = parse(write_report(folder.parent))
    _assert_inert(page)
    assert [data for tag, data in page.text if tag == "title"] == ["lstm_lab report"]
    shown = visible(payload)
    for tags in (
        ("p",),
        ("dd",),
        ("code",),
        ("td",),
        ("th",),
        ("b",),
        ("a",),
        ("span",),
    ):
        assert any(shown in words for words in page.words(*tags)), tags


def _assert_inert(page: Page) -> None:
    """No script, no handler, no address but the page's own anchors, and the policy in place."""
    allowed = {
        "html", "head", "meta", "title", "style", "body", "main", "header", "section", "h1", "h2",
        "p", "a", "dl", "dt", "dd", "code", "pre", "b", "ul", "li", "div", "span", "table",
        "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "details", "summary",
        "svg", "g", "path", "defs", "clippath", "rect", "use", "text",
    }  # fmt: skip
    assert {tag for tag, _ in page.elements} <= allowed
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("href", "xlink:href", "src", "action", "srcset", "formaction", "data"):
            assert (attributes.get(name) or "#").startswith("#")
        assert "url(" not in (attributes.get("style") or "")
    styles = [data for tag, data in page.text if tag == "style"]
    assert len(styles) == 1
    assert "url(" not in styles[0]
    assert "@import" not in styles[0]
    policies = [a["content"] for tag, a in page.elements if a.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_nothing_finished_is_still_a_page(experiment: Make) -> None:
    folder = experiment("made_up", [], claims=[{"statement": "s", "model": "a", "task": "b"}])
    page = parse(write_report(folder.parent))
    assert "not measured" in page.words("span")


def test_no_runs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lstm-lab run"):
        write_report(tmp_path)


def test_a_page_that_cannot_be_replaced_is_a_storage_error(experiment: Make) -> None:
    folder = experiment("made_up", [])
    (folder.parent / "report.html").mkdir()
    with pytest.raises(StorageError, match=r"report\.html"):
        write_report(folder.parent)
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []


def test_no_jax_is_imported(experiment: Make, result: Make) -> None:
    folder = experiment("made_up", [result("LSTM", "Recall", "accuracy", [0.5, 0.6], 0.1)])
    code = (
        "import sys; from lstm_lab.report import write_report; write_report(sys.argv[1]); "
        "print([m for m in ('jax', 'flax', 'optax', 'orbax', 'datasets', 'torch') "
        "if m in sys.modules])"
    )
    run = [sys.executable, "-c", code, str(folder.parent)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_attributes_and_children_are_escaped() -> None:
    assert tag("a", "<b>", href='"><x') == '<a href="&quot;&gt;&lt;x">&lt;b&gt;</a>'
    assert tag("p", tag("b", "&")) == "<p><b>&amp;</b></p>"
    assert escape("\u202e\t\n") == "\\u202e\t\n"


def test_every_chart_is_also_written_as_a_file(
    write_five: Callable[[Path], None], tmp_path: Path
) -> None:
    write_five(tmp_path)
    write_report(tmp_path, tmp_path / "charts")
    charts = sorted((tmp_path / "charts").iterdir())
    panels = [tag for tag, attributes in parse(tmp_path / "report.html").elements
              if tag == "svg" and attributes.get("role") == "img"]  # fmt: skip
    assert len(charts) == len(panels)
    for chart in charts:
        root = ElementTree.fromstring(chart.read_text(encoding="utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg", chart.name
