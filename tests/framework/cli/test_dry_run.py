"""A dry reconciliation without a daemon: reads only, and says why when it can't. The comparison with a real venue is
part of the operator's journey."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from framework.cli.main import main
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import EpochTaken, Record
from framework.runtime.background import InlineWorker
from framework.runtime.disk_writer import InlineWriter
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import bind_account
from tests.support.command_line import Capsys
from tests.support.daemon import Sandbox


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory whose daemon is away."""
    journal, _ = Journal.open(
        RealFiles(), tmp_path / "state" / "journal", start_writer=InlineWriter, worker=InlineWorker()
    )
    journal.append(Record(1, 1, 1, EpochTaken(1, "tg7f3a91", "", "0.1.0", 1)))
    journal.close()
    return tmp_path / "state"


def away(folder: Path, url: str, *, live: bool = False) -> list[str]:
    """The options that name a venue at an address."""
    key = folder / "key.pem"
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key.write_bytes(ed25519.Ed25519PrivateKey.generate().private_bytes(*pem))
    key.chmod(0o600)
    file = folder / "venue.toml"
    file.write_text(
        f"live = {str(live).lower()}\n[venues.kalshi]\nembedded_sandbox = false\n[venues.kalshi.settings]\n"
        f'rest_url = "{url}/trade-api/v2"\nws_url = "{url.replace("http", "ws")}/trade-api/ws/v2"\n'
        f'key_id = "k"\nprivate_key_path = "{key}"\nmarkets = ["*"]\n'
    )
    return ["-c", "sandbox", "-c", str(file)]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def dry_run(state: Path, *words: str) -> int:
    return main(["reconcile", "--dry-run", "--state-dir", str(state), *words])


def test_dry_run_when_the_venue_lives_with_the_daemon_only_then_it_says_so(state: Path, capsys: Capsys) -> None:
    before = content(state)
    assert dry_run(state) == 2
    assert "its embedded sandbox lives only while its daemon does" in capsys.readouterr().err
    assert content(state) == before


@pytest.mark.parametrize(("live", "words"), [(False, ["--live"]), (True, []), (False, [])])
def test_dry_run_when_the_venue_is_not_on_this_machine_then_both_words_for_live_are_needed(
    state: Path, tmp_path: Path, capsys: Capsys, live: bool, words: list[str]
) -> None:
    options = away(tmp_path, "https://venue.invalid", live=live)
    assert dry_run(state, *options, *words) == 2
    assert "asking it needs both `live = true`" in capsys.readouterr().err


def test_dry_run_when_the_venue_does_not_answer_then_it_fails_and_nothing_has_changed(
    state: Path, tmp_path: Path, capsys: Capsys
) -> None:
    before = content(state)
    assert dry_run(state, *away(tmp_path, "http://127.0.0.1:1")) == 1
    assert "kalshi can't be asked now" in capsys.readouterr().out
    assert content(state) == before


def test_dry_run_when_the_venue_refuses_the_account_then_it_is_named_with_the_reason(
    state: Path, tmp_path: Path, capsys: Capsys
) -> None:
    sandbox = Sandbox(tmp_path / "venue", speed=0)
    try:
        assert dry_run(state, *away(tmp_path, sandbox.ready["rest_url"].removesuffix("/trade-api/v2"))) == 1
    finally:
        sandbox.stop()
    assert "kalshi can't be asked now: HTTP 401 authentication_error NOT_FOUND: " in capsys.readouterr().out


def test_dry_run_when_there_is_no_journal_then_it_says_so_and_makes_none(tmp_path: Path, capsys: Capsys) -> None:
    assert dry_run(tmp_path / "nowhere") == 1
    assert "nowhere/journal" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_dry_run_when_the_journal_is_of_another_account_then_they_are_not_compared(
    state: Path, tmp_path: Path, capsys: Capsys
) -> None:
    bind_account(RealFiles(), state / "journal", "kalshi", "venue.invalid k")
    before = content(state)
    assert dry_run(state, *away(tmp_path, "http://127.0.0.1:1")) == 2
    assert 'are of the account "venue.invalid k"' in capsys.readouterr().err
    assert content(state) == before
