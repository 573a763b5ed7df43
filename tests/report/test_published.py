"""The loss of training beside a published one, from rows that were written by hand."""

import numpy as np
import pytest

from lstm_lab.report.load import Trial
from lstm_lab.report.published import by_epoch, trace
from lstm_lab.report.schema import check
from lstm_lab.report.svg import Palette
from tests.report.conftest import make_result

# Two seeds, two steps to a row, four to an epoch: means 4 and 2, then 2 and 1; one row of a third epoch.
ROWS = tuple(
    {"split": "train", "seed": seed, "step": step, "loss": loss + seed}
    for seed in (0, 1)
    for step, loss in ((2, 4.0), (4, 2.0), (6, 2.0), (8, 1.0), (10, 9.0))
)


def trial(running: bool, values: tuple[float, ...] = (3.5, 1.75, 1.0)) -> Trial:
    published = {
        "name": "theirs",
        "source": "a page",
        "every": 4,
        "values": list(values),
        "running": running,
    }
    result = make_result("LSTM", "Next", "loss", [1.0, 2.0], 4.0, published=published)
    check(result)
    return Trial("one", "LSTM", "Next", "finished", "", result, ROWS)


def test_an_epoch_s_mean_is_that_of_its_steps() -> None:
    assert by_epoch(trial(running=False)).tolist() == [[3.0, 1.5], [4.0, 2.5]]


def test_a_progress_bar_s_mean_is_that_of_running_means() -> None:
    # The losses 4 4 2 2 have running means 4, 4, 10/3, 3.
    first = (4 + 4 + 10 / 3 + 3) / 4
    second = (2 + 2 + 5 / 3 + 6 / 4) / 4
    want = np.array([[first, second], [first + 1, second + 1]])
    np.testing.assert_allclose(by_epoch(trial(running=True)), want)


def test_no_more_epochs_than_were_published_or_taken() -> None:
    assert by_epoch(trial(running=False, values=(3.5,))).shape == (2, 1)
    assert by_epoch(Trial("one", "LSTM", result=trial(running=False).result)).size == 0


def test_the_table_has_both_for_every_epoch_taken() -> None:
    drawn = trace([trial(running=False)], Palette(["LSTM"]))
    assert drawn is not None
    panel, table = drawn
    assert "theirs" in panel
    assert all(figure in table for figure in ("3.5000", "3.5000 [", "1.7500"))
    assert "1.0000" not in table
    assert "a page" in table


def test_nothing_published_is_nothing_drawn() -> None:
    plain = make_result("LSTM", "Next", "loss", [1.0, 2.0], 4.0)
    check(plain)
    assert (
        trace([Trial("one", "LSTM", "Next", "finished", "", plain, ROWS)], Palette(["LSTM"]))
        is None
    )


@pytest.mark.parametrize(
    ("field", "value"), [("every", 0), ("values", "many"), ("values", [1.0, "x"]), ("name", 3)]
)
def test_what_is_published_in_another_shape_is_refused(field: str, value: object) -> None:
    result = trial(running=True).result
    result["published"][field] = value
    with pytest.raises(ValueError, match=rf"published\.{field}"):
        check(result)
