"""A corpus comes back character for character, or is refused in one line that says what to do."""

import gzip
import hashlib
import lzma
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lstm_lab.errors import DataError, UsageError
from lstm_lab.text.corpora import check_corpus, corpus_name, load_corpus, split

ODD = "\ufeffone\r\ntwo\u2028three\x85four\rfive \U0001f40d\ttail without newline"


def test_the_embedded_corpus_needs_no_file_and_no_network() -> None:
    corpus = load_corpus()
    assert corpus == load_corpus("pydoc")
    assert corpus.name == "pydoc"
    assert len(corpus.text) > 300_000
    assert "statement" in corpus.text
    assert corpus.sha256 == hashlib.sha256(corpus.text.encode()).hexdigest()


@pytest.mark.parametrize("text", [ODD, "a\n", "\n\n", "x", "\r", "line\r\n" * 3])
@pytest.mark.parametrize("suffix", [".txt", ".txt.xz", ".txt.gz"])
def test_a_file_comes_back_exactly(tmp_path: Path, text: str, suffix: str) -> None:
    raw = text.encode()
    path = tmp_path / f"odd{suffix}"
    path.write_bytes(
        {".txt": raw, ".txt.xz": lzma.compress(raw), ".txt.gz": gzip.compress(raw)}[suffix]
    )
    corpus = load_corpus(str(path))
    assert corpus.text == text
    assert corpus.name == "odd"
    assert corpus.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert check_corpus(str(path)) == (len(text), len(text.encode()))


BAD = {
    "empty": (b"", "is empty"),
    "nul": (b"abc\0def", "is binary, with a zero at byte 3"),
    "latin1": ("caf\u00e9".encode("latin-1"), "is not UTF-8, with 0xe9 at byte 3"),
    "utf16": ("abc".encode("utf-16-le"), "is binary, with a zero at byte 1"),
    "noise": (bytes(range(1, 256)), "is not UTF-8, with 0x80 at byte 127"),
    "cut.xz": (lzma.compress(b"text" * 100)[:-9], "is not a whole .xz file"),
    "cut.gz": (gzip.compress(b"text" * 100)[:-9], "is not a whole .gz file"),
    "plain.xz": (b"text", "is not a whole .xz file"),
    "plain.gz": (b"text", "is not a whole .gz file"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_by_both(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    for refuse in (check_corpus, load_corpus):
        with pytest.raises(DataError, match=message) as caught:
            refuse(str(tmp_path / name))
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


def test_what_is_not_a_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        check_corpus(str(tmp_path))
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer that never comes
    with pytest.raises(DataError, match="not a regular file"):
        check_corpus(str(tmp_path / "pipe"))
    with pytest.raises(DataError, match="not a regular file"):
        check_corpus("/dev/zero")


@pytest.mark.parametrize("spec", ["a\0b", "x" * 10_000, "/" + "y" * 300, "~no_such_user_here/x"])
def test_impossible_paths_are_refused_in_a_short_line(spec: str) -> None:
    with pytest.raises(DataError, match="corpus: ") as caught:
        check_corpus(spec)
    assert len(str(caught.value)) < 500


def test_a_missing_file_suggests_a_similar_name(tmp_path: Path) -> None:
    (tmp_path / "nietzsche.txt.xz").write_bytes(lzma.compress(b"text"))
    for wrong in ("nietzsche.txt", "nietsche.txt.xz", "nietzche"):
        with pytest.raises(DataError, match=r"no file .*did you mean .*nietzsche\.txt\.xz'\?"):
            check_corpus(str(tmp_path / wrong))
    with pytest.raises(DataError, match="did you mean 'pydoc'"):
        check_corpus("pydocs")
    with pytest.raises(DataError, match="give a path, hub:OWNER/NAME, or nothing"):
        check_corpus(str(tmp_path / "folder" / "quite different"))


def test_checking_leaves_datasets_and_jax_alone(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("a" * 2_000_000)
    program = (
        "import sys; from lstm_lab.text.corpora import check_corpus;"
        f"assert check_corpus({str(path)!r}).characters == 2_000_000; check_corpus('');"
        "assert not {'datasets', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_a_hub_name_is_only_parsed_by_the_check() -> None:
    assert check_corpus("hub:owner/name") is None
    assert corpus_name("hub:owner/name/config:train") == "name"


@pytest.mark.parametrize("part", [0.1, 0.25, 0.5])
def test_split_is_contiguous_and_complete(part: float) -> None:
    tokens = np.arange(1001)
    train, validation = split(tokens, part)
    np.testing.assert_array_equal(np.concatenate([train, validation]), tokens)
    assert len(validation) == round(1001 * part)


@pytest.mark.parametrize("part", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_split_refuses_what_leaves_one_side_empty(part: float) -> None:
    with pytest.raises(UsageError, match="wanted a fraction between 0 and 1"):
        split(np.arange(10), part)


def test_real_files_are_read_whole(data_dir: Path) -> None:
    path = data_dir / "text" / "tinyshakespeare.txt.xz"
    if not path.is_file():
        pytest.skip("no tinyshakespeare.txt.xz in the data folder")
    corpus = load_corpus(str(path))
    assert corpus.name == "tinyshakespeare"
    assert corpus.text.encode() == lzma.decompress(path.read_bytes())
