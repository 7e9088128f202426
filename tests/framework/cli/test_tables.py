from __future__ import annotations

import io

import pytest

from framework.cli.tables import print_table, table, time_text


def test_table_when_made_then_columns_are_aligned_and_numbers_to_the_right() -> None:
    rows = [{"name": "a", "size": "10.00", "note": ""}, {"name": "longer", "size": "5.00", "note": "x"}]
    assert table(("name", "size", "note"), rows, right=("size",)) == [
        "name     size  note",
        "a       10.00  -",
        "longer   5.00  x",
    ]


def test_table_when_its_lines_would_be_too_long_then_rows_go_on_in_aligned_lines_of_no_more() -> None:
    rows = [{"id": "k-1", "size": "10.00", "note": "used here"}, {"id": "k-22", "size": "5.00", "note": ""}]
    assert table(("id", "size", "note"), rows, right=("size",), width_max=13) == [
        "id     size",
        "    note",
        "k-1   10.00",
        "    used here",
        "k-22   5.00",
    ]


def test_table_when_its_lines_just_fit_or_nothing_bounds_them_then_a_row_is_one_line() -> None:
    rows = [{"id": "k-1", "note": "used here"}]
    for width_max in (0, 14, 80):
        assert table(("id", "note"), rows, width_max=width_max) == ["id   note", "k-1  used here"]
    assert table(("id", "note"), rows, width_max=13) == ["id", "    note", "k-1", "    used here"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("output", "lines"), [(Terminal(), 4), (io.StringIO(), 2)])
def test_table_when_printed_then_a_terminal_gets_what_fits_it_and_everything_else_a_line_for_each_row(
    output: io.StringIO, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "8")
    monkeypatch.setattr("sys.stdout", output)
    print_table(("id", "note"), [{"id": "k-1", "note": "used here"}])
    assert output.getvalue().count("\n") == lines


def test_column_when_it_alone_is_too_wide_then_it_stands_whole_in_a_line_of_its_own() -> None:
    assert table(("id", "note"), [{"id": "k-1", "note": "x" * 9}], width_max=5)[-2:] == ["k-1", "    xxxxxxxxx"]


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, ""),
        (1, "1970-01-01T00:00:00.000Z"),
        (1_795_000_000_999_999_999, "2026-11-18T11:06:40.999Z"),
    ],
)
def test_time_when_shown_then_it_is_utc_and_never_rounded_up(time_ns: int, text: str) -> None:
    assert time_text(time_ns) == text
