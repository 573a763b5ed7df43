"""What somebody waiting sees can be told in any order."""

import pytest

from lstm_lab.progress import Bar


def test_a_bar_takes_a_line_before_it_begins_and_several_at_its_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Bar() as bar:
        bar.finish("done before")
        bar.start("LSTM", 10, 0)
        bar.update(5, 1.0, 2.0, 3)
        bar.finish("the first")
        bar.finish("the second")
    said = capsys.readouterr().out
    assert all(line in said for line in ("done before", "the first", "the second"))
