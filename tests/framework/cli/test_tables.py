from __future__ import annotations

import pytest

from framework.cli.tables import table, time_text


def test_table_when_made_then_columns_are_aligned_and_numbers_to_the_right() -> None:
    rows = [{"name": "a", "size": "10.00", "note": ""}, {"name": "longer", "size": "5.00", "note": "x"}]
    assert table(("name", "size", "note"), rows, right=("size",)) == [
        "name     size  note",
        "a       10.00  -",
        "longer   5.00  x",
    ]


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
