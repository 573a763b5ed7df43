"""Overlapping windows of a text, and the character after each."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.errors import DataError, UsageError
from lstm_lab.tasks.next_character import TRACE, NextCharacter


@pytest.fixture
def task(tmp_path: Path) -> NextCharacter:
    path = tmp_path / "small.txt"
    path.write_text("ABCDE\nfghijklmnopqrst")
    return NextCharacter(str(path), length=4, stride=3)


def read(task: NextCharacter, step: int, batch: int) -> set[tuple[str, str]]:
    drawn = task.sample(task.load(), jax.random.key(0), jnp.int32(step), batch)
    decode = task.vocabulary().decode
    rows = zip(np.asarray(drawn.x), np.asarray(drawn.y), strict=True)
    return {(decode(x), decode(y[None])) for x, y in rows}


def test_an_epoch_reads_every_window_once_folded_and_with_what_comes_after(
    task: NextCharacter,
) -> None:
    text = "abcde fghijklmnopqrst"
    windows = {(text[i : i + 4], text[i + 4]) for i in range(0, len(text) - 4, 3)}
    assert task.windows(task.load()) == len(windows) == 6
    first, second = read(task, 0, 3), read(task, 1, 3)
    assert first | second == windows
    assert len(first) == len(second) == 3
    assert (
        read(task, 2, 3) != first or read(task, 3, 3) != second
    )  # the next epoch has another order


def test_refuses_what_makes_no_window(task: NextCharacter, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="stride"):
        NextCharacter(stride=0).validate()
    with pytest.raises(DataError, match="needs 22"):
        NextCharacter(task.corpus, length=21).validate()
    with pytest.raises(UsageError, match="6 windows"):
        task.check(7)


def test_the_published_trace_is_of_one_text_alone(task: NextCharacter, data_dir: Path) -> None:
    assert task.published(128) is None
    nietzsche = NextCharacter(str(data_dir / "text" / "nietzsche.txt.xz"))
    # What the example prints of its data.
    assert (len(nietzsche.load()), nietzsche.d_in) == (600_893, 56)
    assert nietzsche.windows(nietzsche.load()) == 200_285
    published = nietzsche.published(128)
    assert published is not None
    assert (published.every, published.values) == (1564, TRACE)
    assert nietzsche.published(64) is None
    assert NextCharacter(nietzsche.corpus, length=39).published(128) is None
