"""What benchmarks are asked for, and how figures are set beside earlier ones. Nothing here is measured."""

from pathlib import Path

import pytest

from tests.benchmarks import options, saved
from tests.benchmarks.summary import Work, summary
from tests.benchmarks.table import Table, percentile

KNOWN = ("append", "messages", "open")


def table(*rows: tuple[object, ...]) -> Table:
    return Table("Sends", ("database", "callers", "a second", "p99 ms", "p99 ms", "in time"), list(rows))


def test_without_a_name_everything_is_run() -> None:
    assert options.parse([], KNOWN) == options.Options(KNOWN)


def test_names_choose_in_their_order_and_files_are_taken(tmp_path: Path) -> None:
    before, save = tmp_path / "before.json", tmp_path / "now.json"
    before.write_text("{}")
    arguments = ["open", "bench_append", "--quick", "--save", str(save), "--before", str(before), "open"]
    assert options.parse(arguments, KNOWN) == options.Options(("open", "append"), True, save, before)


@pytest.mark.parametrize("arguments", [["closed"], ["--before", "nowhere.json"], ["--slow"]])
def test_what_is_not_there_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.parse(arguments, KNOWN)
    assert arguments[-1].removeprefix("--") in capsys.readouterr().err


def test_a_quick_run_takes_less() -> None:
    assert options.less(3.0, 1.0, {}) == 3.0
    assert options.less(3.0, 1.0, {options.QUICK: "1"}) == 1.0


def test_figures_are_set_beside_those_of_an_earlier_run(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    saved.write(path, [table(("SQLite", 16, 100.0, 4.0, 8.0, "99 %"), ("SQLite", 64, 0.0, 1.0, 2.0, "1 %"))])
    now = table(("SQLite", 16, 250.0, 2.0, 8.0, "99 %"), ("SQLite", 256, 9.0, 9.0, 9.0, "9 %"))
    found = saved.beside(now, saved.read(path))
    ratio = saved.RATIO
    columns = ["database", "callers", "a second", ratio, "p99 ms", ratio, "p99 ms", ratio, "in time"]
    assert list(found.columns) == columns
    assert found.rows == [
        ("SQLite", 16, 250.0, "2.50", 2.0, "0.50", 8.0, "1.00", "99 %"),
        ("SQLite", 256, 9.0, "", 9.0, "", 9.0, "", "9 %"),
    ]
    assert saved.NOTE in str(found)


def test_a_table_that_was_not_there_before_is_shown_as_it_is() -> None:
    now = table(("SQLite", 16, 250.0, 2.0, 8.0, "99 %"))
    assert saved.beside(now, {}) is now


def test_a_figure_that_was_nothing_has_no_ratio() -> None:
    before, now = table(("SQLite", 1, 0.0, 1.0, 1.0, "")), table(("SQLite", 1, 5.0, 1.0, 1.0, ""))
    assert saved.beside(now, {"Sends": before}).rows[0][3] == ""


def test_the_summary_has_a_row_for_each_aim_and_database() -> None:
    first, second = table(), table()
    first.meets(Work.TIMERS, "SQLite", 1200.0)
    second.meets(Work.AT_REST, "SQLite", 3.0, 7.5)
    second.meets(Work.AT_REST, "PostgreSQL", 4.0, 9.5)
    assert summary([first, second]).rows == [
        (*Work.AT_REST.value, "SQLite", 3.0, 7.5),
        (*Work.AT_REST.value, "PostgreSQL", 4.0, 9.5),
        (*Work.TIMERS.value, "SQLite", 1200.0, ""),
    ]


def test_a_percentile_is_one_of_the_values() -> None:
    assert [percentile([3.0, 1.0, 2.0], share) for share in (0.0, 0.5, 0.99)] == [1.0, 2.0, 3.0]
