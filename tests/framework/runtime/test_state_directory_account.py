"""A journal belongs to one account per venue: what it holds exists nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.domain.errors import ConfigurationError
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import ACCOUNTS, bind_account, refuse_other_account

FILES = RealFiles()
DEMO, LIVE = "demo.venue.example key-1", "venue.example key-2"


def test_account_when_it_is_the_first_then_the_journal_is_its_and_it_may_come_again(tmp_path: Path) -> None:
    for _ in range(2):
        bind_account(FILES, tmp_path, "kalshi", DEMO)

    assert refuse_other_account(FILES, tmp_path, "kalshi", DEMO) == {"kalshi": DEMO}
    assert (tmp_path / ACCOUNTS).stat().st_mode & 0o777 == 0o600


def test_account_when_it_is_another_one_then_it_is_refused_with_both_names_and_nothing_changes(tmp_path: Path) -> None:
    bind_account(FILES, tmp_path, "kalshi", DEMO)
    before = (tmp_path / ACCOUNTS).read_bytes()

    for refuse in (bind_account, refuse_other_account):
        with pytest.raises(ConfigurationError) as caught:
            refuse(FILES, tmp_path, "kalshi", LIVE)
        text = str(caught.value)
        assert text.startswith(f'venues.kalshi: the records in {tmp_path} are of the account "{DEMO}"')
        assert f'names "{LIVE}"' in text
        assert "--state-dir DIR" in text

    assert (tmp_path / ACCOUNTS).read_bytes() == before


def test_account_when_it_is_of_another_venue_then_both_are_kept(tmp_path: Path) -> None:
    bind_account(FILES, tmp_path, "kalshi", DEMO)
    bind_account(FILES, tmp_path, "other", LIVE)

    with pytest.raises(ConfigurationError, match=r"venues\.other"):
        bind_account(FILES, tmp_path, "other", DEMO)
    assert refuse_other_account(FILES, tmp_path, "kalshi", DEMO) == {"kalshi": DEMO, "other": LIVE}


def test_account_when_it_is_only_compared_then_nothing_is_written(tmp_path: Path) -> None:
    refuse_other_account(FILES, tmp_path, "kalshi", DEMO)
    assert list(tmp_path.iterdir()) == []


def test_account_when_it_has_a_new_key_then_the_named_file_is_the_way_out(tmp_path: Path) -> None:
    bind_account(FILES, tmp_path, "kalshi", DEMO)
    path = tmp_path / ACCOUNTS
    with pytest.raises(ConfigurationError, match=f"write that into {path}"):
        bind_account(FILES, tmp_path, "kalshi", "demo.venue.example key-9")

    path.write_text(path.read_text().replace("key-1", "key-9"))

    bind_account(FILES, tmp_path, "kalshi", "demo.venue.example key-9")


@pytest.mark.parametrize("content", ["", "{", '["kalshi"]', '{"kalshi": 1}'])
def test_account_when_the_file_is_damaged_then_no_account_is_taken_for_the_right_one(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / ACCOUNTS).write_text(content)
    with pytest.raises(ConfigurationError, match="is damaged"):
        bind_account(FILES, tmp_path, "kalshi", DEMO)
    assert (tmp_path / ACCOUNTS).read_text() == content
