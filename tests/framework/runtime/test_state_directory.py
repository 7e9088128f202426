from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from framework.domain.errors import Fatal
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import (
    PARTS,
    DiskUsage,
    StateInUse,
    is_in_use,
    lock_account,
    lock_state,
    read_epoch,
    take_epoch,
)

FILES = RealFiles()
HOLDER = """
import sys
from pathlib import Path
from framework.runtime.state_directory import lock_state
lock = lock_state(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_lock_when_another_process_holds_it_then_it_is_named_and_its_death_frees_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StateInUse, match=rf"{tmp_path} is in use by process {holder.pid};"):
            lock_state(tmp_path)
        holder.kill()
        holder.wait(10)

    lock_state(tmp_path).close()


def test_directory_when_a_daemon_holds_it_then_others_see_it_and_take_nothing(tmp_path: Path) -> None:
    assert not is_in_use(tmp_path / "none")
    lock = lock_state(tmp_path)
    assert is_in_use(tmp_path)
    lock.close()
    assert not is_in_use(tmp_path)
    lock_state(tmp_path).close()


def test_lock_when_closed_then_the_next_one_gets_it(tmp_path: Path) -> None:
    first = lock_state(tmp_path / "state")
    with pytest.raises(StateInUse):
        lock_state(tmp_path / "state")
    first.close()
    first.close()

    lock_state(tmp_path / "state").close()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


class SyncRecorder(RealFiles):
    """The machine's file system, with a list of what was made and synced in it."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Path]] = []

    def make_directory(self, path: Path, /) -> None:
        super().make_directory(path)
        self.done.append(("made", path))

    def sync_directory(self, path: Path, /) -> None:
        super().sync_directory(path)
        self.done.append(("synced", path))


def test_lock_when_the_directory_is_new_then_the_name_of_each_new_folder_is_durable(tmp_path: Path) -> None:
    files = SyncRecorder()

    lock_state(tmp_path / "a" / "state", files).close()
    lock_state(tmp_path / "a" / "state", files).close()

    assert files.done == [
        ("made", tmp_path / "a"),
        ("synced", tmp_path),
        ("made", tmp_path / "a" / "state"),
        ("synced", tmp_path / "a"),
    ]


def test_lock_when_its_place_is_a_file_then_says_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")

    with pytest.raises(Fatal, match="give a folder that this user may write"):
        lock_state(tmp_path / "state")


def test_epoch_when_taken_then_it_grows_by_one(tmp_path: Path) -> None:
    assert read_epoch(FILES, tmp_path) == 0
    assert [take_epoch(FILES, tmp_path) for _ in range(3)] == [1, 2, 3]
    assert read_epoch(FILES, tmp_path) == 3


def test_epoch_when_the_journal_knows_a_higher_one_then_it_goes_on_after_that(tmp_path: Path) -> None:
    take_epoch(FILES, tmp_path)

    assert take_epoch(FILES, tmp_path, at_least=41) == 42
    assert take_epoch(FILES, tmp_path, at_least=41) == 43


@pytest.mark.parametrize("content", [b"", b"7", b"7 00000000\n", b"-1 x\n", b"8 4c9b2dfe\n8"])
def test_epoch_when_its_file_is_damaged_then_it_refuses(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "epoch").write_bytes(content)

    with pytest.raises(Fatal, match=r"epoch: .* is damaged .*tidegate journal dump"):
        take_epoch(FILES, tmp_path)


class SyncsCounted(RealFiles):
    def __init__(self) -> None:
        self.log: list[str] = []

    def rename(self, old: Path, new: Path, /) -> None:
        self.log.append("rename")
        super().rename(old, new)

    def sync_directory(self, path: Path, /) -> None:
        self.log.append("sync_directory")
        super().sync_directory(path)


def test_epoch_when_returned_then_its_name_is_durable(tmp_path: Path) -> None:
    files = SyncsCounted()

    take_epoch(files, tmp_path)

    assert files.log == ["rename", "sync_directory"]


def test_account_when_a_live_process_trades_on_it_then_a_second_daemon_is_refused(tmp_path: Path) -> None:
    first = lock_account("exchange.example key-1", tmp_path)
    with pytest.raises(StateInUse, match=rf"account exchange.example key-1 is in use by process {os.getpid()};"):
        lock_account("exchange.example key-1", tmp_path)
    lock_account("exchange.example key-2", tmp_path).close()
    first.close()
    lock_account("exchange.example key-1", tmp_path).close()


def test_account_when_no_lock_can_be_made_then_the_error_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Fatal, match="account a can't be used"):
        lock_account("a", tmp_path / "file" / "locks")


async def test_disk_usage_when_it_runs_then_it_says_how_much_room_each_part_takes_and_what_is_free(
    tmp_path: Path,
) -> None:
    usage = DiskUsage(tmp_path / "state")
    assert (usage.part_bytes, usage.free_bytes) == ({}, None)
    (tmp_path / "state" / "journal").mkdir(parents=True)
    (tmp_path / "state" / "journal" / "1").write_bytes(b"x" * 100)
    measuring = asyncio.create_task(usage.run())
    async with asyncio.timeout(5):
        while not usage.free_bytes:  # noqa: ASYNC110 - a thread measures
            await asyncio.sleep(0.01)
    measuring.cancel()
    assert usage.part_bytes == dict.fromkeys(PARTS, 0) | {"journal": 100}


def test_disk_usage_when_the_disk_hangs_then_the_end_of_the_process_does_not_wait_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hangs")
    program = f"""
import asyncio, contextlib, pathlib
from framework.runtime import state_directory as s
s.part_bytes = lambda _: pathlib.Path({str(tmp_path / "hangs")!r}).read_bytes()  # blocks until somebody writes
async def main():
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await s.DiskUsage(pathlib.Path({str(tmp_path)!r})).run()
asyncio.run(main())
print("ended")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("ended\n", "", 0)
