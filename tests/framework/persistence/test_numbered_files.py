from __future__ import annotations

from pathlib import Path

import pytest

from framework.persistence.numbered_files import NumberedFiles
from framework.runtime.files import RealFiles

SEGMENTS = NumberedFiles("journal-", ".seg")


def test_name_when_made_of_a_number_then_the_number_comes_back() -> None:
    assert SEGMENTS.name(7) == "journal-00000000000000000007.seg"
    assert SEGMENTS.number(SEGMENTS.name(2**64)) == 2**64


@pytest.mark.parametrize("name", ["", "journal-7", "journal-.seg", "journal-7.seg.tmp", "tape-7.seg", "journal--7.seg"])
def test_name_when_it_is_of_another_kind_then_it_has_no_number(name: str) -> None:
    assert SEGMENTS.number(name) is None


def test_numbers_when_a_directory_holds_other_files_too_then_only_ours_count_in_ascending_order(tmp_path: Path) -> None:
    for name in (SEGMENTS.name(10), SEGMENTS.name(9), "journal-00000000000000000001.seg.removed", "epoch"):
        (tmp_path / name).touch()

    assert SEGMENTS.numbers(RealFiles(), tmp_path) == [9, 10]
