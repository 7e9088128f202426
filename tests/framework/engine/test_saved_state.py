"""What a strategy saves is there after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framework.domain.account_events import StrategySaved
from framework.state.accounts import Accounts
from tests.support.world import World


def test_save_when_called_then_the_strategy_reads_it_back_after_the_step(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.start()
    scribe = world.add("scribe")
    assert scribe.desk.saved == b""
    world.do(scribe, lambda: scribe.desk.save(b"one") or True)
    world.do(scribe, lambda: scribe.desk.save(b"two") or True)
    assert scribe.desk.saved == b"two"
    world.close()


@pytest.mark.parametrize(
    ("state", "error", "why"),
    [
        ("text", TypeError, "str is not bytes"),
        (bytearray(b"may change"), TypeError, "bytearray is not bytes"),
        (bytes(1024 * 1024 + 1), ValueError, "1048577 bytes are more than 1048576"),
    ],
    ids=["text", "bytearray", "too long"],
)
def test_save_when_it_could_not_be_read_back_then_refused_and_nothing_is_recorded(
    tmp_path: Path, state: Any, error: type[Exception], why: str
) -> None:
    world = World(tmp_path)
    world.start()
    scribe = world.add("scribe")
    scribe.desk.save(bytes(1024 * 1024))
    before = len(world.entries())
    with pytest.raises(error, match=why):
        scribe.desk.save(state)
    assert len(world.entries()) == before
    world.close()


def test_save_when_another_strategy_asks_then_it_gets_its_own(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.start()
    scribe, other = world.add("scribe"), world.add("other")
    world.do(scribe, lambda: scribe.desk.save(b"mine") or True)
    assert other.desk.saved == b""
    world.close()


def test_save_when_the_journal_is_folded_again_then_it_is_there(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.start()
    scribe = world.add("scribe")
    world.do(scribe, lambda: scribe.desk.save(b"kept") or True)
    again = Accounts()
    for entry in world.entries():
        again.apply(entry.record.body, entry.record.now_ns)  # type: ignore[arg-type]
    assert again.saved_states == {"scribe": b"kept"}
    assert again.digest() == world.accounts.digest()
    world.close()


def test_save_when_a_snapshot_is_taken_then_it_holds_it() -> None:
    accounts = Accounts()
    accounts.apply(StrategySaved("mm", b"state", 1), 1)
    assert Accounts.from_snapshot(accounts.to_snapshot()).saved_states == {"mm": b"state"}
    assert accounts.digest() != Accounts().digest()
