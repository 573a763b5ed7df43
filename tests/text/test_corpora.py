"""A corpus comes back character for character, or is refused in one line that says what to do."""

import gzip
import hashlib
import json
import lzma
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstm_lab.errors import DataError, UsageError
from lstm_lab.tasks.text import Text
from lstm_lab.text.corpora import END, WHOLE, Corpus, corpus_name, open_corpus, split, survey

ODD = "\ufeffone\r\ntwo\u2028three\x85four\rfive \U0001f40d\ttail without newline"


def read(corpus: Corpus, part: str = WHOLE) -> str:
    """Return a part's whole text."""
    return "".join(corpus.pieces(part))


def fill(folder: Path, **files: str) -> str:
    """Write files, a `__` for each slash and a `_` for a dot, and return the folder."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(text.encode())
    return str(folder)


def test_the_embedded_corpus_needs_no_file_and_no_network() -> None:
    text = read(open_corpus())
    assert text == read(open_corpus("pydoc"))
    assert len(text) > 300_000
    assert "statement" in text
    assert survey(open_corpus()).sha256 == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("text", [ODD, "a\n", "\n\n", "x", "\r", "line\r\n" * 3])
@pytest.mark.parametrize("suffix", [".txt", ".txt.xz", ".txt.gz"])
def test_a_file_comes_back_exactly(tmp_path: Path, text: str, suffix: str) -> None:
    raw = text.encode()
    path = tmp_path / f"odd{suffix}"
    path.write_bytes(
        {".txt": raw, ".txt.xz": lzma.compress(raw), ".txt.gz": gzip.compress(raw)}[suffix]
    )
    corpus = open_corpus(str(path))
    assert read(corpus) == text
    assert corpus_name(str(path)) == "odd"
    found = survey(corpus)
    assert found.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert found.sizes == {WHOLE: (len(text), len(raw))}


@pytest.mark.parametrize("piece", [1, 2, 3, 5])
def test_pieces_may_end_inside_a_character(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr("lstm_lab.text.sources.PIECE", piece)
    (tmp_path / "odd.txt").write_bytes(ODD.encode())
    assert read(open_corpus(str(tmp_path / "odd.txt"))) == ODD
    (tmp_path / "bad.txt").write_bytes("\U0001f40d\u00e9".encode() + b"\xf0\x9fx")
    with pytest.raises(DataError, match="0xf0 at byte 6"):
        survey(open_corpus(str(tmp_path / "bad.txt")))
    (tmp_path / "cut.txt").write_bytes("\u00e9\U0001f40d".encode()[:-1])
    with pytest.raises(DataError, match="0xf0 at byte 2"):
        survey(open_corpus(str(tmp_path / "cut.txt")))


def written(content: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(content)

    return make


# What is refused, and how; None where it is taken exactly as it is.
CORPORA: dict[str, tuple[Callable[[Path], None], str | None]] = {
    "empty": (written(b""), "is empty"),
    "one byte": (written(b"x"), "has 1 symbols, 1 to train and 0 to validate on"),
    "less than a sequence": (written(b"x" * 9), "has 9 symbols, .* length 8 needs 9 and 2"),
    "noise": (written(bytes(range(1, 256)) * 9), "is not UTF-8, with 0x80 at byte 127"),
    "NUL": (written(b"abc\0def"), "is binary, with a zero at byte 3"),
    "latin-1": (written("caf\u00e9".encode("latin-1")), "is not UTF-8, with 0xe9 at byte 3"),
    "utf-16": (written("abc".encode("utf-16-le")), "is binary, with a zero at byte 1"),
    "surrogate": (written(b"abc\xed\xa0\x80"), "is not UTF-8, with 0xed at byte 3"),
    "late": (written(b"x" * 3_000_000 + b"\xff"), "with 0xff at byte 3000000"),
    "cut.xz": (written(lzma.compress(b"text" * 100)[:-9]), "is not a whole .xz file"),
    "cut.gz": (written(gzip.compress(b"text" * 100)[:-9]), "is not a whole .gz file"),
    "plain.xz": (written(b"text"), "is not a whole .xz file"),
    "plain.gz": (written(b"text"), "is not a whole .gz file"),
    "rows.jsonl": (written(b'{"text": "a"}\n{"text": '), "is not whole as json"),
    "pipe": (os.mkfifo, "is not a regular file"),
    "folder": (Path.mkdir, "is a folder without files"),
    "absent": (lambda path: None, "no file"),
    "BOM": (written(b"\xef\xbb\xbf" + b"x" * 40), None),
    "U+2028": (written("a\u2028b".encode() * 40), None),
    "CRLF": (written(b"a\r\nb\r" * 40), None),
    "a long line": (written(b"x" * 3_000_000), None),
}


@pytest.mark.parametrize("name", CORPORA)
def test_a_bad_corpus_is_refused_and_an_odd_one_is_taken_as_it_is(
    tmp_path: Path, name: str
) -> None:
    make, message = CORPORA[name]
    path = tmp_path / name
    make(path)
    task = Text(corpus=str(path), length=8)
    for act in (task.validate, task.load):
        if message is None:
            act()
            continue
        with pytest.raises(DataError, match=message) as caught:
            act()
        assert caught.value.exit_code == 3
        assert "\n" not in str(caught.value)
        assert name.partition(".")[0] in str(caught.value)
    if message is None:
        data = task.load()
        ids = np.concatenate([data["train"], data["validation"]])
        assert task.vocabulary().decode(ids).encode() == path.read_bytes()


@pytest.mark.fault
def test_a_line_of_200_megabytes_needs_a_piece_of_memory(tmp_path: Path) -> None:
    path = tmp_path / "line.txt"
    with path.open("wb") as file:
        for _ in range(200):
            file.write(b"x" * 1_000_000)
    program = (
        "import sys; from lstm_lab.tasks.text import Text; task = Text(corpus=sys.argv[1]);"
        "task.validate(); assert len(task.load()['train']) == 199_000_000"
    )
    environment = {**os.environ, "LSTM_LAB_CACHE_DATA": str(tmp_path / "cache")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, env=environment)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak == before or peak * 1024 < 700_000_000


def test_devices_are_not_read() -> None:
    with pytest.raises(DataError, match="not a regular file"):
        open_corpus("/dev/zero")


@pytest.mark.parametrize("spec", ["a\0b", "x" * 10_000, "/" + "y" * 300, "~no_such_user_here/x"])
def test_impossible_paths_are_refused_in_a_short_line(spec: str) -> None:
    with pytest.raises(DataError, match="corpus: ") as caught:
        open_corpus(spec)
    assert len(str(caught.value)) < 500


def test_a_missing_file_suggests_a_similar_name(tmp_path: Path) -> None:
    (tmp_path / "nietzsche.txt.xz").write_bytes(lzma.compress(b"text"))
    for wrong in ("nietzsche.txt", "nietsche.txt.xz", "nietzche"):
        with pytest.raises(DataError, match=r"no file .*did you mean .*nietzsche\.txt\.xz'\?"):
            open_corpus(str(tmp_path / wrong))
    with pytest.raises(DataError, match="did you mean 'pydoc'"):
        open_corpus("pydocs")
    with pytest.raises(DataError, match="give a path, hub:OWNER/NAME, or nothing"):
        open_corpus(str(tmp_path / "folder" / "quite different"))


def test_a_folder_is_every_file_in_it_by_path_and_each_is_followed_by_its_end(
    tmp_path: Path,
) -> None:
    folder = fill(tmp_path, b_txt="two\n", a__z_txt="one", a__empty="", _hidden="no", _git__x="no")
    assert read(open_corpus(folder)) == f"{END}one{END}two\n{END}"
    assert read(open_corpus(folder, "line")) == "\none\ntwo\n"
    assert read(open_corpus(f"{folder}/*/*")) == f"{END}one{END}"
    assert read(open_corpus(f"{folder}/*.txt")) == "two\n"
    assert corpus_name(f"{folder}/*/*") == tmp_path.name.partition(".")[0]


def test_a_folder_with_a_binary_file_names_it(tmp_path: Path) -> None:
    folder = fill(tmp_path, a_txt="text", b_bin="a\0b")
    with pytest.raises(DataError, match=r"b\.bin' is binary, with a zero at byte 1"):
        survey(open_corpus(folder))


def test_parts_that_are_named_are_given(tmp_path: Path) -> None:
    folder = fill(tmp_path, w_train_txt="a" * 9, w_valid_txt="bb", w_test_txt="ccc")
    corpus = open_corpus(folder)
    texts = {part: read(corpus, part) for part, _ in corpus.parts}
    assert texts == {"train": "a" * 9, "validation": "bb", "test": "ccc"}
    listed = "".join(
        f"{part} {hashlib.sha256(t.encode()).hexdigest()}\n" for part, t in texts.items()
    )
    assert survey(corpus).sha256 == hashlib.sha256(listed.encode()).hexdigest()
    other = open_corpus(
        fill(tmp_path / "by folder", train__1_txt="a", train__2_txt="b", dev__1="c")
    )
    assert read(other, "train") == f"a{END}b{END}"
    assert read(other, "validation") == f"c{END}"
    fill(tmp_path, README="text")
    with pytest.raises(DataError, match=r"comes in parts, and .*README' is of none"):
        open_corpus(folder)


def test_a_name_that_is_no_part_of_a_whole_set_is_a_document(tmp_path: Path) -> None:
    assert not open_corpus(fill(tmp_path, test_txt="a", valid_txt="b")).given


def test_rows_of_tables_are_documents(tmp_path: Path) -> None:
    rows = [{"text": "one\r\n", "n": 1}, {"text": "", "n": 2}, {"text": "NA", "n": 3}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    folder = fill(tmp_path, r_jsonl=lines, r_csv='text,n\n"one\r\n",1\n"",2\nNA,3\n')
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "r.parquet")
    for suffix in ("jsonl", "csv", "parquet"):
        path = f"{folder}/r.{suffix}"
        assert read(open_corpus(f"{path}:text")) == f"one\r\n{END}{END}NA{END}", suffix
        assert read(open_corpus(path, "line")) == "one\r\n\nNA\n"
        if suffix == "csv":  # pandas leaves a file open that it has not read to its end
            continue
        with pytest.raises(DataError, match="has no column 'body', only text, n"):
            survey(open_corpus(f"{path}:body"))
        with pytest.raises(DataError, match="row 1: column 'n' holds int, not text"):
            survey(open_corpus(f"{path}:n"))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "growing.txt"
    path.write_text("text")
    corpus = open_corpus(str(path))
    path.write_text("text and more")
    with pytest.raises(DataError, match="has changed since it was first read"):
        survey(corpus)


def test_checking_leaves_datasets_and_jax_alone(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("a" * 2_000_000)
    program = (
        "import sys; from lstm_lab.text.corpora import open_corpus, survey;"
        f"assert survey(open_corpus({str(path)!r})).sizes['whole'].characters == 2_000_000;"
        "assert not {'datasets', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_a_hub_name_is_only_parsed_until_it_is_read() -> None:
    assert not open_corpus("hub:owner/name").given
    parts = [part for part, _ in open_corpus("hub:owner/name:train,validation").parts]
    assert parts == ["train", "validation"]
    assert corpus_name("hub:owner/name/config:train") == "name"


@pytest.mark.parametrize("part", [0.1, 0.25, 0.5])
def test_split_is_contiguous_and_complete(part: float) -> None:
    tokens = np.arange(1001)
    train, validation, test = split(tokens, part, part / 2)
    np.testing.assert_array_equal(np.concatenate([train, validation, test]), tokens)
    assert (len(validation), len(test)) == (round(1001 * part), round(1001 * part / 2))
    train, validation, test = split(tokens, part, part / 2, most=7)
    np.testing.assert_array_equal(np.concatenate([train, validation, test]), tokens)
    assert (len(validation), len(test)) == (7, 7)


@pytest.mark.parametrize("part", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_split_refuses_what_leaves_one_side_empty(part: float) -> None:
    with pytest.raises(UsageError, match="wanted a fraction between 0 and 1"):
        split(np.arange(10), part)
    if part:
        with pytest.raises(UsageError, match="test: got"):
            split(np.arange(10), 0.1, part)


def test_real_files_are_read_whole(data_dir: Path) -> None:
    path = data_dir / "text" / "tinyshakespeare.txt.xz"
    if not path.is_file():
        pytest.skip("no tinyshakespeare.txt.xz in the data folder")
    assert read(open_corpus(str(path))).encode() == lzma.decompress(path.read_bytes())
    assert corpus_name(str(path)) == "tinyshakespeare"
