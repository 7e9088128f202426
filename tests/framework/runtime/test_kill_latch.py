"""The kill latch is a file: that it is there is all that counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.runtime.files import RealFile, RealFiles
from framework.runtime.kill_latch import EVERYTHING, KillLatch, Latch


def set_latch(latch: KillLatch, venue: str = EVERYTHING, reason: str = "drill") -> bool:
    return latch.set(venue, by="operator", reason=reason, now_ns=7)


def test_latch_when_set_for_everything_then_it_holds_for_each_venue(tmp_path: Path) -> None:
    latch = KillLatch(tmp_path)
    assert not latch.is_set("kalshi")
    assert set_latch(KillLatch(tmp_path))
    assert latch.is_set("kalshi")
    assert latch.is_set("zdex")
    assert latch.latches() == (Latch(EVERYTHING, "operator", "drill", 7),)


def test_latch_when_set_for_a_venue_then_it_holds_for_that_alone(tmp_path: Path) -> None:
    latch = KillLatch(tmp_path)
    set_latch(latch, "zdex")
    assert latch.is_set("zdex")
    assert not latch.is_set("zdex-2")
    assert [one.venue for one in latch.latches()] == ["zdex"]


def test_latch_when_set_again_then_it_keeps_who_set_it_first_and_why(tmp_path: Path) -> None:
    latch = KillLatch(tmp_path)
    assert set_latch(latch)
    assert not set_latch(latch, reason="once more")
    assert latch.latches()[0].reason == "drill"


def test_latch_when_one_scope_is_cleared_then_the_others_stay(tmp_path: Path) -> None:
    latch = KillLatch(tmp_path)
    for venue in (EVERYTHING, "kalshi", "zdex"):
        set_latch(latch, venue)
    latch.clear(EVERYTHING)
    latch.clear("kalshi")
    latch.clear("kalshi")
    assert not latch.is_set("kalshi")
    assert latch.is_set("zdex")


@pytest.mark.parametrize("text", [b"", b"{", b'{"venue": 1}', b"\xff"])
def test_latch_when_its_text_cannot_be_read_then_it_is_set_all_the_same(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "killed-zdex").write_bytes(text)
    latch = KillLatch(tmp_path)
    assert latch.is_set("zdex")
    assert latch.latches() == (Latch("zdex", reason=f"{tmp_path / 'killed-zdex'} can't be read"),)


def test_latch_when_there_is_no_state_directory_then_it_is_made_for_the_owner_alone(tmp_path: Path) -> None:
    latch = KillLatch(tmp_path / "state")
    assert latch.latches() == ()
    set_latch(latch)
    assert latch.is_set("kalshi")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


class FullDisk(RealFiles):
    """A disk that makes names and takes no byte."""

    def open_append(self, path: Path, /) -> RealFile:
        opened = super().open_append(path)

        class Full(RealFile):
            def __init__(self) -> None:
                self._descriptor = opened._descriptor

            def write(self, data: bytes, /) -> None:
                raise OSError(28, "No space left on device")

        return Full()


class SyncRecorder(RealFiles):
    """Notes what is made durable."""

    def __init__(self) -> None:
        self.synced: list[str] = []

    def open_append(self, path: Path, /) -> RealFile:
        opened, synced = super().open_append(path), self.synced

        class Noted(RealFile):
            def __init__(self) -> None:
                self._descriptor = opened._descriptor

            def sync(self) -> None:
                super().sync()
                synced.append(path.name)

        return Noted()

    def sync_directory(self, path: Path, /) -> None:
        super().sync_directory(path)
        self.synced.append(path.name)


def test_latch_when_set_or_cleared_then_that_is_durable(tmp_path: Path) -> None:
    files = SyncRecorder()
    latch = KillLatch(tmp_path / "state", files)
    set_latch(latch)
    assert files.synced == ["killed", "state"]
    set_latch(latch)
    assert files.synced == ["killed", "state"] * 2
    latch.clear(EVERYTHING)
    assert files.synced == [*["killed", "state"] * 2, "state"]


def test_latch_when_the_disk_is_full_then_it_says_so_and_holds(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        set_latch(KillLatch(tmp_path, FullDisk()))
    assert KillLatch(tmp_path).is_set("kalshi")
